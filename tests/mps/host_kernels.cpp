// The operators of the host-backed MPS. Those in the installed torch's list
// run boxed on the CPU's kernels over the same memory; what makes, views and
// copies tensors, and what exists for MPS alone, has a few lines of its own.
#include "mps/host_device.h"
#include "mps/host_mps.h"

#include <ATen/EmptyTensor.h>
#include <ATen/Functions.h>
#include <ATen/NativeFunctions.h>
#include <c10/core/CPUAllocator.h>
#include <torch/library.h>

#include <limits>
#include <map>
#include <set>

namespace signalllm::host_mps {

using at::Tensor;

void check_type(c10::ScalarType type) {
  TORCH_CHECK_TYPE(
      type != at::kDouble && type != at::kComplexDouble,
      "Cannot convert a MPS Tensor to ",
      type,
      " dtype as the MPS framework doesn't support it. Please use float32 "
      "instead.");
}

Tensor on_cpu(const Tensor& t) {
  if (!t.defined() || !t.device().is_mps()) {
    return t;
  }
  auto* memory = t.storage().mutable_data();
  auto out = at::detail::make_tensor<c10::TensorImpl>(
      c10::Storage(
          c10::Storage::use_byte_size_t{},
          t.storage().nbytes(),
          at::DataPtr(
              memory, memory, [](void*) {}, at::Device(at::kCPU)),
          c10::GetCPUAllocator(),
          /*resizable=*/true),
      c10::DispatchKeySet(c10::DispatchKey::CPU),
      t.dtype());
  out.unsafeGetTensorImpl()->set_sizes_and_strides(
      t.sizes(), t.strides(), t.storage_offset());
  out._set_conj(t.is_conj());
  out._set_neg(t.is_neg());
  return out;
}

namespace {

// ---- Making tensors ---------------------------------------------------------
at::ScalarType type_of(std::optional<at::ScalarType> type) {
  const auto known = type.value_or(c10::get_default_dtype_as_scalartype());
  check_type(known);
  return known;
}

Tensor empty(
    at::IntArrayRef size,
    std::optional<at::ScalarType> type,
    std::optional<at::Layout>,
    std::optional<at::Device>,
    std::optional<bool>,
    std::optional<at::MemoryFormat> format) {
  return at::detail::empty_generic(
      size,
      &allocator(),
      c10::DispatchKeySet(c10::DispatchKey::MPS),
      type_of(type),
      format);
}

Tensor empty_strided(
    at::IntArrayRef size,
    at::IntArrayRef stride,
    std::optional<at::ScalarType> type,
    std::optional<at::Layout>,
    std::optional<at::Device>,
    std::optional<bool>) {
  return at::detail::empty_strided_generic(
      size,
      stride,
      &allocator(),
      c10::DispatchKeySet(c10::DispatchKey::MPS),
      type_of(type));
}

Tensor to_device(const Tensor& cpu) {
  auto out =
      empty_strided(cpu.sizes(), cpu.strides(), cpu.scalar_type(), {}, {}, {});
  on_cpu(out).copy_(cpu);
  return out;
}

// ---- Copying ----------------------------------------------------------------
Tensor copy_from(const Tensor& self, const Tensor& to, bool non_blocking) {
  if (to.device().is_mps()) {
    check_type(to.scalar_type());
  }
  const bool crosses = self.device() != to.device();
  TORCH_CHECK(
      !non_blocking || !crosses,
      "MPS: a non_blocking copy between host and device reads memory that may "
      "be gone");
  auto& c = counters();
  if (crosses && to.device().is_cpu()) {
    ++c.copies_to_host;
    ++c.synchronisations;
  } else if (crosses) {
    ++c.copies_to_device;
  } else {
    ++c.operators["copy_"];
  }
  on_cpu(to).copy_(on_cpu(self));
  return to;
}

Tensor copy_from_and_resize(const Tensor& self, const Tensor& to) {
  if (self.sizes() != to.sizes()) {
    to.resize_(self.sizes());
  }
  return copy_from(self, to, false);
}

Tensor& copy_(Tensor& self, const Tensor& source, bool non_blocking) {
  if (!self.is_same(source)) {
    copy_from(source, self, non_blocking);
  }
  return self;
}

at::Scalar local_scalar(const Tensor& self) {
  ++counters().synchronisations;
  ++counters().copies_to_host;
  return on_cpu(self).item();
}

// ---- Views and storage ------------------------------------------------------
Tensor view(const Tensor& self, c10::SymIntArrayRef size) {
  return at::native::view(self, C10_AS_INTARRAYREF_SLOW(size));
}

Tensor as_strided(
    const Tensor& self,
    c10::SymIntArrayRef size,
    c10::SymIntArrayRef stride,
    std::optional<c10::SymInt> offset) {
  return at::native::as_strided_tensorimpl(
      self,
      C10_AS_INTARRAYREF_SLOW(size),
      C10_AS_INTARRAYREF_SLOW(stride),
      offset ? std::optional<int64_t>(offset->expect_int()) : std::nullopt);
}

Tensor reshape_alias(
    const Tensor& self,
    c10::SymIntArrayRef size,
    c10::SymIntArrayRef stride) {
  return at::native::_reshape_alias(
      self, C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride));
}

const Tensor& resize_(
    const Tensor& self,
    c10::SymIntArrayRef symbolic,
    std::optional<at::MemoryFormat> format) {
  const auto size = C10_AS_INTARRAYREF_SLOW(symbolic);
  auto* impl = self.unsafeGetTensorImpl();
  auto* storage = self.storage().unsafeGetStorageImpl();
  const auto bytes = static_cast<size_t>(
      (c10::multiply_integers(size) + self.storage_offset()) *
      self.element_size());
  if (bytes > storage->nbytes()) {
    auto memory = allocator().allocate(bytes);
    if (storage->nbytes() > 0) {
      std::memcpy(memory.get(), storage->data(), storage->nbytes());
    }
    storage->set_data_ptr_noswap(std::move(memory));
    storage->set_nbytes(bytes);
  }
  impl->set_sizes_contiguous(size);
  if (format) {
    impl->empty_tensor_restride(*format);
  }
  return self;
}

Tensor& set_storage(
    Tensor& self,
    at::Storage storage,
    c10::SymInt offset,
    c10::SymIntArrayRef size,
    c10::SymIntArrayRef stride) {
  auto* impl = self.unsafeGetTensorImpl();
  impl->set_storage_keep_dtype(std::move(storage));
  impl->set_sizes_and_strides(
      C10_AS_INTARRAYREF_SLOW(size),
      C10_AS_INTARRAYREF_SLOW(stride),
      offset.expect_int());
  return self;
}

Tensor& set_tensor(Tensor& self, const Tensor& source) {
  auto* impl = self.unsafeGetTensorImpl();
  impl->set_storage_keep_dtype(source.storage());
  impl->set_sizes_and_strides(
      source.sizes(), source.strides(), source.storage_offset());
  return self;
}

// ---- What exists ------------------------------------------------------------
struct Listed {
  const char* name;
  bool in[3]; // Torch::Installed, V2_11, V2_15
};

const Listed listed[] = {
#include "mps_operators.inc"
};

Torch version = Torch::Installed;

bool exists(const std::string& name) {
  static const auto* const known = [] {
    auto* map = new std::map<std::string, const bool*>;
    for (const auto& item : listed) {
      (*map)[item.name] = item.in;
    }
    return map;
  }();
  return known->at(name)[static_cast<int>(version)];
}

// ---- Everything else --------------------------------------------------------
void missing(const c10::OperatorHandle& op, torch::jit::Stack*) {
  TORCH_CHECK_NOT_IMPLEMENTED(
      false,
      "The operator '",
      op.schema().operator_name(),
      "' is not currently implemented for the MPS device.");
}

/// Operands on the CPU that MPS takes: numbers, and indices.
bool may_be_on_host(const std::string& name, const Tensor& t) {
  return t.dim() == 0 || name == "index.Tensor" || name == "index_put_" ||
      name == "_index_put_impl_";
}

/// One call's tensors, and their views for the CPU's kernels.
class Crossing {
 public:
  explicit Crossing(std::string name) : name_(std::move(name)) {}

