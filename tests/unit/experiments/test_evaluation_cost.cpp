// What methods cost, and which solver they are set beside.
#include "core/config.hpp"
#include "core/files.hpp"
#include "experiments/evaluation_cost.hpp"
#include "tests/support/example_rollouts.hpp"
#include "tests/support/relative.hpp"
#include "tests/support/scratch.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <tuple>

using namespace sns;
using namespace sns::test;
using Example = ExampleRollouts;

TEST_CASE("times are compared with the solver's on the same device and threads only") {
  ScratchFolder folder;
  auto inputs = write_example(folder.path());
  const auto ratio = [&](std::size_t method) {
    evaluate_rollouts(inputs);
    return nlohmann::json::parse(
        read_text(inputs.output / "metrics.json"))["methods"][method]["cost"]["times_solver"];
  };
  inputs.solver_cost->threads = 1;
  CHECK(ratio(0).is_null());
  inputs.solver_cost->threads = 2;
  CHECK_FALSE(ratio(0).is_null());
  auto file = h5::File::open_edit(inputs.methods[0].file);
  file.set_attribute("device", "cuda:0");
  file.close();
  CHECK(ratio(0).is_null());
  CHECK_FALSE(ratio(1).is_null());
  inputs.solver_cost.reset();
  CHECK(ratio(1).is_null());
}

