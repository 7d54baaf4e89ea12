// Solvers in a method's place: where they start, what frames they make, resume, and their configuration.
#include "tests/support/torch_doctest.hpp"

#include "core/files.hpp"
#include "core/hdf5.hpp"
#include "core/random.hpp"
#include "core/stop.hpp"
#include "datagen/plan.hpp"
#include "experiments/solver_stepper.hpp"
#include "tests/support/config_errors.hpp"
#include "tests/support/scratch.hpp"
#include "tests/support/solver_cases.hpp"

#include <filesystem>
#include <numbers>

using namespace sns;
using sns::test::contains;

namespace {

namespace fs = std::filesystem;

const std::string kKolmogorov =
    "{system: kolmogorov, grid: {points: 32}, viscosity: 0.02, advection: basdevant, precision: float64, "
    "stepper: {name: cn_rk4, dt: 0.02}, initial: {kind: filtered_velocity, max_velocity: 2.0}}";
const std::string kTwoLayers =
    "{system: qg2layer, grid: {points: 32, length: 5.0e5}, beta: 1.5e-11, bottom_drag: 5.787e-7, "
    "deformation_radius: 15000.0, depth_ratio: 0.25, mean_flow: [0.025, 0.0], "
    "stepper: {name: ab3, dt: 3600.0}, initial: {kind: perturbed, amplitude: 1.0e-5}}";

/// An experiment's solver, and a method that changes it.
struct Case {
  Config config;
  RunConfig run;
  SolverSource truth;
  DatagenPlan data;
  MethodConfig method;

  Case(const std::string& solver, const std::string& datagen, const std::string& method_solver)
      : config(Config::parse("run: {name: test, output: out, device: cpu, threads: 2}\nsolver: " + solver +
                                 "\ndatagen: " + datagen +
                                 "\nrollout: {methods: {coarse: {solver: " + method_solver + "}}}\n",
                             {}, "x.yaml")),
        run(read_run(config)),
        truth(config, run),
        data(read_datagen_plan(config.root().child("datagen"), "test", 1)),
        method(read_rollout(config.root().child("rollout"), {}, config.root().child("solver")).methods.at(0)) {}

  SolverMethod read() const { return read_solver_method(method, run, truth.info(), data); }
  std::string refusal() const {
    return test::message_of<ConfigError>([&] { read(); });
  }
};

/// Frames of the experiment's own solver, [member][frame][values], and of the method from its first ones.
struct Frames {
  std::vector<float> truth, method;
  std::size_t values = 0;
};

RolloutJob job_of(const Case& c, const fs::path& output, std::int64_t steps, std::vector<float> initial) {
  RolloutJob job;
  job.output = output;
  job.steps = steps;
  job.trajectories = {7, 8};
  job.fields.clear();
  job.units.clear();
  for (const FieldInfo& field : c.truth.info().fields) {
    job.fields.push_back(field.name);
    job.units.push_back(field.units);
  }
  job.field_std =
      c.truth.info().system == "qg2layer" ? std::vector<double>{1e-5, 2e-6} : std::vector<double>{3.0};
  for (const Axis& axis : coarse_axes(c.truth.info(), c.data.coarsen))
    job.axes.emplace_back(axis.name, axis.coordinates);
  job.initial = std::move(initial);
  job.identity = "one";
  job.limit = 1e6;
  return job;
}

std::unique_ptr<SolverStepper> stepper_of(const Case& c, const RolloutJob& job) {
  const SolverMethod method = c.read();
  return std::make_unique<SolverStepper>(
      method.source.make(2),
      FrameTransfer(coarse_axes(c.truth.info(), c.data.coarsen), c.data.coarsen, method.source.info()),
      method.steps_per_frame, job.trajectories, job.field_std);
}

/// [member][frame][field values] of a rollout file.
std::vector<float> stored(const RolloutJob& job) {
  const auto file = h5::File::open_read(job.output);
  const auto frames = static_cast<std::size_t>(job.steps) + 1, members = job.trajectories.size(),
             fields = job.fields.size();
  std::vector<float> out;
  std::vector<std::vector<float>> by_field;
  for (const std::string& field : job.fields) by_field.push_back(file.dataset(field).read<float>());
  const std::size_t cells = by_field[0].size() / (frames * members);
  for (std::size_t f = 0; f < members * frames; ++f)
    for (std::size_t c = 0; c < fields; ++c)
      out.insert(out.end(), by_field[c].begin() + static_cast<std::ptrdiff_t>(f * cells),
                 by_field[c].begin() + static_cast<std::ptrdiff_t>((f + 1) * cells));
  return out;
}

Frames compare(const Case& c, std::int64_t steps, std::int64_t spinup) {
  const test::ScratchFolder folder;
  const auto solver = c.truth.make(2);
  solver->initialise(0, 7);
  solver->initialise(1, 8);
  solver->advance(spinup);
  Frames frames;
  frames.values = solver->frame_size(c.data.coarsen.factor);
  std::vector<float> initial(2 * frames.values), recorded(2 * frames.values * static_cast<std::size_t>(steps));
  for (int m = 0; m < 2; ++m)
    solver->frame(m, c.data.coarsen,
                  std::span(initial).subspan(static_cast<std::size_t>(m) * frames.values, frames.values));
  solver->record({steps, c.data.steps_per_frame, c.data.coarsen}, recorded);
  for (std::size_t m = 0; m < 2; ++m) {
    frames.truth.insert(frames.truth.end(), initial.begin() + static_cast<std::ptrdiff_t>(m * frames.values),
                        initial.begin() + static_cast<std::ptrdiff_t>((m + 1) * frames.values));
    const std::size_t length = frames.values * static_cast<std::size_t>(steps);
    frames.truth.insert(frames.truth.end(), recorded.begin() + static_cast<std::ptrdiff_t>(m * length),
                        recorded.begin() + static_cast<std::ptrdiff_t>((m + 1) * length));
  }
  const RolloutJob job = job_of(c, folder / "a.h5", steps, initial);
  run_rollout(job, *stepper_of(c, job));
  frames.method = stored(job);
  return frames;
}

constexpr double kFloatRounding = 2e-6;  // frames are float32, and go through a division and a product

}  // namespace

