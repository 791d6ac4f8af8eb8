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
  if (a[0].toTensor().numel() == 0) {
    return "a transform of no values ends the process";
  }
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
  if (a[2].toTensor().size(-1) != a[0].toTensor().size(-1)) {
    return "a value head of another size than the query's is misread";
  }
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
  const auto left = a[0].toTensor(), right = a[1].toTensor();
  const auto inner = left.size(-1);
  // A tensor of one dimension is the inner one.
  return std::max(inner, right.dim() == 1 ? right.size(0) : inner) >= 32767
      ? "an inner dimension of 32,767 or more reads past the end"
      : "";
}

std::string added_matmul(const Arguments& a) {
  return matmul({a[1], a[2]});
}

std::string into_slice(const Arguments& a) {
  const auto to = a[0].toTensor();
  return to.storage_offset() != 0
      ? "into a slice with an offset it does nothing"
      : !to.is_contiguous()
      ? "into a tensor that is not contiguous it goes wrong"
      : "";
}

std::string convolution(const Arguments& a) {
  const auto input = a[0].toTensor(), weight = a[1].toTensor();
  return !weight.is_contiguous() ? "a weight that is not contiguous is misread"
      : input.size(0) >= 65536   ? "wrong gradients for 65,536 rows or more"
                                 : "";
}

std::string convolution_backward(const Arguments& a) {
  return convolution({a[1], a[2]});
}

std::string replication_backward(const Arguments& a) {
  const auto input = a[1].toTensor();
  const auto length = input.size(-1);
  return length > 0 && input.numel() / length >= 65536
      ? "wrong for 65,536 leading values or more"
      : "";
}

std::string pad(const Arguments& a) {
  const auto input = a[0].toTensor();
  int64_t inner = 1;
  for (int64_t i = 1; i < input.dim(); ++i) {
    inner *= input.size(i);
  }
  return input.dim() > 4 && inner >= 65536
      ? "of rank above 4 with 65,536 inner values or more it is corrupt"
      : "";
}

std::string fused_adamw(const Arguments& a) {
  return a[13].isNone() && a[14].isNone()
      ? ""
      : "grad_scale and found_inf are ignored";
}

const std::map<std::string, Rule>& rules() {
  static const std::map<std::string, Rule> rules{
      {"_fft_r2c", fft},
      {"_fft_c2c", fft},
      {"_fft_c2r", inverse_fft},
      {"scaled_dot_product_attention", attention},
      {"reflection_pad1d_backward", reflection_backward},
      {"bmm", matmul},
      {"mm", matmul},
      {"mv", matmul},
      {"dot", matmul},
      {"addmm", added_matmul},
      {"addmv", added_matmul},
      {"baddbmm", added_matmul},
      {"addbmm", added_matmul},
      {"scatter_", into_slice},
      {"scatter_add_", into_slice},
      {"scatter_reduce_", into_slice},
      {"index_add_", into_slice},
      {"convolution_overrideable", convolution},
      {"convolution_backward_overrideable", convolution_backward},
      {"replication_pad1d_backward", replication_backward},
      {"constant_pad_nd", pad},
      {"_fused_adamw_", fused_adamw},
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