  c10::IValue there(const c10::IValue& value) {
    if (value.isTensor()) {
      return there(value.toTensor());
    }
    if (value.isTensorList()) {
      c10::List<Tensor> out;
      for (const auto& t : value.toTensorVector()) {
        out.push_back(there(t));
      }
      return out;
    }
    if (value.isOptionalTensorList()) {
      c10::List<std::optional<Tensor>> out;
      for (std::optional<Tensor> t : value.toOptionalTensorList()) {
        out.push_back(t ? std::optional<Tensor>(there(*t)) : t);
      }
      return out;
    }
    if (value.isDevice() && value.toDevice().is_mps()) {
      return at::Device(at::kCPU);
    }
    return value;
  }

  c10::IValue back(const c10::IValue& value) {
    if (value.isTensor()) {
      return back(value.toTensor());
    }
    if (value.isTensorList()) {
      c10::List<Tensor> out;
      for (const auto& t : value.toTensorVector()) {
        out.push_back(back(t));
      }
      return out;
    }
    return value;
  }

 private:
  Tensor there(const Tensor& t) {
    if (!t.defined()) {
      return t;
    }
    if (!t.device().is_mps()) {
      TORCH_CHECK(
          may_be_on_host(name_, t),
          "Expected all tensors to be on the same device, but found one on ",
          t.device(),
          " and another on mps:0, in ",
          name_);
      // Kernels take a number as an argument, but of these.
      counters().copies_to_device += name_.starts_with("where");
      return t;
    }
    check_type(t.scalar_type());
    pairs_.emplace_back(t, on_cpu(t));
    return pairs_.back().second;
  }

