#include "app/config_arguments.hpp"

#include "core/error.hpp"
#include "core/stop.hpp"

#include <algorithm>

namespace sns {

void ConfigArguments::add_to(CLI::App& verb) {
  verb.add_option("FILE.yaml", file, "configuration")->required();
  verb.add_option("key.path=value", overrides,
                  "values that replace the file's, for example solver.viscosity=1e-3");
}

Config ConfigArguments::load() const {
  for (const std::string& text : overrides) {
    if (text.find('=') == std::string::npos || text.front() == '=') {
      fail<ConfigError>("'{}' is not of the form key.path=value", text);
    }
  }
  return Config::load(file, overrides);
}

std::vector<std::string> other_blocks(const std::vector<std::string>& used) {
  std::vector<std::string> others;
  for (const char* block :
       {"run", "solver", "simulate", "datagen", "models", "rollout", "evaluate", "figure", "retrain"}) {
    if (std::find(used.begin(), used.end(), block) == used.end()) others.push_back(block);
  }
  return others;
}

void add_time_budget(CLI::App& verb) {
  verb.add_option_function<double>(
          "--time-budget", [](const double& seconds) { set_time_budget(seconds); },
          "save the state and stop with exit code 75 after this time")
      ->type_name("SECONDS")
      ->check(CLI::PositiveNumber);
}

}  // namespace sns
