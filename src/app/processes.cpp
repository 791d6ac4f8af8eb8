#include "app/processes.h"

namespace signalllm::app {

std::shared_ptr<training::Processes> meet(const Settings& settings) {
  const auto place = training::ProcessPlace::from_environment();
  return place ? std::make_shared<training::Processes>(
                     *place, std::chrono::seconds(settings.timeout))
               : nullptr;
}

Settings settle(
    const std::shared_ptr<training::Processes>& processes,
    const std::function<Settings()>& prepare) {
  if (!processes) {
    return prepare();
  }
  Settings settings;
  processes->together([&] {
    if (processes->first()) {
      settings = prepare();
    }
  });
  // The model that config.json has beside the settings counts for nothing here.
  auto shared = settings_from_json(
      processes->share(to_json(settings, SignalLLMOptions(1))), "process 0");
  shared.out = processes->share(settings.out);
  shared.resume = processes->share(settings.resume);
  return shared;
}

} // namespace signalllm::app
