#include "app/collection.hpp"

#include "core/config.hpp"
#include "core/error.hpp"
#include "experiments/overlay.hpp"

namespace sns {

std::optional<Collection> read_collection(const ConfigArguments& arguments) {
  const Config config = Config::load(arguments.file);
  Section root = config.root();
  if (!root.has("experiments")) return std::nullopt;
  for (const std::string& text : arguments.overrides)
    for (const char* key : {"run=", "run.output=", "run.name=", "figure=", "figure.folder="})
      if (text.starts_with(key))
        fail<ConfigError>(
            "'{}': the experiments of {} each have their own; make one of them alone to change it", text,
            arguments.file.string());
  Collection collection;
  collection.title = arguments.file.stem().string();
  root.maybe("title", collection.title);
  std::string output = "runs/" + arguments.file.stem().string();
  root.maybe("output", output);
  if (!arguments.scale.empty()) output += "-" + std::filesystem::path(arguments.scale).stem().string();
  collection.output = output;
  std::vector<std::string> files;
  root.maybe("experiments", files);
  if (files.empty()) root.reject("experiments", "names no file");
  for (const std::string& file : files) {
    ConfigArguments experiment = arguments;
    experiment.file = arguments.file.parent_path() / file;
    if (!std::filesystem::is_regular_file(experiment.file))
      root.reject("experiments", fmt::format("there is no file {}", experiment.file.string()));
    collection.experiments.push_back(std::move(experiment));
  }
  config.finish();
  return collection;
}

}  // namespace sns