TEST_CASE("times are CPU times where all ran on one thread and recorded them") {
  ScratchFolder folder;
  auto inputs = write_example(folder.path());
  // Each step of each method takes 4 ms on the wall, and 1 or 3 of CPU time, first the less; the solver's 2 and
  // 0.5 for its four members.
  const auto record = [](const std::filesystem::path& path) {
    auto file = h5::File::open_edit(path);
    std::vector<double> seconds(2 * 91, 0.0);
    for (std::size_t i = 1; i <= 90; ++i) {
      seconds[2 * i] = 4e-3;
      seconds[2 * i + 1] = i <= 45 ? 1e-3 : 3e-3;
    }
    file.write<double>("step_seconds", {91, 2}, seconds);
    file.set_attribute("threads", 1);
    file.close();
  };
  for (const EvaluateMethod& method : inputs.methods) record(method.file);
  inputs.solver_cost->threads = 1;
  inputs.solver_cost->milliseconds_per_step = 0.5;
  inputs.solver_cost->blocks.assign(20, {.seconds = {.wall = 2e-3, .cpu = 0.5e-3}, .member_steps = 4});
  const auto evaluated = [&] {
    evaluate_rollouts(inputs);
    return nlohmann::json::parse(read_text(inputs.output / "metrics.json"));
  };
  const auto root = evaluated();
  CHECK(root["cost_clock"] == "cpu");
  const auto& copy = root["methods"][1]["cost"];
  CHECK(number(copy["milliseconds_per_step"]) == test::relative(1));
  CHECK(number(copy["milliseconds_estimates"]["wall"]["high"]) == test::relative(1));
  CHECK(number(copy["milliseconds_estimates"]["cpu"]["value"]) == test::relative(0.5));
  CHECK(number(copy["times_solver"]) == test::relative(0.5 / 0.125));
  // Means of 20 blocks of 0.25 or 0.75 ms, the solver's all alike.
  const double spread = 1.96 * 0.25 / std::sqrt(20);
  CHECK(number(copy["milliseconds_estimates"]["cpu"]["low"]) == test::relative(0.5 - spread).epsilon(0.1));
  CHECK(number(copy["milliseconds_estimates"]["cpu"]["high"]) == test::relative(0.5 + spread).epsilon(0.1));
  CHECK(number(copy["times_solver_estimate"]["low"]) == test::relative((0.5 - spread) / 0.125).epsilon(0.1));
  CHECK(number(root["solver_cost"]["milliseconds_estimates"]["cpu"]["low"]) == test::relative(0.125));
  CHECK(number(root["speed"][1]["times_reference_estimate"]["high"]) ==
        test::relative((0.5 + spread) / 0.125).epsilon(0.1));
  // Two members are lost at kNanStart: the batch's steps are shared by those that are left.
  CHECK(number(root["methods"][0]["cost"]["milliseconds_per_step"]) ==
        test::relative(4.0 * 90 / (2 * 90 + 2 * Example::kNanStart)));
  const std::string table = read_text(inputs.output / "metrics.csv");
  CHECK(contains(table, "copy,cpu_milliseconds_per_step,,all,ms,measured,0.5,0.3"));
  CHECK(contains(table, "copy,milliseconds_per_step,,all,ms,measured,1,1,1,,"));
  CHECK(contains(table, "copy,times_solver,,all,CPU time,measured,4,"));
  SUBCASE("with more threads, the wall's") {
    auto file = h5::File::open_edit(inputs.methods[1].file);
    file.set_attribute("threads", 2);
    file.close();
    const auto wall = evaluated();
    CHECK(wall["cost_clock"] == "wall");
    CHECK(number(wall["methods"][2]["cost"]["times_solver"]) == test::relative(2));
    CHECK(wall["methods"][1]["cost"]["times_solver"].is_null());
  }
  SUBCASE("where one has none on record, the wall's") {
    write_example_rollout(inputs.methods[1].file, "copy");
    auto file = h5::File::open_edit(inputs.methods[1].file);
    file.set_attribute("threads", 1);
    file.close();
    const auto wall = evaluated();
    CHECK(wall["cost_clock"] == "wall");
    CHECK(wall["methods"][1]["cost"]["milliseconds_estimates"]["cpu"].is_null());
    CHECK(number(wall["methods"][1]["cost"]["times_solver"]) == test::relative(1e3 * 3.0 / (4 * 90) / 0.5));
    CHECK(wall["methods"][1]["cost"]["times_solver_estimate"]["low"].is_null());
    CHECK_FALSE(contains(read_text(inputs.output / "metrics.csv"), "copy,cpu_milliseconds"));
    // Earlier versions wrote how long members lived, later ones what each step took.
    file = h5::File::open_edit(inputs.methods[1].file);
    file.set_attribute("living_seconds", 1.8);
    file.close();
    CHECK(number(evaluated()["methods"][1]["cost"]["milliseconds_per_step"]) ==
          test::relative(1.8e3 / (4 * 90)));
  }
  SUBCASE("on a device, the wall's") {
    auto file = h5::File::open_edit(inputs.methods[1].file);
    file.set_attribute("device", "cuda:0");
    file.close();
    CHECK(evaluated()["cost_clock"] == "wall");
  }
  SUBCASE("where the solver ran on a device or on more threads, the wall's") {
    inputs.solver_cost->backend = "cufft";
    CHECK(evaluated()["cost_clock"] == "wall");
    inputs.solver_cost->backend = "fftw";
    inputs.solver_cost->threads = 2;
    CHECK(evaluated()["cost_clock"] == "wall");
    inputs.solver_cost.reset();
    CHECK(evaluated()["cost_clock"] == "cpu");
  }
  SUBCASE("times that do not fit the steps are refused") {
    write_example_rollout(inputs.methods[1].file, "copy");
    auto file = h5::File::open_edit(inputs.methods[1].file);
    file.write<double>("step_seconds", {90, 2}, std::vector<double>(180, 1e-3));
    file.close();
    CHECK(contains(message_of([&] { evaluate_rollouts(inputs); }), "copy.h5:/step_seconds does not fit /time"));
  }
}

