#include <signalllm/optimize.h>

#include "optimize_move.h"

#include <signalllm/nn/attention.h>
#include <signalllm/nn/wavelet_transform.h>

#include <ATen/Context.h>
#include <c10/util/Type.h>
#include <torch/nn/modules/container/moduledict.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/container/sequential.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <ostream>
#include <unordered_map>
#include <unordered_set>

namespace signalllm {

using torch::nn::Module;

namespace {

struct Registry {
  std::mutex mutex;
  std::map<std::type_index, detail::SwapRule> rules;
};

Registry& registry() {
  static Registry instance;
  return instance;
}

/// Not static initialisers, which a linker may drop with their file.
void register_our_own() {
  static const bool once = [] {
    register_swap<WaveletTransformImpl, MPSWaveletTransformImpl>();
    register_swap<
        WaveletAttentionImpl,
        MPSOptimizedAttentionImpl<WaveletAttentionImpl>>();
    register_swap<
        FourierConvolutionAttentionImpl,
        MPSOptimizedAttentionImpl<FourierConvolutionAttentionImpl>>();
    return true;
  }();
  (void)once;
}

std::optional<detail::SwapRule> find_rule(const Module& module) {
  auto& all = registry();
  const std::lock_guard<std::mutex> lock(all.mutex);
  const auto found = all.rules.find(typeid(module));
  return found == all.rules.end() ? std::nullopt : std::optional(found->second);
}

std::string type_name(const Module& module) {
  return c10::demangle(typeid(module).name());
}

using Kind = OptimizeEntry::Kind;

class Swapper {
 public:
  explicit Swapper(OptimizeReport& report) : report_(report) {}

  void run(const std::shared_ptr<Module>& root) {
    const auto runs = swap(root, "", /*in_container=*/false);
    visit(*runs, "");
  }

 private:
  /// Who is to stand where `module` stands: its twin or itself.
  std::shared_ptr<Module> swap(
      const std::shared_ptr<Module>& module,
      const std::string& path,
      bool in_container) {
    auto* swappable = dynamic_cast<SwappableBase*>(module.get());
    if (const auto known = twins_.find(module.get()); known != twins_.end()) {
      // Held in a second place. One that is not Swappable is left there if
      // that is no container, for the reason given below.
      return swappable || in_container ? known->second : left(module, path);
    }
    if (swappable && swappable->is_twin()) {
      note(Kind::Already, path, *module, *module);
      return module;
    }
    if (swappable && swappable->twin_module()) {
      auto twin = swappable->twin_module();
      note(Kind::Already, path, *module, *twin);
      twins_[module.get()] = twin;
      return twin;
    }
    const auto rule = find_rule(*module);
    if (!rule) {
      return module;
    }
    if (!swappable && !in_container) {
      return left(module, path);
    }
    auto twin = rule->make(*module);
    if (swappable) {
      swappable->run_as(twin);
    }
    twins_[module.get()] = twin;
    note(Kind::Swapped, path, *module, *twin);
    return twin;
  }

  std::shared_ptr<Module> left(
      const std::shared_ptr<Module>& module,
      const std::string& path) {
    report_.entries.push_back(
        {Kind::Left,
         path,
         type_name(*module),
         type_name(*module),
         "whoever holds it may keep a typed member, which only a module that "
         "derives from signalllm::Swappable follows"});
    return module;
  }

  void note(
      Kind kind,
      const std::string& path,
      const Module& from,
      const Module& to) {
    report_.entries.push_back({kind, path, type_name(from), type_name(to), {}});
  }

  void visit(Module& parent, const std::string& path) {
    if (!visited_.insert(&parent).second) {
      return;
    }
    auto* sequential = parent.as<torch::nn::SequentialImpl>();
    auto* list = parent.as<torch::nn::ModuleListImpl>();
    auto* dict = parent.as<torch::nn::ModuleDictImpl>();
    // A copy: the dictionary changes under way.
    const auto children = parent.named_children();
    std::ptrdiff_t index = 0;
    for (const auto& item : children) {
      const auto& old = item.value();
      const auto child_path =
          path.empty() ? item.key() : path + "." + item.key();
      const auto child = swap(old, child_path, sequential || list || dict);
      if (child != old) {
        if (sequential) {
          *(sequential->begin() + index) = find_rule(*old)->wrap(child);
        } else if (list) {
          *(list->begin() + index) = child;
        } else if (dict) {
          for (auto& entry : *dict) {
            if (entry.key() == item.key()) {
              entry.value() = child;
            }
          }
        }
        parent.replace_module(item.key(), child);
      }
      visit(*child, child_path);
      ++index;
    }
  }