TEST_CASE("a solver on the experiment's grid, with its step, repeats its frames") {
  SUBCASE("Kolmogorov flow") {
    // Under jax-cfd's dealiasing a state has modes without a partner, which no physical field holds.
    std::string solver = kKolmogorov;
    solver.insert(solver.find("precision"), "dealias: symmetric, ");
    const Case c(solver, "{steps_per_frame: 2}", "{stepper: {dt: 0.02}}");
    const Frames frames = compare(c, 6, 100);
    CHECK(test::relative_error(frames.method, frames.truth) < kFloatRounding);
    const Case jaxcfd(kKolmogorov, "{steps_per_frame: 2}", "{stepper: {dt: 0.02}}");
    const Frames close = compare(jaxcfd, 6, 100);
    CHECK(test::relative_error(close.method, close.truth) < 2e-3);
  }
  SUBCASE("two layers, whose AB3 starts anew") {
    // A Runge-Kutta solver has no history: what is left is rounding.
    std::string solver = kTwoLayers;
    solver.replace(solver.find("name: ab3"), 9, "name: rk4");
    const Case c(solver, "{steps_per_frame: 5}", "{stepper: {dt: 3600.0}}");
    const Frames frames = compare(c, 6, 200);
    CHECK(test::relative_error(frames.method, frames.truth) < kFloatRounding);
    const Case ab3(kTwoLayers, "{steps_per_frame: 5}", "{stepper: {dt: 3600.0}}");
    const Frames restarted = compare(ab3, 6, 200);
    const double error = test::relative_error(restarted.method, restarted.truth);
    CHECK(error > kFloatRounding);
    CHECK(error < 1e-2);
  }
}

TEST_CASE("a coarser solver follows for a while; grids between and cells' means are brought into place") {
  // A single wave, that is, a flow whose small scales are no part of the question.
  std::string waves = kTwoLayers;
  waves.replace(waves.find("kind: perturbed"), 15, "kind: eigenmode");
  for (const auto& [solver, datagen, method, limit] :
       std::vector<std::tuple<std::string, std::string, std::string, double>>{
           // Spectral truncation: the grid of the frames, one between, one that is coarser still.
           {kKolmogorov, "{steps_per_frame: 2, coarsen: {factor: 2, kind: spectral}}",
            "{grid: {points: 24}, stepper: {dt: 0.04}}", 0.15},
           {kKolmogorov, "{steps_per_frame: 2, coarsen: {factor: 2, kind: block_mean}}",
            "{grid: {points: 24}, stepper: {dt: 0.04}}", 0.15},
           {waves, "{steps_per_frame: 2, coarsen: {factor: 2, kind: spectral}}", "{grid: {points: 24}}", 0.02},
           {waves, "{steps_per_frame: 2, coarsen: {factor: 2, kind: block_mean}}", "{grid: {points: 16}}",
            0.02}}) {
    CAPTURE(datagen);
    CAPTURE(method);
    const Case c(solver, datagen, method);
    const Frames frames = compare(c, 4, solver == waves ? 20 : 400);
    const double error = test::relative_error(frames.method, frames.truth);
    MESSAGE(method << " " << datagen << ": relative error " << error);
    CHECK(error < limit);
  }
}

