#include "ops/cpu/tensors.h"

#include <ATen/Functions.h>

namespace signalllm::ops::cpu {

Storage storage_of(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kFloat:
      return Storage::float32;
    case at::kDouble:
      return Storage::float64;
    case at::kBFloat16:
      return Storage::bfloat16;
    case at::kHalf:
      return Storage::float16;
    default:
      TORCH_CHECK(
          false,
          "signalllm: dtype ",
          tensor.scalar_type(),
          " is not supported on CPU; allowed: Float, Double, BFloat16, Half");
  }
}

Layout::Layout(const Signal& s, Few few) : batch(s.batch), inner(s.inner) {
  // Along a short signal its ends and what each call costs would be the most.
  const bool wide = s.inner >= 16;
  turned = !wide && s.batch > 1 &&
      (few == Few::turned || (few == Few::along && s.length < 100));
  if (turned) {
    batch = 1;
    inner = s.batch * s.inner;
  }
  if (!wide && few == Few::beside && s.length < 512 && s.inner > 0 &&
      s.batch * s.inner >= 16) {
    const int64_t groups = (s.batch * s.inner + 63) / 64;
    entries = (s.batch + groups - 1) / groups;
  }
}

at::Tensor Layout::in(const at::Tensor& tensor, const Signal& s) const {
  if (!turned) {
    return tensor.contiguous();
  }
  return tensor.reshape({s.batch, tensor.size(s.dim), s.inner})
      .transpose(0, 1)
      .contiguous();
}

at::Tensor Layout::out(const at::Tensor& result, int64_t length) const {
  return turned || !result.is_contiguous()
      ? at::empty({batch, length, inner}, result.options())
      : result;
}

void Layout::finish(
    const at::Tensor& made,
    const at::Tensor& result,
    const Signal& s) const {
  if (made.is_same(result)) {
    return;
  }
  const int64_t length = made.size(1);
  const auto back =
      turned ? made.reshape({length, s.batch, s.inner}).transpose(0, 1) : made;
  result.copy_(back.reshape(result.sizes()));
}

CoefficientsIn::CoefficientsIn(
    at::TensorList coeffs,
    const Layout& layout,
    const Signal& s) {
  for (const auto& c : coeffs) {
    held.push_back(layout.in(c, s));
    at.push_back(held.back().const_data_ptr());
  }
}

CoefficientsOut::CoefficientsOut(
    int64_t count,
    const Layout& layout,
    const Signal& s,
    const at::TensorOptions& options)
    : layout_(layout), signal_(s) {
  for (int64_t i = 0; i < count; ++i) {
    out_.push_back(at::empty(s.sizes, options));
    made_.push_back(layout.out(out_[i], s.length));
    at.push_back(made_[i].mutable_data_ptr());
  }
}

std::vector<at::Tensor> CoefficientsOut::finish() const {
  for (size_t i = 0; i < out_.size(); ++i) {
    layout_.finish(made_[i], out_[i], signal_);
  }
  return out_;
}

namespace {

template <class A, class T>
void read_taps(
    const at::Tensor& filter,
    const Layout& layout,
    bool reversed,
    std::vector<A>& out) {
  const T* data = filter.const_data_ptr<T>();
  const int64_t taps = filter.size(-1);
  const int64_t step = filter.stride(-1);
  const auto at = [&](int64_t k) { return reversed ? taps - 1 - k : k; };
  if (filter.dim() == 1) {
    out.resize(taps);
    for (int64_t k = 0; k < taps; ++k) {
      out[k] = static_cast<A>(data[at(k) * step]);
    }
    return;
  }
  const int64_t channels = filter.size(0);
  out.resize(taps * layout.width());
  for (int64_t k = 0; k < taps; ++k) {
    for (int64_t c = 0; c < layout.width(); ++c) {
      out[k * layout.width() + c] =
          static_cast<A>(data[c % channels * filter.stride(0) + at(k) * step]);
    }
  }
}

} // namespace

template <class A>
std::vector<A>
read_filter(const at::Tensor& filter, const Layout& layout, bool reversed) {
  std::vector<A> out;
  switch (storage_of(filter)) {
    case Storage::float32:
      read_taps<A, float>(filter, layout, reversed, out);
      break;
    case Storage::float64:
      read_taps<A, double>(filter, layout, reversed, out);
      break;
    case Storage::bfloat16:
      read_taps<A, at::BFloat16>(filter, layout, reversed, out);
      break;
    case Storage::float16:
      read_taps<A, at::Half>(filter, layout, reversed, out);
      break;
  }
  return out;
}

template std::vector<float> read_filter(const at::Tensor&, const Layout&, bool);
template std::vector<double>
read_filter(const at::Tensor&, const Layout&, bool);

at::Tensor filter_gradient_like(
    const at::Tensor& filter,
    const Layout& layout,
    const std::vector<double>& sums) {
  auto g = at::zeros(filter.sizes(), filter.options().dtype(at::kDouble));
  double* to = g.mutable_data_ptr<double>();
  const int64_t taps = filter.size(-1);
  const int64_t channels = filter.dim() == 1 ? 1 : filter.size(0);
  const int64_t width = taps > 0 ? sums.size() / taps : 0;
  for (int64_t k = 0; k < taps; ++k) {
    for (int64_t c = 0; c < width; ++c) {
      to[c % channels * taps + k] += sums[k * width + c];
    }
  }
  return g.to(filter.scalar_type());
}

} // namespace signalllm::ops::cpu
