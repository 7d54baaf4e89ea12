#include "experiments/evaluate.hpp"

#include "core/config.hpp"
#include "core/error.hpp"
#include "core/files.hpp"
#include "tests/support/example_rollouts.hpp"
#include "tests/support/scratch.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <limits>

using namespace sns;
using namespace sns::test;
using Example = ExampleRollouts;

namespace {

/// JSON of an evaluation; infinities are strings there.
double number(const nlohmann::json& value) {
  if (value.is_string()) return std::stod(value.get<std::string>());
  return value.is_null() ? std::nan("") : value.get<double>();
}

struct Fixture {
  Fixture() : inputs(write_example(folder.path())) { evaluate_rollouts(inputs); }
  nlohmann::json json() const { return nlohmann::json::parse(read_text(inputs.output / "metrics.json")); }
  ScratchFolder folder;
  EvaluateInputs inputs;
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "an evaluation finds what the example rollouts were given") {
  const auto root = json();
  const auto& diverging = root["methods"][0]["results"];
  const auto& copy = root["methods"][1]["results"];
  const auto& other = root["methods"][2]["results"];
  CHECK(root["truth"]["members"] == Example::kMembers);
  CHECK(root["truth"]["floor_members"] == Example::kFloor);
  CHECK(root["windows"]["late"] == nlohmann::json{61, 90});

  SUBCASE("a copy of the truth has no short-term error and full correlation") {
    CHECK(number(copy["nrmse/early"]["value"]) == 0);
    CHECK(number(copy["correlation_time_0.9/all"]["value"]) == std::numeric_limits<double>::infinity());
    CHECK(number(copy["w1/all"]["value"]) < 0.1);
    CHECK(number(copy["stable_fraction/all"]["value"]) == 1);
    CHECK(number(copy["rate_ratio/late"]["value"]) == doctest::Approx(1).epsilon(0.1));
    CHECK(number(copy["energy_ratio/mid"]["value"]) == doctest::Approx(1).epsilon(0.1));
  }
  SUBCASE("an independent sample is uncorrelated and scores like the floor") {
    CHECK(number(other["nrmse/early"]["value"]) > 0.8);
    CHECK(number(other["correlation_time_0.9/all"]["value"]) == 0);
    CHECK(number(other["stable_fraction/all"]["value"]) == 1);
    const double floor = number(root["floor"]["results"]["spectrum_error/late"]["value"]);
    CHECK(number(other["spectrum_error/late"]["value"]) == doctest::Approx(floor).epsilon(1.0));
  }
  SUBCASE("divergence and loss are found and counted") {
    CHECK(number(diverging["stable_fraction/all"]["value"]) == 0);
    CHECK(number(diverging["finite_fraction/all"]["value"]) == 0.5);
    const double unstable = number(diverging["first_unstable/all"]["value"]);
    CHECK(unstable > Example::kGrowthStart);
    CHECK(unstable < Example::kGrowthStart + 10);
    CHECK(diverging["spectrum_error/late"]["lost"] == 2);
    CHECK(number(diverging["spectrum_error/late"]["value"]) == std::numeric_limits<double>::infinity());
    CHECK(number(diverging["spectrum_error/early"]["value"]) < 1);
    CHECK(diverging["spectrum_error_ensemble/late"]["lost"] == 2);
    CHECK(number(diverging["spectrum_error_ensemble/late"]["value"]) > 3);
    CHECK(number(diverging["w1/late"]["value"]) == std::numeric_limits<double>::infinity());
  }
  SUBCASE("paired differences name the later method first") {
    REQUIRE(root["paired"].size() == 3);
    const auto& pair = root["paired"][0];
    CHECK(pair["a"] == "copy");
    CHECK(pair["b"] == "diverging");
    CHECK(number(pair["results"]["spectrum_error/late"]["better_share"]["value"]) == 1);
    CHECK(number(pair["results"]["stable_fraction/all"]["value"]) == 1);
    CHECK(number(pair["results"]["spectrum_error_ensemble/late"]["high"]) < 0);
  }
  SUBCASE("levels and costs are read from the rollouts") {
    const auto& refined = root["methods"][2];
    CHECK(refined["cost"]["evaluations_per_step"]["denoiser"] == 6);
    CHECK(refined["cost"]["evaluations_per_step"]["classifier"] == 1);
    CHECK(number(refined["cost"]["milliseconds_per_step"]) == doctest::Approx(1e3 * 3.0 / (4 * 90)));
    CHECK(number(refined["cost"]["times_solver"]) == doctest::Approx(1e3 * 3.0 / (4 * 90) / 2));
    CHECK(number(refined["cost"]["steps_per_second"]) == 30);
    CHECK(number(root["solver_cost"]["milliseconds_per_step"]) == 2);
    CHECK(number(root["solver_cost"]["steps_per_second"]) == 125);
    // Lost members cost nothing after their loss, and do not make the others look cheaper.
    const auto& lossy = root["methods"][0]["cost"];
    CHECK(lossy["member_steps"] == 2 * 90 + 2 * Example::kNanStart);
    CHECK(lossy["evaluations_per_step"]["surrogate"] == 1);
    CHECK(number(lossy["milliseconds_per_step"]) == doctest::Approx(3e3 / (2 * 90 + 2 * Example::kNanStart)));
    const std::string table = read_text(inputs.output / "metrics.csv");
    CHECK(contains(table, "other,milliseconds_per_step,,all,ms,measured,8.33"));
    CHECK(contains(table, "other,times_solver,,all,-,measured,4.16"));
    CHECK(contains(table, "other,steps_per_second,,all,s^-1,measured,30"));
    CHECK(contains(table, "solver,milliseconds_per_step,,all,ms,measured,2"));
    CHECK(contains(table, "solver,steps_per_second,,all,s^-1,measured,125"));
    CHECK(refined["levels"]["present"].size() == 5);
    CHECK(refined["levels"]["present"][4] == 4 * 90);
    CHECK(refined["levels"]["past"][0] == 4 * 30);
    CHECK(root["methods"][0]["levels"]["past"].empty());
  }
}

TEST_CASE_FIXTURE(Fixture, "the number of threads does not change the numbers") {
  auto first = json();
  inputs.threads = 1;
  evaluate_rollouts(inputs);
  auto second = json();
  first.erase("created_utc");
  second.erase("created_utc");
  CHECK(first == second);
}

TEST_CASE_FIXTURE(Fixture, "curves.h5 holds what the figures draw") {
  const auto file = h5::File::open_read(inputs.output / "curves.h5");
  CHECK(file.attribute<std::vector<std::string>>("methods") ==
        std::vector<std::string>{"diverging", "copy", "other"});
  const auto snapshots = file.dataset("field/vorticity/method/copy/snapshots");
  CHECK(snapshots.shape() == h5::Shape{4, Example::kPoints, Example::kPoints});
  CHECK(file.dataset("field/vorticity/method/copy/snapshot_frames").read<std::int64_t>() ==
        std::vector<std::int64_t>{0, 30, 60, 90});
  CHECK(snapshots.read<float>() == file.dataset("field/vorticity/truth/snapshots").read<float>());
  CHECK(file.dataset("field/vorticity/method/other/window_spectra").shape() ==
        h5::Shape{Example::kMembers, 3, 8});
  CHECK(file.dataset("field/vorticity/floor/autocorrelation").shape() == h5::Shape{Example::kFloor, 21});
  CHECK(file.dataset("field/vorticity/truth/temporal_frames").read<std::int64_t>() ==
        std::vector<std::int64_t>{0, 45, 45, 90});
  CHECK(file.dataset("field/vorticity/method/copy/rate_end").read<double>() ==
        file.dataset("field/vorticity/truth/rate_end").read<double>());
  CHECK(file.dataset("field/vorticity/method/copy/autocorrelation_begin").shape() ==
        h5::Shape{Example::kMembers, 21});
}

TEST_CASE_FIXTURE(Fixture, "snapshots are taken at the steps asked for") {
  inputs.figure.steps = {0, 7, 90};
  evaluate_rollouts(inputs);
  const auto file = h5::File::open_read(inputs.output / "curves.h5");
  CHECK(file.dataset("field/vorticity/method/copy/snapshot_frames").read<std::int64_t>() ==
        std::vector<std::int64_t>{0, 7, 90});
}

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
  CHECK(1e3 / measured->steps_per_second == doctest::Approx(3 * measured->milliseconds_per_step));
  CHECK(measured->steps_per_frame == 2);
  CHECK_FALSE(cost("1.0e-3").has_value());  // every random state is beyond it
}