TEST_CASE("a state made from a frame has that frame, on any grid that holds its modes") {
  // cos(2 x + 3 y) at the places where the frames have their points.
  for (const std::string kind : {"spectral", "spectral_filtered", "block_mean"})
    for (const bool layers : {false, true})
      for (const int points : {16, 20, 32, 48, 64}) {
        CAPTURE(kind);
        CAPTURE(layers);
        CAPTURE(points);
        const Case c(layers ? kTwoLayers : kKolmogorov,
                     "{steps_per_frame: 1, coarsen: {factor: 2, kind: " + kind + "}}",
                     "{grid: {points: " + std::to_string(points) + "}}");
        const SolverMethod method = c.read();
        const auto axes = coarse_axes(c.truth.info(), c.data.coarsen);
        FrameTransfer transfer(axes, c.data.coarsen, method.source.info());
        const double length = 16 * (axes[0].coordinates[1] - axes[0].coordinates[0]),
                     unit = 2 * std::numbers::pi / length;
        const double size = layers ? 1e-7 : 1.0;  // slow enough for a solver's step
        std::vector<float> frame;
        for (std::size_t field = 0; field < c.truth.info().fields.size(); ++field)
          for (const double a : axes[0].coordinates)
            for (const double b : axes[1].coordinates)
              frame.push_back(
                  static_cast<float>(size * std::cos(unit * (2 * a + 3 * b) + static_cast<double>(field))));
        const std::vector<double> state = transfer.state(frame);
        std::vector<float> again(frame.size());
        transfer.frame(state, again);
        CHECK(test::relative_error(again, frame) < kFloatRounding);
        // The state is the same wave, stronger where cells' means had weakened it.
        const auto& x = method.source.info().axes[0].coordinates;
        std::vector<double> wave;
        for (std::size_t field = 0; field < c.truth.info().fields.size(); ++field)
          for (const double a : x)
            for (const double b : x)
              wave.push_back(std::cos(unit * (2 * a + 3 * b) + static_cast<double>(field)));
        double product = 0, square = 0;
        for (std::size_t i = 0; i < wave.size(); ++i) {
          product += wave[i] * state[i];
          square += wave[i] * wave[i];
        }
        const double gain = product / square / size;
        for (std::size_t i = 0; i < wave.size(); ++i) wave[i] *= gain * size;
        CHECK(test::relative_error(state, wave) < kFloatRounding);
        if (kind != "block_mean" || points == 16) CHECK(gain == test::relative(1).epsilon(1e-6));
        if (kind == "block_mean" && points == 32)
          CHECK(gain == test::relative(
                            1 / (std::cos(2 * std::numbers::pi / 32) * std::cos(3 * std::numbers::pi / 32))));
        if (transfer.native()) {
          const auto solver = method.source.make(1);
          solver->set_state(0, state);
          solver->frame(0, *transfer.native(), again);
          CHECK(test::relative_error(again, frame) < 1e-5);
        }
      }
}

TEST_CASE("frames without the zonal mean: the state has none, and the frames lose what the solver makes") {
  const Case c(kTwoLayers, "{steps_per_frame: 2, coarsen: {factor: 2, kind: spectral, remove: zonal_mean}}",
               "{grid: {points: 24}}");
  const SolverMethod method = c.read();
  FrameTransfer transfer(coarse_axes(c.truth.info(), c.data.coarsen), c.data.coarsen, method.source.info());
  std::vector<double> state(2 * 24 * 24);
  for (std::size_t i = 0; i < state.size(); ++i)
    state[i] = std::cos(2 * std::numbers::pi * static_cast<double>(i / 24 % 24) / 24);
  std::vector<float> frame(2 * 16 * 16);
  transfer.frame(state, frame);  // y stands in front: this is a zonal flow alone
  for (const float value : frame) CHECK(std::abs(value) < 1e-6F);
}

