#include "app/observe.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/record_function.h>

#include <algorithm>
#include <string_view>

namespace signalllm::app {
namespace {

/// Stems of the operators with Metal kernels, of src/ops/mps/sources.cmake.
constexpr std::string_view metal_stems[] = {SIGNALLLM_METAL_STEMS};

/// What gives memory or a number and computes nothing.
constexpr std::string_view idle[] = {
    "aten::empty",
    "aten::new_empty",
    "aten::resize",
    "aten::_unsafe_view",
    "aten::item",
    "aten::_local_scalar_dense"};

bool has_metal_kernel(std::string_view name) {
  constexpr std::string_view ours = "signalllm::";
  return name.starts_with(ours) &&
      std::any_of(
             std::begin(metal_stems),
             std::end(metal_stems),
             [stem = name.substr(ours.size())](auto known) {
               return stem.starts_with(known);
             });
}

bool is_view(const c10::FunctionSchema& schema) {
  const auto& returns = schema.returns();
  return std::any_of(returns.begin(), returns.end(), [](const auto& value) {
    return value.alias_info() != nullptr && !value.alias_info()->isWrite();
  });
}

/// Whether an operator that dispatched no other did anything.
bool works(const c10::OperatorName& name) {
  if (std::any_of(std::begin(idle), std::end(idle), [&](auto known) {
        return name.name.starts_with(known);
      })) {
    return false;
  }
  const auto found = c10::Dispatcher::singleton().findSchema(name);
  return found && !is_view(found->schema());
}

/// What was counted inside each operator that has not returned, the call first.
thread_local std::vector<int64_t> open;

std::unique_ptr<at::ObserverContext> enter(const at::RecordFunction&) {
  open.push_back(0);
  return nullptr;
}

void leave(const at::RecordFunction& function, at::ObserverContext*) {
  auto inside = open.back();
  open.pop_back();
  if (const auto name = function.operator_name()) {
    inside = has_metal_kernel(name->name) ? 1
        : inside == 0                     ? int64_t{works(*name)}
                                          : inside;
  }
  open.back() += inside;
}

thread_local const std::string* wanted = nullptr;
thread_local std::vector<std::vector<at::Tensor>> seen;

std::unique_ptr<at::ObserverContext> keep(const at::RecordFunction& function) {
  const auto name = function.operator_name();
  if (name && name->name == *wanted) {
    auto& tensors = seen.emplace_back();
    for (const auto& value : function.inputs()) {
      if (value.isTensor()) {
        tensors.push_back(value.toTensor());
      }
    }
  }
  return nullptr;
}

/// A callback at every operator of this thread while the object is there.
class Observer {
 public:
  explicit Observer(at::RecordFunctionCallback callback)
      : handle_(at::addThreadLocalCallback(
            callback.scopes({at::RecordScope::FUNCTION}))) {}
  ~Observer() {
    at::removeCallback(handle_);
  }
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;

 private:
  at::CallbackHandle handle_;
};

} // namespace

int64_t count_operators(const std::function<void()>& call) {
  open = {0};
  const Observer observer(at::RecordFunctionCallback(enter, leave));
  call();
  return open.front();
}

std::vector<std::vector<at::Tensor>> inputs_of(
    const std::string& name,
    const std::function<void()>& call) {
  wanted = &name;
  seen.clear();
  {
    const Observer observer(at::RecordFunctionCallback(keep).needsInputs(true));
    call();
  }
  return std::move(seen);
}

} // namespace signalllm::app
