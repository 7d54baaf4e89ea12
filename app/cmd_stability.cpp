#include "app/commands.hpp"
#include "app/config_arguments.hpp"
#include "core/error.hpp"
#include "core/files.hpp"
#include "core/hdf5.hpp"
#include "core/run_config.hpp"
#include "datagen/provenance.hpp"
#include "datagen/solver_source.hpp"
#include "solvers/qg2layer/qg2layer.hpp"
#include "solvers/qg2layer/stability.hpp"

#include <filesystem>
#include <memory>
#include <optional>

namespace sns {
namespace {

struct StabilityArguments {
  ConfigArguments config;
  std::filesystem::path output;
  bool overwrite = false;
};

/// Maps over l in increasing order and k, the order in which they are drawn.
void write_maps(const std::filesystem::path& output, const qg2layer::Params& params, const SolverInfo& info,
                const std::string& config_yaml, std::uint64_t seed) {
  const int n = params.grid.n, rows = n - 1, columns = n / 2;
  write_atomically(output, [&](const std::filesystem::path& temporary) {
    h5::File file = h5::File::create(temporary);
    file.set_attribute("Conventions", "CF-1.10");
    file.set_attribute("title", "linear stability: " + info.title);
    for (const auto& [name, value] : info.parameters) file.set_attribute(name, value);
    std::vector<double> l, k;
    for (int i = 0; i < rows; ++i) l.push_back(params.grid.unit() * (i - n / 2 + 1));
    for (int j = 0; j < columns; ++j) k.push_back(params.grid.unit() * j);
    const h5::Dataset scales[] = {write_scale(file, "l", l, "m^-1"), write_scale(file, "k", k, "m^-1")};
    for (const bool drag : {true, false}) {
      const auto omega = qg2layer::frequencies(params, drag);
      std::vector<double> growth, frequency;
      for (int i = 0; i < rows; ++i)
        for (int j = 0; j < columns; ++j) {
          const int row = (i - n / 2 + 1 + n) % n;
          const auto value = omega[static_cast<std::size_t>(row * params.grid.columns() + j)];
          growth.push_back(value.imag());
          frequency.push_back(value.real());
        }
      const std::string suffix = drag ? "" : "_without_drag";
      for (const auto& [name, values] : {std::pair{"growth", &growth}, {"frequency", &frequency}}) {
        h5::Dataset map = file.write<double>(name + suffix, {l.size(), k.size()}, *values);
        map.set_attribute("units", "s^-1");
        map.attach_scale(0, scales[0]);
        map.attach_scale(1, scales[1]);
      }
    }
    write_provenance(file, info, config_yaml, seed);
    file.close();
  });
}

void run_stability(const StabilityArguments& arguments) {
  const Config config = arguments.config.load();
  const RunConfig run = read_run(config);
  Section solver = config.root().child("solver");
  std::string system;
  solver.need("system", system);
  if (system != "qg2layer")
    solver.reject("system", fmt::format("{} has no linear stability analysis: qg2layer has", system));
  const qg2layer::Params params = qg2layer::read_config(solver).params;
  const SolverSource source(config, run);
  std::optional<OutputFolder> folder;
  if (!arguments.output.empty()) {
    folder.emplace(arguments.output);
    if (std::filesystem::exists(arguments.output) && !arguments.overwrite)
      fail<ConfigError>("{} exists; give --overwrite to replace it", arguments.output.string());
  }
  fmt::print("{}\n", source.info().title);
  for (const bool drag : {true, false})
    fmt::print("{:<13} {}\n", drag ? "with drag" : "without drag",
               qg2layer::describe(qg2layer::most_unstable(params, drag), params));
  if (arguments.output.empty()) return;
  write_maps(arguments.output, params, source.info(), config.resolved_yaml(), run.seed);
  fmt::print("{}\n", arguments.output.string());
}

}  // namespace

void add_stability(CLI::App& app) {
  CLI::App* verb =
      app.add_subcommand("stability", "growth rates of small disturbances of a quasi-geostrophic mean flow");
  auto arguments = std::make_shared<StabilityArguments>();
  arguments->config.add_to(*verb);
  verb->add_option("-o,--output", arguments->output, "write the maps over wavenumbers")->type_name("OUT.h5");
  verb->add_flag("--overwrite", arguments->overwrite, "replace OUT.h5");
  verb->footer(
      "Prints the fastest growing mode with and without bottom drag. OUT.h5 holds /growth and /frequency (l, "
      "k)\n"
      "in 1/s, and the same with the suffix _without_drag. 'initial: {kind: eigenmode}' starts a run from a "
      "mode.\n"
      "Examples:\n"
      "  sns stability yaml/qg2layer/eddy.yaml\n"
      "  sns stability yaml/qg2layer/jet.yaml solver.beta=2e-11 -o maps.h5");
  verb->callback([arguments] { run_stability(*arguments); });
}

}  // namespace sns