TEST_CASE("a solver's rollout that is stopped continues bit for bit") {
  const test::ScratchFolder folder;
  const Case c(kTwoLayers, "{steps_per_frame: 2, coarsen: {factor: 2, kind: spectral}}",
               "{grid: {points: 24}}");
  std::vector<float> initial(2 * 2 * 256);
  RandomStream(3, Purpose::initial_condition).fill_normal(std::span<float>(initial));
  for (float& value : initial) value *= 1e-6F;
  const RolloutJob whole = job_of(c, folder / "whole.h5", 60, initial),
                   parts = job_of(c, folder / "parts.h5", 60, initial);
  run_rollout(whole, *stepper_of(c, whole));

  /// Asks for a stop at a step.
  struct Stopping : RolloutStepper {
    std::unique_ptr<SolverStepper> inner;
    StepOutcome advance(const torch::Tensor& frame0, const torch::Tensor& x, std::span<const std::int64_t> ids,
                        std::int64_t step) override {
      if (step == 37) request_stop();
      return inner->advance(frame0, x, ids, step);
    }
    std::vector<float> save() const override { return inner->save(); }
  } stopping;
  stopping.inner = stepper_of(c, parts);
  CHECK_THROWS_AS(run_rollout(parts, stopping), Stopped);
  reset_stop();
  run_rollout(parts, *stepper_of(c, parts));
  CHECK(stored(whole) == stored(parts));
  const auto file = h5::File::open_read(parts.output);
  CHECK(file.attribute<double>("solver_points") == 24);
  CHECK(file.attribute<double>("solver_dt") == 3600);
  CHECK(file.attribute<double>("solver_steps_per_frame") == 2);
  CHECK(file.attribute<double>("largest_courant") ==
        h5::File::open_read(whole.output).attribute<double>("largest_courant"));
  CHECK(file.attribute<double>("largest_courant") > 0);
}

TEST_CASE("a solver that blows up is lost, alone") {
  const test::ScratchFolder folder;
  const Case c(kKolmogorov, "{steps_per_frame: 2, coarsen: {factor: 2, kind: spectral}}",
               "{grid: {points: 16}, stepper: {dt: 0.04}}");
  std::vector<float> initial(2 * 256, 0.0F);
  for (std::size_t i = 0; i < 256; ++i)
    initial[i] = 200 * std::cos(2 * std::numbers::pi_v<float> * static_cast<float>(i % 16) / 16);
  const RolloutJob job = job_of(c, folder / "a.h5", 30, initial);
  const RolloutSummary summary = run_rollout(job, *stepper_of(c, job));
  CHECK(summary.failed_step == std::vector<std::int64_t>{1, -1});  // beyond its Courant limit at once
  const auto frames = stored(job);
  CHECK(std::isnan(frames[256]));
  CHECK(std::isfinite(frames.back()));
}

TEST_CASE("solver methods: what is refused, and where it was written") {
  const std::string data = "{steps_per_frame: 2, coarsen: {factor: 2, kind: spectral}}";
  const auto refusal = [&](const std::string& method) { return Case(kKolmogorov, data, method).refusal(); };
  CHECK(refusal("{grid: {points: 16}, stepper: {dt: 0.04}}") == "no exception");
  CHECK(contains(refusal("{viscosty: 1}"),
                 "rollout.methods.coarse.solver.viscosty is unknown (did you mean viscosity?)"));
  CHECK(contains(refusal("{viscosty: 1}"), "x.yaml:4"));
  CHECK(contains(refusal("{grid: {poins: 16}}"), "solver.grid.poins is unknown"));
  CHECK(contains(refusal("{stepper: {dt: 0.03}}"),
                 "rollout.methods.coarse.solver.stepper.dt: 0.03 does not divide the time between frames, "
                 "0.04: give 0.04"));
  CHECK(contains(refusal("{stepper: {dt: 0.08}}"), "0.08 does not divide"));
  CHECK(contains(refusal("{grid: {length: 3.0}}"), "solver.grid.length: must be the experiment's"));
  CHECK(contains(refusal("{initial: {kind: rest}}"), "solver.initial: has no use here"));
  CHECK(contains(refusal("{stepper: {name: cn_rk2}}"),
                 "solver.stepper.dt is required"));  // a choice replaces another
  CHECK(contains(test::message_of<ConfigError>([&] { Case(kKolmogorov, data, "7"); }), "solver must be a map"));
}

TEST_CASE("solver methods: the text is what the file has, and keys of other methods may stay") {
  const std::string data = "{steps_per_frame: 2, coarsen: {factor: 2, kind: spectral}}";
  const Case c(kKolmogorov, data, "{grid: {points: 16}, stepper: {dt: 0.04}}");
  c.read();
  CHECK(c.method.text == "solver: {grid: {points: 16}, stepper: {dt: 0.04}}\n");
  CHECK(c.method.solver->resolved_yaml().find("viscosity: 0.02") != std::string::npos);
  const Config config =
      Config::parse("methods: {m: {solver: {grid: {points: 16}}, noise: 0.1, weights: raw}}\n");
  const RolloutConfig rollout = read_rollout(config.root(), {}, config.root().child("solver"));
  CHECK(rollout.methods.at(0).without_effect == "noise, weights (no effect on a solver)");
}
