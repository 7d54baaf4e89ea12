#include "experiments/benchmark.hpp"

#include "core/build_info.hpp"
#include "core/error.hpp"
#include "core/files.hpp"
#include "core/log.hpp"
#include "datagen/frame_log.hpp"
#include "datagen/plan.hpp"
#include "datagen/solver_source.hpp"
#include "emulator/device.hpp"
#include "emulator/nets/unet.hpp"
#include "emulator/runtime.hpp"
#include "emulator/training/precision.hpp"
#include "experiments/config.hpp"
#include "experiments/stopwatch.hpp"
#include "solvers/coarsening.hpp"

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>

namespace sns {
namespace {

/// Sizes at which a device shows what it can: far beyond its caches, and enough for all its units.
struct ProbeSize {
  std::int64_t bytes, order;
};
ProbeSize probe_size(bool gpu) {
  return gpu ? ProbeSize{std::int64_t{1} << 30, 8192} : ProbeSize{std::int64_t{1} << 27, 1024};
}

std::vector<std::string> useful_precisions(torch::Device device) {
  if (device.is_cuda()) return precision_names();
  return cpu_has_bfloat16() ? std::vector<std::string>{"float32", "bfloat16"}
                            : std::vector<std::string>{"float32"};
}

double matmul_rate(const MachineRates& machine, const std::string& precision) {
  for (const auto& [name, rate] : machine.matmul_flops)
    if (name == precision) return rate;
  fail<Error>("the matrix rate in {} was not measured", precision);
}

/// The models of the file that are asked for, at the batch of its rollouts.
std::vector<ModelRates> measure_models(const Config& config, const BenchmarkOptions& options,
                                       const std::string& device, const std::vector<std::string>& precisions,
                                       const SolverInfo& info, const DatagenPlan& data) {
  const std::vector<ModelSpec> specs = read_models(config);
  std::vector<ModelSpec> chosen;
  for (const std::string& name : options.names) chosen.push_back(find_model(specs, name));
  if (chosen.empty()) chosen = specs;
  Section root = config.root();
  const std::int64_t batch =
      root.has("rollout") ? read_rollout(root.child("rollout"), specs, root.child("solver")).members : 1;
  const auto points = static_cast<int>(coarse_axes(info, data.coarsen).front().coordinates.size());
  std::vector<ModelRates> result;
  for (const ModelSpec& spec : chosen) {
    log::info("bench: {} ({})", spec.name, device);
    result.push_back(measure_model(spec, static_cast<int>(info.fields.size()), points, batch, device,
                                   precisions, options.seconds));
  }
  return result;
}

std::string share(double part, double whole) {
  return fmt::format("{:.1f} %", 100 * part / whole);
}

void print_solver(const SolverRates& solver, const MachineRates& machine) {
  fmt::print("\nsolver            {}, {} points, {}, {}, {} members\n", solver.system,
             fmt::join(solver.grid, " x "), solver.backend, solver.precision, solver.members);
  fmt::print("  steps           {:.5g} per second, {:.5g} member-steps per second\n", solver.steps,
             solver.steps * solver.members);
  if (solver.bytes_per_step > 0)
    fmt::print("  memory          {} per step, {} per second, {} of the copy\n",
               human_bytes(solver.bytes_per_step), human_bytes(solver.bytes_per_step * solver.steps),
               share(solver.bytes_per_step * solver.steps, machine.copy_bytes));
  else
    fmt::print("  memory          this backend does not count its bytes\n");
}

void print_model(const ModelRates& model, const MachineRates& machine) {
  fmt::print("\n{:<17} {}, {} parameters\n", model.name, model.kind, model.parameters);
  fmt::print("  {:<14} {:<9} {:>6} {:>11} {:>11} {:>13} {:>9} {:>10}\n", "", "precision", "batch", "ms",
             "images/s", "GFLOP/image", "GFLOP/s", "of matmul");
  for (const NetworkRate& rate : model.rates)
    fmt::print("  {:<14} {:<9} {:>6} {:>11.4g} {:>11.4g} {:>13.4g} {:>9.4g} {:>10}\n", rate.what,
               rate.precision, rate.batch, rate.milliseconds, rate.images(), 1e-9 * rate.flops_per_image,
               1e-9 * rate.flops(), share(rate.flops(), matmul_rate(machine, rate.precision)));
}

nlohmann::json to_json(const SolverRates& solver, const MachineRates& machine) {
  nlohmann::json json{
      {"system", solver.system},          {"grid", solver.grid},
      {"backend", solver.backend},        {"precision", solver.precision},
      {"members", solver.members},        {"threads", solver.threads},
      {"steps_per_second", solver.steps}, {"member_steps_per_second", solver.steps * solver.members},
      {"bytes_per_step", nullptr},        {"bytes_per_second", nullptr},
      {"fraction_of_bandwidth", nullptr}};
  if (solver.bytes_per_step > 0) {
    json["bytes_per_step"] = solver.bytes_per_step;
    json["bytes_per_second"] = solver.bytes_per_step * solver.steps;
    json["fraction_of_bandwidth"] = solver.bytes_per_step * solver.steps / machine.copy_bytes;
  }
  return json;
}

nlohmann::json to_json(const ModelRates& model, const MachineRates& machine) {
  nlohmann::json rows = nlohmann::json::array();
  for (const NetworkRate& rate : model.rates)
    rows.push_back({{"what", rate.what},
                    {"precision", rate.precision},
                    {"batch", rate.batch},
                    {"milliseconds", rate.milliseconds},
                    {"images_per_second", rate.images()},
                    {"flops_per_image", rate.flops_per_image},
                    {"flops_per_second", rate.flops()},
                    {"fraction_of_matmul", rate.flops() / matmul_rate(machine, rate.precision)}});
  return {{"name", model.name}, {"kind", model.kind}, {"parameters", model.parameters}, {"rows", rows}};
}

}  // namespace

SolverRates measure_solver(const Config& config, const RunConfig& run, const BenchmarkOptions& options) {
  constexpr int kSteps = 40;  // of one call: twice the interval at which solvers look at their members
  constexpr int kGpuMembers = 32;
  const int members = options.members.value_or(run.device == "cpu" ? run.threads : kGpuMembers);
  const SolverSource source(config, run);
  const auto solver = source.make(members);
  for (int m = 0; m < members; ++m) solver->initialise(m, static_cast<std::uint64_t>(m));
  const auto advance = [&] { solver->advance(kSteps); };
  const auto wait = [&] { solver->check_members(); };  // looks at their values
  advance();
  wait();
  const double seconds = seconds_per_call(options.seconds, advance, wait);
  for (int m = 0; m < members; ++m)
    require(solver->status(m).alive, "the solver cannot be timed: {}", solver->status(m).reason);
  const SolverInfo& info = solver->info();
  SolverRates rates{info.system, info.precision, info.backend,     {},
                    members,     run.threads,    kSteps / seconds, solver->device_bytes_per_step()};
  for (const Axis& axis : info.axes) rates.grid.push_back(std::ssize(axis.coordinates));
  return rates;
}

BenchmarkResult run_benchmark(const Config& config, const RunConfig& run, const BenchmarkOptions& options) {
  prepare_torch(run.threads);
  const torch::Device device = pick_device(run.device);
  RunConfig here = run;
  here.device = device.str();
  BenchmarkResult result;
  result.device = here.device;
  result.threads = run.threads;
  const std::vector<std::string> precisions =
      options.precisions.empty() ? useful_precisions(device) : options.precisions;
  for (const std::string& precision : precisions) {
    const std::string warning = precision_warning("--precision", precision, device);
    if (!warning.empty()) log::warn("{}", warning);
  }
  const ProbeSize size = probe_size(device.is_cuda());
  result.machine = measure_machine(here.device, precisions, options.seconds, size.bytes, size.order);
  if (options.solver) result.solver = measure_solver(config, here, options);
  const bool models = options.models && config.root().has("models");
  if (options.models && !models && !options.names.empty())
    fail<ConfigError>("{} has no models", config.file().string());
  if (models) {
    const ChannelsLast order(options.channels_last);
    const SolverSource source(config, here);
    const DatagenPlan data = read_datagen_plan(config.root().child("datagen"), run.name, run.seed);
    result.models = measure_models(config, options, here.device, precisions, source.info(), data);
  }
  return result;
}

void print_benchmark(const BenchmarkResult& result) {
  const MachineRates& machine = result.machine;
  fmt::print("device            {}, {} threads on the host\n", result.device, result.threads);
  fmt::print("  copy            {} per second, triad {}\n", human_bytes(machine.copy_bytes),
             human_bytes(machine.triad_bytes));
  for (const auto& [precision, rate] : machine.matmul_flops)
    fmt::print("  matmul          {:.5g} GFLOP/s in {}\n", 1e-9 * rate, precision);
  if (result.solver) print_solver(*result.solver, machine);
  for (const ModelRates& model : result.models) print_model(model, machine);
}

nlohmann::json to_json(const BenchmarkResult& result) {
  const BuildInfo& build = build_info();
  nlohmann::json json{{"device", result.device},     {"threads", result.threads},
                      {"version", build.version},    {"commit", build.git_commit},
                      {"modified", build.git_dirty}, {"date", utc_now()},
                      {"solver", nullptr},           {"models", nlohmann::json::array()}};
  nlohmann::json& machine = json["machine"];
  machine = {{"copy_bytes_per_second", result.machine.copy_bytes},
             {"triad_bytes_per_second", result.machine.triad_bytes}};
  for (const auto& [precision, rate] : result.machine.matmul_flops)
    machine["matmul_flops_per_second"][precision] = rate;
  if (result.solver) json["solver"] = to_json(*result.solver, result.machine);
  for (const ModelRates& model : result.models) json["models"].push_back(to_json(model, result.machine));
  return json;
}

}  // namespace sns
