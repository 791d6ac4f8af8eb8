// Forms of operators that are known to give wrong values, or to abort, on MPS
// in torch 2.11 to 2.15 (docs/mps.md names the reports). The optimized modules
// avoid them; a form that comes back fails here.
#include "mps/host_device.h"

#include <ATen/core/ivalue.h>
#include <c10/util/Exception.h>

#include <map>

namespace signalllm::host_mps {
namespace {

using Arguments = std::vector<c10::IValue>;

bool half(const at::Tensor& t) {
  return t.scalar_type() == at::kHalf || t.scalar_type() == at::kBFloat16;
}

/// Empty where all is well, else what is wrong.
using Rule = std::string (*)(const Arguments&);

std::string fft(const Arguments& a) {
  if (a[0].toTensor().dim() > 4) {
    return "a transform of more than four dimensions aborts";
  }
  return "";
}

std::string inverse_fft(const Arguments& a) {
  if (a[3].toInt() % 2 != 0) {
    return "an odd length comes back reversed";
  }
  return fft(a);
}

std::string attention(const Arguments& a) {
  for (int i = 0; i < 3; ++i) {
    if (!a[i].toTensor().is_contiguous()) {
      return "queries, keys and values that are not contiguous are misread";
    }
  }
  return a[5].toBool() && half(a[0].toTensor())
      ? "is_causal in half precision lets later tokens through"
      : "";
}

std::string reflection_backward(const Arguments& a) {
  return a[1].toTensor().size(-1) > 65536
      ? "wrong for more than 65,536 positions"
      : "";
}

std::string matmul(const Arguments& a) {
  return a[0].toTensor().size(-1) >= 32767
      ? "an inner dimension of 32,767 or more reads past the end"
      : "";
}

std::string scatter(const Arguments& a) {
  return a[0].toTensor().storage_offset() != 0
      ? "into a slice with an offset it does nothing"
      : "";
}

const std::map<std::string, Rule>& rules() {
  static const std::map<std::string, Rule> rules{
      {"_fft_r2c", fft},
      {"_fft_c2c", fft},
      {"_fft_c2r", inverse_fft},
      {"scaled_dot_product_attention", attention},
      {"reflection_pad1d_backward", reflection_backward},
      {"bmm", matmul},
      {"scatter_add_", scatter},
  };
  return rules;
}

} // namespace

void check_rules(const std::string& name, const Arguments& arguments) {
  const auto rule = rules().find(name);
  if (rule == rules().end()) {
    return;
  }
  const auto wrong = rule->second(arguments);
  TORCH_CHECK(wrong.empty(), "MPS, ", name, ": ", wrong);
}

} // namespace signalllm::host_mps
