#include "app/collection.hpp"
#include "app/commands.hpp"
#include "app/config_arguments.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "core/memory.hpp"
#include "core/progress.hpp"
#include "core/run_config.hpp"
#include "core/text.hpp"
#include "datagen/frame_log.hpp"
#include "datagen/generate.hpp"
#include "datagen/simulate.hpp"
#include "datagen/well_file.hpp"
#include "solvers/qg2layer/qg2layer.hpp"
#include "solvers/qg2layer/stability.hpp"
#if SNS_HAVE_EXPERIMENTS
#include "experiments/describe.hpp"
#include "experiments/shipped_weights.hpp"
#endif

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <set>

namespace sns {
namespace {

std::string shape_of(const std::vector<Axis>& axes) {
  std::string text;
  for (const Axis& axis : axes)
    text += fmt::format("{}{} ({})", text.empty() ? "" : " x ", axis.coordinates.size(), axis.name);
  return text;
}

std::string fields_of(const SolverInfo& info) {
  return counted(static_cast<std::int64_t>(info.fields.size()), "field");
}

std::size_t point_count(const std::vector<Axis>& axes) {
  std::size_t points = 1;
  for (const Axis& axis : axes) points *= axis.coordinates.size();
  return points;
}

/// "at least 1.2 MB for the solver"
std::string solver_memory(const SolverInfo& info, int members, int threads) {
  if (info.backend != "fftw") return "the solver's lies on the device";
  const double bytes = least_solver_bytes(info.fields.size() * point_count(info.axes),
                                          info.precision == "float32", members, threads);
  return fmt::format("at least {} for the solver", human_bytes(bytes));
}

/// Member steps per second of a batch, from a few steps of the real solver.
double measure_speed(Solver& solver) {
  using Clock = std::chrono::steady_clock;
  constexpr double kSeconds = 0.5;
  // A quiet state takes as long as any other, and is made at once.
  const std::vector<double> state(solver.state_size(), 0.0);
  for (int m = 0; m < solver.members(); ++m) solver.set_state(m, state);
  solver.advance(1);
  const auto start = Clock::now();
  double elapsed = 0;
  std::int64_t steps = 0;
  while (elapsed < kSeconds) {
    solver.advance(1);
    ++steps;
    elapsed = std::chrono::duration<double>(Clock::now() - start).count();
  }
  return static_cast<double>(steps) * solver.members() / elapsed;
}

/// Speed of a batch and where it comes from. Steps of large grids take minutes: their speed is that of a
/// smaller grid of the same flow, scaled with n^2 log n, the cost of transforms.
std::pair<double, std::string> estimate_speed(const ConfigArguments& arguments, const Config& config,
                                              const SolverSource& source, int members, const RunConfig& run) {
  constexpr int kLargest = 1024;
  int points = 0;
  config.root().child("solver").child("grid").need("points", points);
  if (points <= kLargest || source.info().backend != "fftw")
    return {measure_speed(*source.make(members)), "measured now"};
  ConfigArguments small = arguments;
  small.overrides.push_back(fmt::format("solver.grid.points={}", kLargest));
  small.overrides.push_back("solver.initial={kind: rest}");  // a state from a file is on the large grid
  const double speed = measure_speed(*SolverSource(small.load(), run).make(members));
  const auto cost = [](double n) { return n * n * std::log(n); };
  return {speed * cost(kLargest) / cost(points), fmt::format("scaled from {0} x {0} points", kLargest)};
}

void print_data_set(const DatagenPlan& plan, const SolverInfo& info, double speed, int threads) {
  const auto axes = coarse_axes(info, plan.coarsen);
  std::string splits;
  for (const Split& split : plan.splits) {
    splits += fmt::format("{}{} {}", splits.empty() ? "" : ", ", split.trajectories, split.name);
  }
  const auto bytes = static_cast<double>(dataset_bytes(plan, info));
  const std::int64_t steps = plan.step_of(plan.records() - 1);
  const int members = batch_members(plan, info, threads);
  const std::size_t points = point_count(axes);
  fmt::print("\ndata set\n");
  fmt::print("  trajectories     {} ({}) in {}\n", plan.trajectories(), splits,
             counted(static_cast<std::int64_t>(plan.groups().size()), "file"));
  fmt::print("  each             {} steps, of which {} spin-up; {} of {} frames, {} apart\n", steps,
             plan.spinup_steps, counted(plan.samples_per_trajectory, "sample"), plan.frames,
             time_text(info.dt * static_cast<double>(plan.steps_per_frame), info));
  fmt::print("  frame            {}, {}, float32\n", shape_of(axes), fields_of(info));
  fmt::print("  disk             {} (and {} while it is made)\n", human_bytes(bytes),
             human_bytes(bytes * members / static_cast<double>(plan.trajectories())));
  fmt::print("  memory           {} of frames for {}, {}\n",
             human_bytes(static_cast<double>(chunk_frames(plan.frames, points) * members) * 8 *
                         static_cast<double>(points * info.fields.size())),
             counted(members, "member"), solver_memory(info, members, threads));
  fmt::print("  time             {} at {:.4g} steps/s\n",
             duration_text(static_cast<double>(steps) * static_cast<double>(plan.trajectories()) / speed),
             speed);
}

void print_simulation(const SimulatePlan& plan, const SolverInfo& info, double speed, int threads) {
  fmt::print("\nsimulate\n");
  fmt::print("  run              {}, {} steps, a frame every {} ({})\n", counted(plan.members, "member"),
             plan.steps, plan.every, time_text(info.dt * static_cast<double>(plan.every), info));
  fmt::print("  frame            {}, {}\n", shape_of(coarse_axes(info, plan.coarsen)), fields_of(info));
  fmt::print("  disk             {}\n", human_bytes(static_cast<double>(simulate_bytes(plan, info))));
  fmt::print("  memory           {}\n", solver_memory(info, plan.members, threads));
  fmt::print("  time             {}\n", duration_text(static_cast<double>(plan.steps) * plan.members / speed));
}

#if SNS_HAVE_EXPERIMENTS
void print_experiment(const ExperimentCost& cost) {
  if (cost.lines.empty()) return;
  fmt::print("\nexperiment\n");
  for (const auto& [what, text] : cost.lines) fmt::print("  {:<16} {}\n", what, text);
}

/// Time and disk space of each experiment, what it shares with those before it left out, and of all.
void check_all(const Collection& collection) {
  std::vector<StageCost> all;
  std::set<std::pair<std::filesystem::path, std::string>> known;
  double retrain = 0;
  std::map<std::string, TrainingMemory> memories;  // by device
  for (const ConfigArguments& arguments : collection.experiments) {
    const Config config = arguments.load();
    const RunConfig run = read_run(config);
    const SolverSource source(config, run);
    const DatagenPlan data = read_datagen_plan(config.root().child("datagen"), run.name, run.seed);
    require_divisible(source.info(), data.coarsen);
    const double speed =
        estimate_speed(arguments, config, source, batch_members(data, source.info(), run.threads), run).first;
    TrainingMemory& memory = memories.try_emplace(run.device, run.device).first->second;
    const ExperimentCost cost = describe_experiment(config, run, source.info(), data, speed, memory);
    std::vector<StageCost> added;
    for (const StageCost& stage : cost.stages)
      if (!stage.shared || known.emplace(run.output, stage.stage).second) added.push_back(stage);
    for (const auto& [model, seconds] : cost.retrain_seconds)
      if (known.emplace(run.output, "retrain/" + model).second) retrain += seconds;
    fmt::print("{}\n  output           {}\n  adds             {}\n", arguments.file.string(),
               run.output.string(), total_text(added));
    if (!cost.training_memory.empty()) fmt::print("  memory           {}\n", cost.training_memory);
    for (const std::string& doubt : cost.doubts) fmt::print("  doubtful         {}\n", doubt);
    all.insert(all.end(), added.begin(), added.end());
  }
  fmt::print("\nin all             {}\n", total_text(all));
  if (retrain > 0) fmt::print("retrain=true adds  about {}\n", human_time(retrain));
  fmt::print(
      "One stage after the other; sns reproduce --jobs 2 makes two at a time. Figures are not in it.\n"
      "Finished stages of earlier runs are counted as if they were not there. A file's name in place of the\n"
      "collection's has more.\n");
}
#endif

/// Where a run would write, and what is free there: of the folder itself, or of the nearest one that is there.
void print_output(const std::filesystem::path& output) {
  std::filesystem::path there = std::filesystem::absolute(output);
  std::error_code error;
  while (!std::filesystem::exists(there, error) && there.has_relative_path()) there = there.parent_path();
  const auto space = std::filesystem::space(there, error);
  fmt::print("\nrun\n  output           {}{}\n", output.string(),
             error ? "" : fmt::format(", {} free there", human_bytes(static_cast<double>(space.available))));
  if (!std::filesystem::is_directory(there))
    log::warn("run.output is {}, but {} is no folder", output.string(), there.string());
  else if (::access(there.c_str(), W_OK | X_OK) != 0)
    log::warn("run.output is {}, but {} cannot be written to: {}", output.string(), there.string(),
              std::strerror(errno));
}

void run_check(const ConfigArguments& arguments, bool resolved) {
  const Config config = arguments.load();
  const RunConfig run = read_run(config);
  const SolverSource source(config, run);
  const SolverInfo& info = source.info();
  const DatagenPlan data = read_datagen_plan(config.root().child("datagen"), run.name, run.seed);
  const SimulatePlan simulation = read_simulate_plan(config.root().child("simulate"), run.seed);
  require_divisible(info, data.coarsen);
  if (config.root().has("datagen")) require_initial_states(info, data);
  require_divisible(info, simulation.coarsen);
  const int members = batch_members(data, info, run.threads);
  const auto [speed, how] = estimate_speed(arguments, config, source, members, run);
#if SNS_HAVE_EXPERIMENTS
  TrainingMemory memory(run.device);
  const auto experiment = describe_experiment(config, run, info, data, speed, memory);
  const ExperimentBlocks blocks = read_experiment_blocks(config);
  if (const auto of_file = flow_of_file(arguments); of_file && !blocks.retrain)
    if (const std::string changed = changed_flow(blocks.models, info, *of_file); !changed.empty())
      log::warn("{}", changed);
#endif

  if (resolved) fmt::print("{}\n", config.resolved_yaml());
  fmt::print("solver\n  {}\n  {}\n  grid             {}\n  backend          {}, {}, {}\n", info.title, info.pde,
             shape_of(info.axes), info.backend, info.precision, counted(run.threads, "thread"));
  if (info.system == "qg2layer") {
    Section solver = config.root().child("solver");
    const qg2layer::Params params = qg2layer::read_config(solver).params;
    fmt::print("  stability        {}\n", qg2layer::describe(qg2layer::most_unstable(params), params));
  }
  fmt::print("  speed            {:.4g} steps/s in a batch of {} ({})\n", speed, counted(members, "member"),
             how);
  print_output(run.output);
  print_simulation(simulation, info, speed, run.threads);
  if (config.root().has("datagen")) print_data_set(data, info, speed, run.threads);
#if SNS_HAVE_EXPERIMENTS
  print_experiment(experiment);
#endif
}

}  // namespace

void add_check(CLI::App& app) {
  CLI::App* verb = app.add_subcommand("check", "validate a configuration and estimate its cost; run nothing");
  auto arguments = std::make_shared<ConfigArguments>();
  arguments->add_to(*verb);
  auto resolved = std::make_shared<bool>(false);
  verb->add_flag("--resolved", *resolved,
                 "print the whole configuration first, with the defaults; keys of methods that change nothing "
                 "unless they are given are left out");
  verb->footer(
      "Prints shapes, memory, disk and a time estimate, from half a second of solver steps and a few passes of "
      "each network, and where results would go; writes nothing.\n"
      "Examples:\n"
      "  sns check yaml/kolmogorov/quickstart.yaml\n"
      "  sns check yaml/kolmogorov/quickstart.yaml solver.viscosity=2e-3 datagen.trajectories=1000 "
      "retrain=true\n"
      "  sns check yaml/kolmogorov/quickstart.yaml --resolved\n"
      "  sns check yaml/paper.yaml --scale cpu              what all of them take");
  verb->callback([arguments, resolved] {
#if SNS_HAVE_EXPERIMENTS
    if (const auto collection = read_collection(*arguments)) {
      if (*resolved)
        fail<ConfigError>("--resolved prints one configuration, and {} lists several; name one of them",
                          arguments->file.string());
      check_all(*collection);
      return;
    }
#endif
    run_check(*arguments, *resolved);
  });
}

}  // namespace sns
