// torch's MetalShaderLibrary for Linux: finds the text among those that were
// compiled for the host, and runs its kernels on the host-backed torch::kMPS.
// It refuses what Metal refuses or silently gets wrong. Nothing is queued: a
// launch has run when `dispatch` returns, and what went wrong in it is thrown
// there.
#include "mps/host_mps.h"
#include "mps/metal/kernel.h"

#include <ATen/core/Tensor.h>
#include <ATen/native/mps/MetalShaderLibrary.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <map>
#include <memory>
#include <vector>

namespace {

using metal_host::Bound;
using metal_host::Needs;

struct Argument {
  at::TensorBase tensor; // undefined: bytes
  std::vector<char> bytes;
};

/// What the pointers of MetalKernelFunction mean here.
struct Pipeline {
  std::string name;
  const metal_host::Kernel* kernel;
  std::map<unsigned, Argument> arguments;
};

Pipeline& pipeline(void* state) {
  return *static_cast<Pipeline*>(state);
}

at::ScalarType type_of(metal_host::element e) {
  using metal_host::element;
  switch (e) {
    case element::float32:
      return at::kFloat;
    case element::float16:
      return at::kHalf;
    case element::bfloat16:
      return at::kBFloat16;
    case element::int32:
      return at::kInt;
    case element::int64:
      return at::kLong;
    default:
      return at::ScalarType::Undefined;
  }
}

/// One buffer as the kernel will see it.
Bound bind(const Pipeline& p, unsigned index, Argument& a, const Needs& needs) {
  Bound b;
  if (a.tensor.defined()) {
    TORCH_CHECK(
        needs.type == metal_host::element::other ||
            type_of(needs.type) == a.tensor.scalar_type(),
        "Metal kernel ",
        p.name,
        ": buffer ",
        index,
        " is declared as ",
        type_of(needs.type),
        " and bound to ",
        a.tensor.scalar_type());
    b.data = const_cast<void*>(a.tensor.const_data_ptr());
    b.bytes = a.tensor.nbytes();
  } else {
    TORCH_CHECK(
        !needs.written,
        "Metal kernel ",
        p.name,
        ": buffer ",
        index,
        " is written but bound to bytes");
    b.data = a.bytes.data();
    b.bytes = a.bytes.size();
  }
  TORCH_CHECK(
      reinterpret_cast<uintptr_t>(b.data) % needs.alignment == 0,
      "Metal kernel ",
      p.name,
      ": buffer ",
      index,
      " begins at an offset that is no multiple of ",
      needs.alignment,
      " bytes");
  TORCH_CHECK(
      needs.pointer ? b.bytes % needs.size == 0 : b.bytes == needs.size,
      "Metal kernel ",
      p.name,
      ": buffer ",
      index,
      " has ",
      b.bytes,
      " bytes; the kernel's type has ",
      needs.size);
  return b;
}

/// All parameters' values; `cells` owns what watches the buffers.
std::vector<Bound> bind_all(
    Pipeline& p,
    std::vector<std::unique_ptr<metal_host::Cell[]>>& cells) {
  const auto& k = *p.kernel;
  std::vector<Bound> all(k.parameters.size());
  size_t buffers = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    if (k.parameters[i].from != metal_host::source::buffer) {
      continue;
    }
    ++buffers;
    const auto index = k.parameters[i].index;
    const auto found = p.arguments.find(index);
    TORCH_CHECK(
        found != p.arguments.end(),
        "Metal kernel ",
        p.name,
        ": buffer ",
        index,
        " is not bound");
    all[i] = bind(p, index, found->second, k.needs[i]);
  }
  TORCH_CHECK(
      buffers == p.arguments.size(),
      "Metal kernel ",
      p.name,
      ": ",
      p.arguments.size(),
      " arguments are bound; it has ",
      buffers,
      " buffers");
  for (size_t i = 0; i < all.size(); ++i) {
    if (!k.needs[i].written || all[i].bytes == 0) {
      continue;
    }
    auto* const begin = static_cast<char*>(all[i].data);
    for (size_t j = 0; j < all.size(); ++j) {
      if (j == i || all[j].bytes == 0) {
        continue;
      }
      auto* const other = static_cast<char*>(all[j].data);
      // Two outputs of one memory: what a kernel does not use has to be bound.
      if (k.needs[j].written && other == begin &&
          all[j].bytes == all[i].bytes) {
        all[i].cells = all[j].cells ? all[j].cells : all[i].cells;
        continue;
      }
      TORCH_CHECK(
          other + all[j].bytes <= begin || begin + all[i].bytes <= other,
          "Metal kernel ",
          p.name,
          ": buffer ",
          k.parameters[i].index,
          " is written and overlaps buffer ",
          k.parameters[j].index);
    }
    if (all[i].cells == nullptr) {
      cells.emplace_back(new metal_host::Cell[all[i].bytes / k.needs[i].size]);
      all[i].cells = cells.back().get();
    }
  }
  return all;
}

