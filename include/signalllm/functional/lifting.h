#pragma once

#include <signalllm/export.h>
#include <signalllm/wavelet.h>

#include <ATen/core/Tensor.h>

#include <string>

/// Biorthogonal filter banks that reconstruct whatever their parameters are.
namespace signalllm::functional {

/// The four filters of a bank, each `[..., taps]`, in the order of `Wavelet`.
struct FilterBank {
  at::Tensor dec_lo, dec_hi, rec_lo, rec_hi;
};

/// The bank of a lifting scheme, differentiable. With `e[n] = x[2n]` and
/// `o[n] = x[2n + 1]`, the steps in turn change one by the other,
///
/// - step 0, 2, ..: `o[n] -= sum_j steps[.., i, j] e[n + j - (width - 1) / 2]`,
/// - step 1, 3, ..: `e[n] += sum_j steps[.., i, j] o[n + j - width / 2]`,
///
/// and then `cA = scale e`, `cD = o / scale`. Every step can be undone, so the
/// bank reconstructs perfectly for any values: learned banks need no penalty.
/// `steps` is `[count, width]`, or `[channels, count, width]` for one bank a
/// channel; `scale` is one value, or `[channels]`, and not 0. The filters have
/// as many taps as the steps reach, an even number; its ends may be zeros.
///
/// `steps {{1/2, 1/2}, {1/4, 1/4}}` and `scale sqrt(2)` are bior2.2 (CDF 5/3),
/// its details with the other sign. (Daubechies and Sweldens, 1998.)
SIGNALLLM_API FilterBank
lifting_filters(const at::Tensor& steps, const at::Tensor& scale);

/// The same as a `Wavelet`: `steps` is `[count, width]`.
SIGNALLLM_API Wavelet lifting_wavelet(
    const at::Tensor& steps,
    double scale,
    std::string name = "lifting");

} // namespace signalllm::functional