TEST_CASE("an emulator is set beside the cheapest solver whose metrics are as good") {
  ScratchFolder folder;
  const auto inputs = write_example(folder.path());
  const auto make_solver_of = [&](std::size_t method, double points, double wall_seconds) {
    auto file = h5::File::open_edit(inputs.methods[method].file);
    for (const auto& [name, value] : std::vector<std::pair<std::string, double>>{{"solver_points", points},
                                                                                 {"solver_dt", 0.05},
                                                                                 {"solver_steps_per_frame", 2},
                                                                                 {"largest_courant", 0.3}})
      file.set_attribute(name, value);
    file.set_attribute("wall_seconds", wall_seconds);
    file.close();
  };
  const auto evaluated = [&] {
    evaluate_rollouts(inputs);
    return nlohmann::json::parse(read_text(inputs.output / "metrics.json"));
  };
  SUBCASE("the cheapest that is no worse counts, one that is better included") {
    make_solver_of(0, 8, 0.1);
    make_solver_of(1, 16, 0.5);
    const auto root = evaluated();
    REQUIRE(root["speed"].size() == 1);  // of emulators, not of solvers
    const auto& one = root["speed"][0];
    CHECK(one["method"] == "other");
    CHECK(one["equal_solver"] == "copy");
    CHECK(one["equal_points"] == 16);
    CHECK(number(one["times_equal"]) == test::relative(3.0 / 0.5));
    CHECK(number(one["times_reference"]) == test::relative(3e3 / (4 * 90) / 2));
    CHECK(one["better_than"].size() == 1);  // the diverging one
    const auto& worse = one["worse_in"];    // the copy of the truth forecasts it
    CHECK(std::find(worse.begin(), worse.end(), "nrmse/early") != worse.end());
    const auto& cost = root["methods"][1]["cost"];
    CHECK(cost["solver"]["points"] == 16);
    CHECK(cost["solver"]["steps_per_frame"] == 2);
    CHECK(number(cost["simulated_per_second"]) == test::relative(Example::kInterval * 4 * 90 / 0.5));
    CHECK(root["methods"][2]["cost"]["solver"].is_null());
    const std::string table = read_text(inputs.output / "metrics.csv");
    CHECK(contains(table, "copy,solver_points,,all,per side,measured,16"));
    CHECK(contains(table, "other,times_equal_solver,,all,wall clock,measured,6"));
    CHECK(contains(table, "solver,simulated_per_second,,all,time s^-1,measured,50"));
  }
  SUBCASE("a solver that blows up is no match, and the metrics say so") {
    make_solver_of(0, 16, 0.5);
    const auto root = evaluated();
    const auto& copy = root["speed"][0];
    CHECK(copy["method"] == "copy");
    CHECK(copy["equal_solver"].is_null());
    CHECK(copy["times_equal"].is_null());
    const auto& better = copy["better_than"]["diverging"];
    CHECK(std::find(better.begin(), better.end(), "spectrum_error/late") != better.end());
  }
  SUBCASE("times on other machines are not compared") {
    make_solver_of(1, 16, 0.5);
    auto file = h5::File::open_edit(inputs.methods[1].file);
    file.set_attribute("threads", 1);
    file.close();
    const auto other = evaluated()["speed"][1];
    CHECK(other["equal_solver"] == "copy");
    CHECK(other["times_equal"].is_null());
  }
  SUBCASE("no solver is set beside an emulator that loses members") {
    make_solver_of(1, 16, 0.5);
    const auto root = evaluated();
    const auto& diverging = root["speed"][0];
    CHECK(diverging["method"] == "diverging");
    CHECK(diverging["lost"] > 0);
    CHECK(diverging["equal_solver"].is_null());
    CHECK(diverging["times_equal"].is_null());
    CHECK(diverging["better_than"].empty());
    CHECK(root["speed"][1]["lost"] == 0);
  }
}

TEST_CASE("the cheapest solver is the one to beat, whatever its points, on the emulator's device and threads") {
  const auto method = [](const char* name, int points, double milliseconds, int threads) {
    Judged one;
    one.name = name;
    one.log.emplace();
    one.log->threads = threads;
    one.log->milliseconds_per_step = milliseconds;
    if (points > 0) one.log->solver.emplace().points = points;
    return one;
  };
  const auto compared = [&](std::vector<Judged> solvers) {
    Evaluation evaluation;
    evaluation.methods = {method("net", 0, 1.2, 1)};
    for (Judged& solver : solvers) evaluation.methods.push_back(std::move(solver));
    return compare_speed(evaluation).at(0);
  };
  const auto cheapest =
      compared({method("coarse", 56, 5.6, 1), method("fine", 64, 1.6, 1), method("elsewhere", 48, 0.3, 2)});
  CHECK(cheapest.equal_solver == "fine");
  CHECK(cheapest.times_equal.value == test::relative(1.2 / 1.6));
  const auto others = compared({method("fine", 64, 0.2, 2), method("coarse", 48, 0.3, 2)});
  CHECK(others.equal_solver == "coarse");
  CHECK(std::isnan(others.times_equal.value));
  // By CPU time another one is the cheapest than by the clock on the wall, which other work may have disturbed.
  const auto used = [&](Judged one, double cpu) {
    one.log->attributes["device"] = "cpu";
    one.log->blocks.assign(
        20, {.seconds = {.wall = 1e-3 * one.log->milliseconds_per_step, .cpu = 1e-3 * cpu}, .member_steps = 1});
    return one;
  };
  Evaluation evaluation;
  evaluation.methods = {used(method("net", 0, 1.2, 1), 1.2), used(method("coarse", 56, 5.6, 1), 0.8),
                        used(method("fine", 64, 1.6, 1), 1.6)};
  const SpeedComparison by_cpu = compare_speed(evaluation).at(0);
  CHECK(by_cpu.equal_solver == "coarse");
  CHECK(by_cpu.times_equal.value == test::relative(1.2 / 0.8));
  CHECK(by_cpu.times_equal.high == test::relative(1.2 / 0.8));
}

