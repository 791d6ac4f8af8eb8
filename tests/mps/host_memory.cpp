// Tensors of the host-backed MPS: how they are made, viewed and copied.
#include "mps/host_device.h"
#include "mps/host_mps.h"

#include <ATen/EmptyTensor.h>
#include <ATen/Functions.h>
#include <ATen/NativeFunctions.h>
#include <c10/core/CPUAllocator.h>
#include <torch/library.h>

#include <cstring>

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

} // namespace

Tensor to_device(const Tensor& cpu) {
  auto out =
      empty_strided(cpu.sizes(), cpu.strides(), cpu.scalar_type(), {}, {}, {});
  on_cpu(out).copy_(cpu);
  return out;
}

namespace {

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
}

} // namespace
} // namespace signalllm::host_mps