  Tensor back(const Tensor& result) {
    if (!result.defined() || !result.device().is_cpu()) {
      return result;
    }
    for (auto& [mine, cpu] : pairs_) {
      if (cpu.is_same(result)) {
        return updated(mine, cpu);
      }
    }
    check_type(result.scalar_type());
    return to_device(result);
  }

  /// An operand that was written to; out= may have given it another size.
  static Tensor updated(const Tensor& mine, const Tensor& cpu) {
    auto* impl = mine.unsafeGetTensorImpl();
    if (mine.storage().data() != cpu.storage().data()) {
      impl->set_storage_keep_dtype(to_device(cpu).storage());
    }
    impl->set_sizes_and_strides(
        cpu.sizes(), cpu.strides(), cpu.storage_offset());
    return mine;
  }

  std::string name_;
  std::vector<std::pair<Tensor, Tensor>> pairs_;
};

std::string short_name(const c10::OperatorHandle& op) {
  const auto& name = op.schema().operator_name();
  const auto plain = name.name.substr(name.name.find("::") + 2);
  return name.overload_name.empty() ? plain : plain + "." + name.overload_name;
}

void run_on_cpu(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const auto name = short_name(op);
  const auto arguments = op.schema().arguments().size();
  const auto first = stack->size() - arguments;
  if (!exists(name)) {
    using c10::DispatchKey;
    if (op.hasKernelForDispatchKey(DispatchKey::CompositeExplicitAutograd)) {
      // By the key of a backend that has no kernels here.
      op.redispatchBoxed(c10::DispatchKeySet(DispatchKey::HPU), stack);
      return;
    }
    missing(op, stack);
  }
  check_rules(
      name.substr(0, name.find('.')),
      {stack->begin() + static_cast<int64_t>(first), stack->end()});
  ++counters().operators[name];
  Crossing crossing(name);
  for (auto i = first; i < stack->size(); ++i) {
    (*stack)[i] = crossing.there((*stack)[i]);
  }
  op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), stack);
  for (auto i = stack->size() - op.schema().returns().size(); i < stack->size();
       ++i) {
    (*stack)[i] = crossing.back((*stack)[i]);
  }
}

// ---- Attention --------------------------------------------------------------
// The Linux build has no MPS entry in the stub that chooses the kernel, so the
// operator itself is taken over. As there: without gradients and dropout the
// fused kernel, else the composition of products and a softmax.

/// A mask to add, as torch makes it before it chooses: the composition would
/// add a boolean one as 0 and 1.
std::optional<Tensor> added(
    const std::optional<Tensor>& mask,
    at::ScalarType type) {
  if (!mask || mask->scalar_type() != at::kBool) {
    return mask;
  }
  return at::zeros_like(*mask, mask->options().dtype(type))
      .masked_fill_(
          mask->logical_not(), -std::numeric_limits<double>::infinity());
}

Tensor attention(
    const Tensor& q,
    const Tensor& k,
    const Tensor& v,
    const std::optional<Tensor>& mask,
    double dropout,
    bool causal,
    std::optional<double> scale,
    bool gqa) {
  check_rules("scaled_dot_product_attention", {q, k, v, mask, dropout, causal});
  const bool graph = at::GradMode::is_enabled() &&
      (q.requires_grad() || k.requires_grad() || v.requires_grad());
  if (!graph && dropout == 0) {
    ++counters().operators["_scaled_dot_product_attention_math_for_mps"];
    TORCH_CHECK(
        k.device() == q.device() && v.device() == q.device() &&
            (!mask || mask->device() == q.device()),
        "Expected all tensors to be on the same device, in "
        "scaled_dot_product_attention");
    return to_device(at::scaled_dot_product_attention(
        on_cpu(q),
        on_cpu(k),
        on_cpu(v),
        mask ? std::optional<Tensor>(on_cpu(*mask)) : std::nullopt,
        dropout,
        causal,
        scale,
        gqa));
  }
  return std::get<0>(at::_scaled_dot_product_attention_math(
      q,
      k,
      v,
      added(mask, q.scalar_type()),
      dropout,
      causal,
      std::nullopt,
      scale,
      gqa));
}

// ---- Convolution ------------------------------------------------------------
// Likewise: the Linux build chooses no MPS convolution.
void check_together(const Tensor& a, const Tensor& b) {
  TORCH_CHECK(
      a.device() == b.device(),
      "Expected all tensors to be on the same device, in convolution");
}