void launch(
    Pipeline& p,
    c10::ArrayRef<uint64_t> length,
    c10::ArrayRef<uint64_t> size) {
  uint64_t grid[3] = {1, 1, 1}, group[3] = {1, 1, 1};
  std::copy(length.begin(), length.end(), grid);
  std::copy(size.begin(), size.end(), group);
  for (int i = 0; i < 3; ++i) {
    TORCH_CHECK(
        grid[i] > 0 && group[i] > 0, "Metal kernel ", p.name, ": empty grid");
    TORCH_CHECK(
        grid[i] <= UINT32_MAX,
        "Metal kernel ",
        p.name,
        ": a grid of ",
        grid[i],
        " threads");
  }
  TORCH_CHECK_VALUE(
      group[0] * group[1] * group[2] <= metal_host::max_threads,
      "Threadgroup size exceeds ",
      metal_host::max_threads,
      " limit");
  ++signalllm::host_mps::counters().operators["metal." + p.name];
  std::vector<std::unique_ptr<metal_host::Cell[]>> cells;
  const auto bound = bind_all(p, cells);
  try {
    metal_host::run(p.name, *p.kernel, bound, grid, group);
  } catch (const std::exception& error) {
    TORCH_CHECK(false, error.what());
  }
}

} // namespace

namespace at::native::mps {

MetalKernelFunction::MetalKernelFunction(
    MTLComputePipelineState_t cps_,
    MTLFunction_t f_)
    : cps(cps_), func(f_) {}

MetalKernelFunction::~MetalKernelFunction() {
  delete static_cast<Pipeline*>(cps);
}

uint64_t MetalKernelFunction::getMaxThreadsPerThreadgroup() const {
  return metal_host::max_threads;
}

uint64_t MetalKernelFunction::getThreadExecutionWidth() const {
  return metal_host::simd_width;
}

void MetalKernelFunction::runCommandBlock(std::function<void()> f) {
  f();
  encoder = nullptr;
}

void MetalKernelFunction::startEncoding() {
  pipeline(cps).arguments.clear();
  encoder = cps;
}

void MetalKernelFunction::setArg(unsigned idx, const at::TensorBase& t) {
  TORCH_CHECK(encoder != nullptr, "setArg before startEncoding");
  TORCH_CHECK(
      t.device().is_mps() && t.is_contiguous(),
      "Metal kernel ",
      pipeline(cps).name,
      ": buffer ",
      idx,
      " must be a contiguous tensor on MPS");
  TORCH_CHECK(idx < 31, "Metal has buffers 0 to 30, not ", idx);
  pipeline(cps).arguments[idx] = {t, {}};
}

void MetalKernelFunction::setArg(unsigned idx, const void* ptr, uint64_t size) {
  TORCH_CHECK(encoder != nullptr, "setArg before startEncoding");
  TORCH_CHECK(
      size > 0 && size <= 4096,
      "Metal kernel ",
      pipeline(cps).name,
      ": ",
      size,
      " bytes for buffer ",
      idx,
      "; 1 to 4096 can be set");
  TORCH_CHECK(idx < 31, "Metal has buffers 0 to 30, not ", idx);
  const auto* bytes = static_cast<const char*>(ptr);
  pipeline(cps).arguments[idx] = {{}, {bytes, bytes + size}};
}

void MetalKernelFunction::dispatch(
    uint64_t length,
    std::optional<uint64_t> groupSize) {
  const uint64_t group =
      groupSize.value_or(std::min<uint64_t>(length, metal_host::max_threads));
  launch(pipeline(cps), length, group);
}

void MetalKernelFunction::dispatch(
    c10::ArrayRef<uint64_t> length,
    c10::OptionalArrayRef<uint64_t> groupSize) {
  TORCH_CHECK(
      !length.empty() && length.size() <= 3 &&
          (!groupSize.has_value() || groupSize->size() == length.size()),
      "dispatch: one to three dimensions, as many of the group");
  const std::vector<uint64_t> group = groupSize.has_value()
      ? groupSize->vec()
      : std::vector<uint64_t>{metal_host::max_threads};
  launch(pipeline(cps), length, group);
}

MetalShaderLibrary::~MetalShaderLibrary() = default;
DynamicMetalShaderLibrary::~DynamicMetalShaderLibrary() = default;

MTLLibrary_t MetalShaderLibrary::getLibrary() {
  if (library == nullptr) {
    for (const char c : shaderSource) {
      // torch converts it with NSASCIIStringEncoding.
      TORCH_CHECK(
          static_cast<unsigned char>(c) < 128,
          "Failed to create metal library, error: the text is not ASCII");
    }
    const auto* text = metal_host::find_text(shaderSource);
    TORCH_CHECK(
        text != nullptr,
        "Failed to create metal library, error: this text was not compiled for "
        "the host (tests/mps/CMakeLists.txt)");
    library = const_cast<metal_host::Text*>(text);
  }
  return library;
}

MTLLibrary_t MetalShaderLibrary::getLibrary(
    const std::initializer_list<std::string>&) {
  TORCH_CHECK(false, "texts with parameters are not supported here");
}

std::vector<std::string> MetalShaderLibrary::getFunctionNames() {
  std::vector<std::string> names;
  for (const auto& k : static_cast<metal_host::Text*>(getLibrary())->kernels) {
    names.push_back(k.first);
  }
  return names;
}

std::shared_ptr<MetalKernelFunction> MetalShaderLibrary::getKernelFunction(
    const std::string& name) {
  for (const auto& k : static_cast<metal_host::Text*>(getLibrary())->kernels) {
    if (k.first == name) {
      return std::make_shared<MetalKernelFunction>(
          new Pipeline{name, &k.second, {}}, nullptr);
    }
  }
  TORCH_CHECK(false, "Failed to create function state object for: ", name);
}

} // namespace at::native::mps
