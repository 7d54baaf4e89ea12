#include "app/config_arguments.hpp"

#include "app/file_check.hpp"
#include "core/error.hpp"
#include "core/run_config.hpp"
#include "core/stop.hpp"
#include "core/text.hpp"
#include "datagen/solver_source.hpp"
#include "experiments/overlay.hpp"

#include <algorithm>
#include <charconv>

namespace sns {

CLI::Validator not_empty() {
  return {[](std::string& text) { return text.empty() ? std::string("is empty") : std::string(); }, "",
          "not empty"};
}

void ConfigArguments::add_to(CLI::App& verb) {
  const auto readable_again = [](const std::string& name) {
    std::error_code error;
    return std::filesystem::is_fifo(name, error) || std::filesystem::is_character_file(name, error)
               ? fmt::format("{} is not a regular file, and a configuration is read more than once", name)
               : std::string();
  };
  verb.add_option("FILE.yaml", file, "configuration")->required()->check(readable_again);
  const auto take_scale = [this](const std::string& name) {
    if (name.empty()) throw CLI::ValidationError("scale= names no scale");
    if (!scale.empty() && scale != name)
      throw CLI::ValidationError(fmt::format("two scales are given, {} and {}", scale, name));
    scale = name;
  };
  verb.add_option_function<std::vector<std::string>>(
      "key.path=value",
      [this, take_scale](const std::vector<std::string>& words) {
        constexpr std::string_view kScale = "scale=";  // --scale NAME, as a word among the others
        for (const std::string& word : words)
          word.starts_with(kScale) ? take_scale(word.substr(kScale.size())) : overrides.push_back(word);
      },
      "values that replace the file's, for example solver.viscosity=1e-3; scale=NAME is --scale NAME");
  verb.add_option_function<std::string>(
          "--scale", take_scale,
          "size of the experiment: a file of yaml/scales (smoke, cpu, paper) whose values replace those of "
          "FILE.yaml; results go to <run.output>-<scale>, or to a run.output that is given here as it is")
      ->type_name("NAME");
  verb.add_option("--device", device, "where to compute, as run.device: auto, cpu, cuda or cuda:N")
      ->check(not_empty())
      ->type_name("NAME");
}

Config ConfigArguments::load() const {
  for (const std::string& text : overrides) {
    if (text.find('=') == std::string::npos || text.front() == '=') {
      fail<ConfigError>("'{}' is not of the form key.path=value", text);
    }
  }
  if (Config::load(file).root().has("experiments"))
    fail<ConfigError>("{} lists experiments, which only 'sns reproduce' and 'sns check' take; name one of them",
                      file.string());
  std::vector<std::string> all = overrides;
  if (!scale.empty() && std::filesystem::is_regular_file(file)) {
    all = scale_overrides(file, find_scale(file, scale), overrides);
    all.insert(all.end(), overrides.begin(), overrides.end());
  }
  if (!device.empty()) all.push_back("run.device=" + device);
  check_whole_file(Config::load(file, all));
  return Config::load(file, all);
}

std::string ConfigArguments::command(const std::string& verb) const {
  std::string text = "sns " + verb + " " + shell_word(file.string());
  if (!scale.empty()) text += " --scale " + scale;
  if (!device.empty()) text += " --device " + device;
  for (const std::string& item : overrides) text += " " + shell_word(item);
  return text;
}

std::optional<SolverInfo> flow_of_file(const ConfigArguments& arguments) {
  const auto& overrides = arguments.overrides;
  if (std::none_of(overrides.begin(), overrides.end(),
                   [](const std::string& text) { return text.starts_with("solver"); }))
    return std::nullopt;
  ConfigArguments plain = arguments;
  plain.overrides.clear();
  try {
    const Config config = plain.load();
    return SolverSource(config, read_run(config)).info();
  } catch (const Error&) {
    return std::nullopt;  // overrides may be what makes it whole
  }
}

CLI::Validator at_least(std::int64_t least) {
  return {[least](const std::string& text) {
            std::int64_t number = 0;
            const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
            const bool whole = error == std::errc{} && end == text.data() + text.size();
            return whole && number >= least
                       ? std::string()
                       : fmt::format("'{}' is not allowed: a whole number of at least {} is needed", text,
                                     least);
          },
          fmt::format(">= {}", least)};
}

void add_time_budget(CLI::App& verb) {
  verb.add_option_function<double>(
          "--time-budget", [](const double& seconds) { set_time_budget(seconds); },
          "save the state and stop with exit code 75 after this time")
      ->type_name("SECONDS")
      ->check(CLI::PositiveNumber);
}

}  // namespace sns