TEST_CASE("nothing is better than a solver that scores as independent runs do, but for the forecast") {
  using metrics::Estimate;
  const auto judged = [](const char* name, Estimate spectrum, Estimate nrmse, bool solver) {
    Judged one;
    one.name = name;
    one.log.emplace();
    for (const auto& [key, period, estimate] :
         {std::tuple("spectrum_error", "late", spectrum), {"nrmse", "early", nrmse}}) {
      metrics::Score score;
      score.info.key = key;
      score.info.period = period;
      score.estimate = estimate;
      one.scores.push_back(score);
    }
    if (solver) one.log->solver.emplace().points = 16;
    return one;
  };
  const Estimate same{1, 0.9, 1.1};
  const auto compared = [&](Estimate net_spectrum, Estimate solver_spectrum, Estimate solver_nrmse, bool floor,
                            double climatology = 1.5) {
    Evaluation evaluation;
    evaluation.methods = {judged("net", net_spectrum, same, false),
                          judged("coarse", solver_spectrum, solver_nrmse, true)};
    if (floor) evaluation.floor = judged("floor", {0.15, 0.12, 0.18}, {3, 2.9, 3.1}, false);
    evaluation.ceilings = {judged("persistence", same, {0.2, 0.1, 0.3}, false),
                           judged("climatology", same, {climatology, climatology, climatology}, false)};
    const std::vector<SpeedComparison> found = compare_speed(evaluation);
    REQUIRE(found.size() == 1);
    return found[0];
  };
  const auto better_than = [&](Estimate solver_spectrum, Estimate solver_nrmse, bool floor,
                               double climatology = 1.5) {
    const auto found = compared({0.1, 0.09, 0.11}, solver_spectrum, solver_nrmse, floor, climatology);
    return found.better_than.empty() ? std::vector<std::string>{} : found.better_than[0].second;
  };
  const Estimate at_floor{0.17, 0.16, 0.19}, beyond{0.19, 0.18, 0.2};
  CHECK(better_than(at_floor, same, true).empty());
  CHECK(better_than(at_floor, same, false) == std::vector<std::string>{"spectrum_error/late"});
  CHECK(better_than(beyond, same, true) == std::vector<std::string>{"spectrum_error/late"});
  CHECK(better_than(at_floor, {2, 1.9, 2.1}, true) == std::vector<std::string>{"nrmse/early"});
  // Frames that follow nothing: what is smoother errs by less, and that is no merit.
  CHECK(better_than(at_floor, {2, 1.9, 2.1}, true, 0.9).empty());
  // The same of a solver that is better: it counts where the emulator is beyond the floor, or forecasts worse.
  const Estimate less{0.1, 0.09, 0.11};
  CHECK(compared(at_floor, less, same, true).worse_in.empty());
  CHECK(compared(beyond, less, same, true).worse_in == std::vector<std::string>{"spectrum_error/late"});
  CHECK(compared(beyond, less, same, true).equal_solver == "coarse");
  CHECK(compared(less, less, {0.5, 0.4, 0.6}, true).worse_in == std::vector<std::string>{"nrmse/early"});
  CHECK(compared(less, less, {0.5, 0.4, 0.6}, true, 0.3).worse_in.empty());
}