TEST_CASE("what cannot be evaluated is refused with one clear line") {
  ScratchFolder folder;
  auto inputs = write_example(folder.path());
  SUBCASE("unfinished rollout") {
    write_example_rollout(inputs.methods[1].file, "copy", false);
    CHECK(contains(message_of([&] { evaluate_rollouts(inputs); }), "copy.h5 is not finished"));
  }
  SUBCASE("a member without truth") {
    auto file = h5::File::open_edit(inputs.methods[1].file);
    file.dataset("member").write<std::int64_t>(std::vector<std::int64_t>{1, 2, 3, 4});
    file.close();
    CHECK(contains(message_of([&] { evaluate_rollouts(inputs); }), "copy: member 1 has no truth trajectory"));
  }
  SUBCASE("another frame interval") {
    auto file = h5::File::open_edit(inputs.methods[0].file);
    file.dataset("time").write<double>(example_axis(Example::kSteps + 1, 0.2));
    file.close();
    CHECK(contains(message_of([&] { evaluate_rollouts(inputs); }), "differ from truth's"));
  }
  SUBCASE("no truth") {
    inputs.truth = folder / "nothing";
    CHECK(contains(message_of([&] { evaluate_rollouts(inputs); }), "is not a data-set folder"));
  }
}

TEST_CASE("the evaluate block is checked") {
  const auto load = [](const std::string& text) {
    const Config config = Config::parse(text);
    EvaluateConfig result;
    Section section = config.root().child("evaluate");
    read(section, result);
    config.finish();
    return result;
  };
  CHECK(load("evaluate: {window: 100, spectrum: paper}").window == 100);
  CHECK(load("evaluate: {}").bootstrap == 2000);
  CHECK_THROWS_AS(load("evaluate: {spectrum: octave}"), ConfigError);
  CHECK_THROWS_AS(load("evaluate: {bootstrap: 0}"), ConfigError);
  CHECK_THROWS_WITH(load("evaluate: {windw: 100}"), doctest::Contains("window"));
}
