#include <signalllm/nn/causal_filter.h>

#include "names.h"

namespace signalllm {
namespace {

constexpr Name<FilterKind> kFilters[] = {
    {FilterKind::None, "none"},
    {FilterKind::Short, "short"},
    {FilterKind::Wavelet, "wavelet"},
};

} // namespace

const char* to_string(FilterKind kind) {
  return name_of(kFilters, kind);
}

FilterKind parse_filter_kind(const std::string& name) {
  return parse_name(kFilters, "parse_filter_kind", "a filter", name);
}

namespace {

constexpr Name<FilterTraining> kTrainings[] = {
    {FilterTraining::Fixed, "fixed"},
    {FilterTraining::Learned, "learned"},
    {FilterTraining::Lattice, "lattice"},
};

} // namespace

const char* to_string(FilterTraining training) {
  return name_of(kTrainings, training);
}

FilterTraining parse_filter_training(const std::string& name) {
  return parse_name(
      kTrainings, "parse_filter_training", "a training of filters", name);
}

} // namespace signalllm