Tensor convolution(
    const Tensor& input,
    const Tensor& weight,
    const std::optional<Tensor>& bias,
    at::IntArrayRef stride,
    at::IntArrayRef padding,
    at::IntArrayRef dilation,
    bool transposed,
    at::IntArrayRef output_padding,
    int64_t groups) {
  check_rules("convolution_overrideable", {input, weight});
  check_together(input, weight);
  ++counters().operators["_mps_convolution"];
  return to_device(at::convolution(
      on_cpu(input),
      on_cpu(weight),
      bias ? std::optional<Tensor>(on_cpu(*bias)) : std::nullopt,
      stride,
      padding,
      dilation,
      transposed,
      output_padding,
      groups));
}

std::tuple<Tensor, Tensor, Tensor> convolution_backward(
    const Tensor& gradient,
    const Tensor& input,
    const Tensor& weight,
    at::IntArrayRef stride,
    at::IntArrayRef padding,
    at::IntArrayRef dilation,
    bool transposed,
    at::IntArrayRef output_padding,
    int64_t groups,
    std::array<bool, 3> mask) {
  check_rules("convolution_backward_overrideable", {gradient, input, weight});
  check_together(input, weight);
  ++counters().operators["mps_convolution_backward"];
  const auto [gi, gw, gb] = at::convolution_backward(
      on_cpu(gradient),
      on_cpu(input),
      on_cpu(weight),
      at::OptionalIntArrayRef(at::IntArrayRef(
          {weight.size(0) * (transposed ? groups : int64_t{1})})),
      stride,
      padding,
      dilation,
      transposed,
      output_padding,
      groups,
      mask);
  const auto back = [](const Tensor& t) {
    return t.defined() ? to_device(t) : t;
  };
  return {back(gi), back(gw), back(gb)};
}

// ---- Registration -----------------------------------------------------------
/// Not every torch has all operators of the lists.
bool has_schema(const std::string& name) {
  const auto dot = name.find('.');
  return c10::Dispatcher::singleton()
      .findSchema(
          {"aten::" + name.substr(0, dot),
           dot == std::string::npos ? "" : name.substr(dot + 1)})
      .has_value();
}

TORCH_LIBRARY_IMPL(_, MPS, m) {
  m.fallback(torch::CppFunction::makeFromBoxedFunction<&missing>());
}

TORCH_LIBRARY_IMPL(aten, MPS, m) {
  m.impl("empty.memory_format", empty);
  m.impl("empty_strided", empty_strided);
  m.impl("copy_", copy_);
  m.impl("_copy_from", copy_from);
  m.impl("_copy_from_and_resize", copy_from_and_resize);
  m.impl("_local_scalar_dense", local_scalar);
  m.impl("view", view);
  m.impl("as_strided", as_strided);
  m.impl("_reshape_alias", reshape_alias);
  m.impl("resize_", resize_);
  m.impl("set_.source_Storage_storage_offset", set_storage);
  m.impl("set_.source_Tensor", set_tensor);
  m.impl(
      "unfold",
      static_cast<Tensor (*)(const Tensor&, int64_t, int64_t, int64_t)>(
          at::native::unfold));
  m.impl("view_as_real", at::native::view_as_real);
  m.impl("view_as_complex", at::native::view_as_complex);
  m.impl("scaled_dot_product_attention", attention);
  m.impl("convolution_overrideable", convolution);
  m.impl("convolution_backward_overrideable", convolution_backward);
  // Those above; and those that only the MPS build's own composites call.
  const std::set<std::string> own{
      "empty.memory_format",
      "empty_strided",
      "copy_",
      "_copy_from",
      "_copy_from_and_resize",
      "_local_scalar_dense",
      "view",
      "as_strided",
      "_reshape_alias",
      "resize_",
      "set_.source_Storage_storage_offset",
      "set_.source_Tensor",
      "set_.source_Storage",
      "set_",
      "unfold",
      "view_as_real",
      "view_as_complex",
      "_mps_convolution",
      "mps_convolution_backward",
      "_scaled_dot_product_attention_math_for_mps",
      "linear",
      "linear_backward"};
  for (const auto& item : listed) {
    if (own.count(item.name) == 0 && has_schema(item.name)) {
      m.impl(
          item.name, torch::CppFunction::makeFromBoxedFunction<&run_on_cpu>());
    }
  }
}

TORCH_LIBRARY_IMPL(aten, AutogradMPS, m) {
  m.impl("scaled_dot_product_attention", attention);
}

} // namespace

void use_operators(Torch wanted) {
  version = wanted;
}

} // namespace signalllm::host_mps
