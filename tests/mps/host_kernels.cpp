// The operators of the host-backed MPS: those in the installed torch's list run
// boxed on the CPU's kernels over the same memory. What makes, views and copies
// tensors is in host_memory.cpp, what exists for MPS alone in host_chosen.cpp.
#include "mps/host_device.h"
#include "mps/host_mps.h"

#include <ATen/core/List.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

#include <map>
#include <set>

namespace signalllm::host_mps {
namespace {

using at::Tensor;

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
  // Those of the other files; and those that only the MPS build's own
  // composites call.
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

} // namespace

void use_operators(Torch wanted) {
  version = wanted;
}

} // namespace signalllm::host_mps
