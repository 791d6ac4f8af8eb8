#include <signalllm/nn/causal_filter.h>

#include <c10/util/Exception.h>

namespace signalllm {

const char* to_string(FilterKind kind) {
  switch (kind) {
    case FilterKind::None:
      return "none";
    case FilterKind::Short:
      return "short";
    case FilterKind::Wavelet:
      return "wavelet";
  }
  TORCH_INTERNAL_ASSERT(false);
}

FilterKind parse_filter_kind(const std::string& name) {
  for (auto kind : {FilterKind::None, FilterKind::Short, FilterKind::Wavelet}) {
    if (name == to_string(kind)) {
      return kind;
    }
  }
  TORCH_CHECK(
      false,
      "parse_filter_kind: '",
      name,
      "' is not a filter, allowed are none, short and wavelet");
}

const char* to_string(FilterTraining training) {
  switch (training) {
    case FilterTraining::Fixed:
      return "fixed";
    case FilterTraining::Learned:
      return "learned";
    case FilterTraining::Lattice:
      return "lattice";
  }
  TORCH_INTERNAL_ASSERT(false);
}

FilterTraining parse_filter_training(const std::string& name) {
  for (auto training :
       {FilterTraining::Fixed,
        FilterTraining::Learned,
        FilterTraining::Lattice}) {
    if (name == to_string(training)) {
      return training;
    }
  }
  TORCH_CHECK(
      false,
      "parse_filter_training: '",
      name,
      "' is not a training of filters, allowed are fixed, learned and lattice");
}

} // namespace signalllm