  OptimizeReport& report_;
  std::unordered_map<const Module*, std::shared_ptr<Module>> twins_;
  std::unordered_set<const Module*> visited_;
};

void check_device(c10::Device device) {
  if (device.is_cpu()) {
    return;
  }
  TORCH_CHECK(
      device.is_mps() || device.is_cuda(),
      "optimize_for_mps: device is ",
      device,
      ", allowed are mps, cuda and cpu");
  TORCH_CHECK(
      !device.is_mps() || at::globalContext().hasMPS(),
      "optimize_for_mps: device is mps, but MPS is not available here. It "
      "needs a Mac with Apple silicon, macOS 14 or newer and torch's macOS "
      "wheel; elsewhere pass torch::kCPU or torch::kCUDA. The model is as it "
      "was");
  TORCH_CHECK(
      !device.is_cuda() || at::globalContext().hasCUDA(),
      "optimize_for_mps: device is cuda, but CUDA is not available here; pass "
      "torch::kCPU. The model is as it was");
}

OptimizeReport optimize(
    const std::shared_ptr<Module>& model,
    torch::optim::Optimizer* optimizer,
    c10::Device device) {
  TORCH_CHECK(model, "optimize_for_mps: the model is null");
  check_device(device);
  register_our_own();
  torch::NoGradGuard no_grad;
  OptimizeReport report;
  report.device = device;
  Swapper(report).run(model);
  detail::move_tensors(*model, optimizer, report);
  return report;
}

} // namespace

void detail::register_swap(
    std::type_index standard,
    std::type_index twin,
    SwapRule rule) {
  TORCH_CHECK(
      standard != twin,
      "register_swap: ",
      c10::demangle(standard.name()),
      " cannot be its own twin");
  auto& all = registry();
  const std::lock_guard<std::mutex> lock(all.mutex);
  all.rules[standard] = std::move(rule);
}

OptimizeReport optimize_for_mps(
    const std::shared_ptr<Module>& model,
    c10::Device device) {
  return optimize(model, nullptr, device);
}

OptimizeReport optimize_for_mps(
    const std::shared_ptr<Module>& model,
    torch::optim::Optimizer& optimizer,
    c10::Device device) {
  return optimize(model, &optimizer, device);
}

bool is_optimized(const Module& module) {
  const auto* swappable = dynamic_cast<const SwappableBase*>(&module);
  return swappable && (swappable->is_twin() || swappable->twin_module());
}

int64_t OptimizeReport::count(OptimizeEntry::Kind kind) const {
  return std::count_if(entries.begin(), entries.end(), [&](const auto& entry) {
    return entry.kind == kind;
  });
}

std::ostream& operator<<(std::ostream& stream, const OptimizeReport& report) {
  stream << "optimize_for_mps on " << report.device << ": "
         << report.count(Kind::Swapped) << " swapped, "
         << report.count(Kind::Already) << " were already, "
         << report.count(Kind::Left) << " left, " << report.moved
         << " tensors moved";
  for (const auto& entry : report.entries) {
    stream << "\n  " << (entry.path.empty() ? "(root)" : entry.path) << ": ";
    switch (entry.kind) {
      case Kind::Swapped:
      case Kind::Converted:
        stream << entry.from << " -> " << entry.to;
        break;
      case Kind::Already:
        stream << entry.to << " already";
        break;
      case Kind::Left:
        stream << entry.from << " left";
        break;
    }
    if (!entry.reason.empty()) {
      stream << " (" << entry.reason << ")";
    }
  }
  return stream;
}

} // namespace signalllm