namespace {

/// A method, or a coarse solver, with one score, which is still to be given.
Judged judged_by(const char* key, const char* period, const char* name, bool solver) {
  Judged one;
  one.name = name;
  one.log.emplace();
  if (solver) one.log->solver.emplace().points = 16;
  metrics::Score score;
  score.info.key = key;
  score.info.period = period;
  one.scores = {score};
  return one;
}

}  // namespace

TEST_CASE("where methods have the same members their paired difference decides, whichever way it was taken") {
  const auto judged = [](const char* name, bool solver) {
    Judged one = judged_by("spectrum_error", "late", name, solver);
    one.scores[0].estimate = {1, 0, 2};  // overlapping: alone they tell nothing
    return one;
  };
  const auto better = [&](const char* first, const char* second, metrics::Estimate difference) {
    Evaluation evaluation;
    evaluation.methods = {judged("net", false), judged("coarse", true)};
    evaluation.paired = {{first, second, {{evaluation.methods[0].scores[0].info, difference, {}}}}};
    return !compare_speed(evaluation).at(0).better_than.empty();
  };
  CHECK(better("net", "coarse", {-0.3, -0.5, -0.1}));
  CHECK(better("coarse", "net", {0.3, 0.1, 0.5}));
  CHECK_FALSE(better("net", "coarse", {-0.3, -0.5, 0.1}));
  CHECK_FALSE(better("coarse", "net", {0.3, -0.1, 0.5}));
  CHECK_FALSE(better("coarse", "net", {-0.3, -0.5, -0.1}));
}

TEST_CASE("a solver that loses a member is no match, however few they are") {
  const auto judged = [](const char* name, bool solver, std::vector<double> stable) {
    Judged one = judged_by("stable_fraction", "all", name, solver);
    one.scores[0].members = std::move(stable);
    return one;
  };
  Evaluation evaluation;
  evaluation.methods = {judged("net", false, {1, 1}), judged("coarse", true, {1, 0}),
                        judged("fine", true, {1, 1})};
  const SpeedComparison found = compare_speed(evaluation).at(0);
  CHECK(found.equal_solver == "fine");
  REQUIRE(found.better_than.size() == 1);
  CHECK(found.better_than[0].first == "coarse");
  CHECK(found.better_than[0].second == std::vector<std::string>{"stable_fraction/all"});
}

TEST_CASE("the solver is timed from states that it can start from, or not at all") {
  const auto cost = [](const std::string& limit) {
    const Config config = Config::parse(
        "solver: {system: kolmogorov, grid: {points: 16, length: 6.283185307179586}, viscosity: 1.0e-2,\n"
        "         drag: 0.1, forcing: {wavenumber: 4, amplitude: 1.0}, dealias: jaxcfd, advection: basdevant,\n"
        "         stepper: {name: cn_rk4, dt: 0.01}, precision: float32, max_courant: " +
        limit + ",\n         initial: {kind: filtered_velocity, max_velocity: 4.0, peak_wavenumber: 4}}\n");
    Section solver = config.root().child("solver");
    return measure_solver_cost(solver,
                               {.trajectories = {3, 4}, .steps_per_frame = 2, .members = 3, .seconds = 0.01});
  };
  const auto measured = cost("1.0");
  REQUIRE(measured.has_value());
  CHECK(measured->milliseconds_per_step > 0);
  CHECK(measured->members == 3);
  CHECK(1e3 / measured->steps_per_second == test::relative(3 * measured->milliseconds_per_step));
  CHECK(measured->steps_per_frame == 2);
  // The blocks are of the same time.
  REQUIRE_FALSE(measured->blocks.empty());
  for (const metrics::Block& block : measured->blocks) {
    CHECK(block.member_steps % 3 == 0);
    CHECK(block.seconds.cpu > 0);
  }
  CHECK(metrics::milliseconds_per_step(measured->blocks, metrics::CostClock::wall) ==
        test::relative(measured->milliseconds_per_step));
  CHECK_FALSE(cost("1.0e-3").has_value());  // every random state is beyond it
}
