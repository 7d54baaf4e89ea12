#include "experiments/evaluate.hpp"

#include "core/config.hpp"
#include "core/error.hpp"
#include "core/files.hpp"
#include "experiments/metrics/ensemble.hpp"
#include "tests/support/example_rollouts.hpp"
#include "tests/support/relative.hpp"
#include "tests/support/scratch.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <limits>
#include <map>

using namespace sns;
using namespace sns::test;
using Example = ExampleRollouts;

namespace {

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
    CHECK(number(copy["rate_ratio/late"]["value"]) == test::relative(1).epsilon(0.1));
    CHECK(number(copy["energy_ratio/mid"]["value"]) == test::relative(1).epsilon(0.1));
  }
  SUBCASE("an independent sample is uncorrelated and scores like the floor") {
    CHECK(number(other["nrmse/early"]["value"]) > 0.8);
    CHECK(number(other["correlation_time_0.9/all"]["value"]) == 0);
    CHECK(number(other["stable_fraction/all"]["value"]) == 1);
    const double floor = number(root["floor"]["results"]["spectrum_error/late"]["value"]);
    CHECK(number(other["spectrum_error/late"]["value"]) == test::relative(floor).epsilon(0.6));
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
    // Two members have 5, two have 7.
    const auto& denoiser = refined["cost"]["evaluations_estimates"]["denoiser"];
    CHECK(denoiser["value"] == 6);
    CHECK(number(denoiser["low"]) == 5);
    CHECK(number(denoiser["high"]) == 7);
    CHECK(refined["cost"]["evaluations_estimates"]["classifier"] ==
          nlohmann::json{{"value", 1.0}, {"low", 1.0}, {"high", 1.0}});
    CHECK(number(refined["cost"]["milliseconds_per_step"]) == test::relative(1e3 * 3.0 / (4 * 90)));
    CHECK(number(refined["cost"]["times_solver"]) == test::relative(1e3 * 3.0 / (4 * 90) / 2));
    CHECK(number(refined["cost"]["steps_per_second"]) == 30);
    CHECK(number(root["solver_cost"]["milliseconds_per_step"]) == 2);
    CHECK(number(root["solver_cost"]["steps_per_second"]) == 125);
    // Lost members cost nothing after their loss, and do not make the others look cheaper.
    const auto& lossy = root["methods"][0]["cost"];
    CHECK(lossy["member_steps"] == 2 * 90 + 2 * Example::kNanStart);
    CHECK(lossy["evaluations_per_step"]["surrogate"] == 1);
    CHECK(number(lossy["milliseconds_per_step"]) == test::relative(3e3 / (2 * 90 + 2 * Example::kNanStart)));
    const std::string table = read_text(inputs.output / "metrics.csv");
    CHECK(contains(table, "other,milliseconds_per_step,,all,ms,measured,8.33333333,,,,"));
    CHECK(contains(table, "other,denoiser_evaluations,,all,per step,measured,6,5,7,,"));
    CHECK(contains(table, "other,times_solver,,all,wall clock,measured,4.16"));
    CHECK(contains(table, "other,steps_per_second,,all,s^-1,measured,30"));
    CHECK(contains(table, "solver,milliseconds_per_step,,all,ms,measured,2"));
    CHECK(contains(table, "solver,steps_per_second,,all,s^-1,measured,125"));
    CHECK(refined["levels"]["present"].size() == 5);
    CHECK(refined["levels"]["present"][4] == 4 * 90);
    CHECK(refined["levels"]["past"][0] == 4 * 30);
    CHECK(root["methods"][0]["levels"]["past"].empty());
  }
}

TEST_CASE_FIXTURE(Fixture, "the ceilings of the short term are what their forecasts score") {
  const auto root = json();
  // By hand: the mean field over the frames after the first of the floor's trajectories, and the first frame of
  // each.
  constexpr std::size_t kPixels = Example::kPoints * Example::kPoints;
  std::vector<std::vector<float>> members;
  std::vector<double> mean(kPixels, 0.0);
  for (int m = 0; m < Example::kMembers + Example::kFloor; ++m) {
    members.push_back(example_member(static_cast<std::uint64_t>(m)));
    for (std::size_t i = kPixels; m >= Example::kMembers && i < members.back().size(); ++i)
      mean[i % kPixels] += static_cast<double>(members.back()[i]) / (Example::kFloor * Example::kSteps);
  }
  const double deviation = root["truth"]["fields"][0]["field_std"];
  const auto nrmse = [&](int member, const auto& forecast) {
    double sum = 0;
    const auto& frames = members[static_cast<std::size_t>(member)];
    for (std::size_t t = 1; t <= 30; ++t) {  // the first window
      double squares = 0;
      for (std::size_t i = 0; i < kPixels; ++i)
        squares += std::pow(static_cast<double>(frames[t * kPixels + i]) - forecast(member, i), 2);
      sum += std::sqrt(squares / kPixels) / deviation / 30;
    }
    return sum;
  };
  const auto& climatology = root["ceilings"]["climatology"]["results"]["nrmse/early"];
  const auto& persistence = root["ceilings"]["persistence"]["results"]["nrmse/early"];
  for (int m = 0; m < Example::kMembers; ++m) {
    CHECK(number(climatology["members"][static_cast<std::size_t>(m)]) ==
          test::relative(nrmse(m, [&](int, std::size_t i) { return mean[i]; })).epsilon(1e-5));
    CHECK(number(persistence["members"][static_cast<std::size_t>(m)]) ==
          test::relative(nrmse(m, [&](int of, std::size_t i) {
            return static_cast<double>(members[static_cast<std::size_t>(of)][i]);
          })).epsilon(1e-5));
  }
  // Unrelated states are further apart than either is from the mean.
  CHECK(number(climatology["value"]) < number(root["floor"]["results"]["nrmse/early"]["value"]));
  CHECK(number(root["ceilings"]["persistence"]["results"]["correlation_time_0.9/all"]["value"]) > 0);
  CHECK(root["flow"]["budget"]["not_available"] == "the data set does not say what drives and damps the flow");
  const auto file = h5::File::open_read(inputs.output / "curves.h5");
  CHECK(file.dataset("field/vorticity/ceiling/persistence/paired_nrmse").shape() ==
        h5::Shape{Example::kMembers, Example::kSteps + 1});
  CHECK(file.dataset("field/vorticity/ceiling/persistence/paired_nrmse").read<double>()[0] == 0);
}

TEST_CASE_FIXTURE(Fixture, "the ceilings of long statistics are what forecasts without dynamics score") {
  const auto root = json();
  const auto of = [&](const char* ceiling, const char* metric) {
    return number(root["ceilings"][ceiling]["results"][metric]["value"]);
  };
  for (const char* still : {"climatology", "persistence"}) {
    CHECK(root["ceilings"][still]["frames"] == Example::kSteps + 1);
    CHECK(of(still, "rate_ratio/late") == 0);
    CHECK(of(still, "frozen_fraction/all") == 1);
    CHECK(of(still, "decorrelation_ratio/all") > 4);  // never, within the lags that are looked at
  }
  // The mean of many phases has little energy; one frame has that of a frame.
  CHECK(of("climatology", "energy_ratio/late") < 0.3);
  CHECK(of("climatology", "stable_fraction/all") == 0);
  CHECK(of("persistence", "energy_ratio/late") == test::relative(1).epsilon(0.5));
  CHECK(of("persistence", "stable_fraction/all") == 1);
  CHECK(of("shuffled", "w1_increment/late") > of("persistence", "w1_increment/late"));
  // One mean field for all members, of runs that are no part of the reference: as far from it as those runs.
  CHECK(of("climatology", "mean_field_distance/all") ==
        test::relative(number(root["floor"]["results"]["mean_field_distance/all"]["value"])).epsilon(1e-4));
  // Shuffled frames are the solver's one by one, follow nothing, and change by the distance of unrelated
  // states.
  CHECK(of("shuffled", "energy_ratio/late") == test::relative(1).epsilon(0.1));
  CHECK(of("shuffled", "stable_fraction/all") == 1);
  CHECK(of("shuffled", "nrmse/early") == test::relative(std::sqrt(2)).epsilon(0.1));
  CHECK(of("shuffled", "decorrelation_ratio/all") < 0.5);
  // Statistics of single frames are those of solver runs, sampling error included.
  const double floor = number(root["floor"]["results"]["spectrum_error/late"]["value"]);
  CHECK(of("shuffled", "spectrum_error/late") > floor / 3);
  CHECK(of("shuffled", "spectrum_error/late") < 3 * floor);
  CHECK(of("shuffled", "rate_ratio/late") > 1.5);
}

TEST_CASE_FIXTURE(Fixture, "shuffled frames of a window are those of another run there") {
  const auto root = json();
  const auto& shuffled = root["ceilings"]["shuffled"]["results"]["energy_ratio/late"]["members"];
  const auto& floor = root["floor"]["results"]["energy_ratio/late"]["members"];
  std::map<double, int> used;
  for (const auto& value : shuffled) {
    const auto same = std::find_if(floor.begin(), floor.end(), [&](const auto& other) {
      return std::abs(number(other) - number(value)) < 1e-6 * number(value);
    });
    REQUIRE(same != floor.end());
    ++used[number(*same)];
  }
  CHECK(used.size() == Example::kFloor);  // three runs for four members
}

TEST_CASE("without a floor ceilings are made of the other members, never of the run they are compared with") {
  ScratchFolder folder;
  auto inputs = write_example(folder.path(), 0);
  evaluate_rollouts(inputs);
  auto root = nlohmann::json::parse(read_text(inputs.output / "metrics.json"));
  CHECK(root["floor"].is_null());
  const auto members = [&](const char* ceiling, const char* metric) {
    return root["ceilings"][ceiling]["results"][metric]["members"];
  };
  for (int m = 0; m < Example::kMembers; ++m) {
    const auto i = static_cast<std::size_t>(m);
    CHECK(number(members("climatology", "nrmse/early")[i]) > 0.7);
    // Each window is that of another member; the copy has the members' own.
    const auto& own = root["methods"][1]["results"]["energy_ratio/late"]["members"];
    const double drawn = number(members("shuffled", "energy_ratio/late")[i]);
    int whose = -1;
    for (int other = 0; other < Example::kMembers; ++other)
      if (std::abs(number(own[static_cast<std::size_t>(other)]) - drawn) < 1e-6 * drawn) whose = other;
    CHECK(whose >= 0);
    CHECK(whose != m);
  }
}

TEST_CASE("means over members are compared with means of as many solver runs") {
  ScratchFolder folder;
  const auto floor_of = [&](int runs) {
    auto inputs = write_example(folder.path() / std::to_string(runs), runs);
    evaluate_rollouts(inputs);
    return nlohmann::json::parse(read_text(inputs.output / "metrics.json"))["floor"]["results"];
  };
  const auto as_many = floor_of(Example::kMembers), more = floor_of(2 * Example::kMembers);
  for (const char* id : {"spectrum_error_ensemble/late", "spectrum_distance/all"}) {
    CAPTURE(id);
    CHECK(number(more[id]["value"]) == test::relative(number(as_many[id]["value"])).epsilon(1e-6));
    CHECK(number(more[id]["high"]) == test::relative(number(as_many[id]["high"])).epsilon(1e-6));
  }
  CHECK(as_many["spectrum_error/late"]["members"].size() == Example::kMembers);
  CHECK(more["spectrum_error/late"]["members"].size() == 2 * Example::kMembers);
  CHECK(number(more["spectrum_error/late"]["value"]) != number(as_many["spectrum_error/late"]["value"]));
}

TEST_CASE("where a score has no value nobody is better in it") {
  ScratchFolder folder;
  auto inputs = write_example(folder.path());
  inputs.config.window = Example::kSteps;  // a single one: there is no drift
  evaluate_rollouts(inputs);
  const auto root = nlohmann::json::parse(read_text(inputs.output / "metrics.json"));
  const auto& pair = root["paired"][2];  // of the two that keep their members
  CHECK(pair["results"]["spectrum_drift/all"]["better_share"]["value"].is_null());
  CHECK_FALSE(pair["results"]["spectrum_error/late"]["better_share"]["value"].is_null());
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

TEST_CASE("ensembles are scored against the truth of their initial conditions") {
  ScratchFolder folder;
  auto inputs = write_example(folder.path());
  inputs.methods[2].ensemble = folder / "ensemble.h5";
  const auto evaluated = [&](std::int64_t nan_from) {
    write_example_ensemble(*inputs.methods[2].ensemble, nan_from);
    evaluate_rollouts(inputs);
    return nlohmann::json::parse(read_text(inputs.output / "metrics.json"));
  };
  const auto root = evaluated(-1);
  const auto& results = root["methods"][2]["results"];
  CHECK(root["methods"][2]["ensemble_members"] == 2);
  CHECK(root["methods"][1]["ensemble_members"] == 0);
  CHECK_FALSE(root["methods"][1]["results"].contains("crps/early"));
  // Members 1.3 y and 1.1 y of truth y: fair CRPS 0.1 |y|, variance 0.02 y^2, squared error 0.04 y^2.
  CHECK(number(results["spread_skill/early"]["value"]) ==
        test::relative(std::sqrt(1.5 * 0.02 / 0.04)).epsilon(1e-4));
  const double deviation = root["truth"]["fields"][0]["field_std"];
  constexpr std::size_t kPixels = Example::kPoints * Example::kPoints;
  for (std::size_t m = 0; m < Example::kMembers; ++m) {
    const auto truth = example_member(m);
    double sum = 0;
    for (std::size_t i = kPixels; i < (kEnsembleSteps + 1) * kPixels; ++i)
      sum += std::abs(static_cast<double>(truth[i])) / static_cast<double>(kEnsembleSteps * kPixels);
    CHECK(number(results["crps/early"]["members"][m]) == test::relative(0.1 * sum / deviation).epsilon(1e-4));
  }
  // Of each member by the frames of the others: of 256 in all 43 each, evenly spaced.
  constexpr std::size_t kFrames = Example::kSteps + 1, kEach = 43,
                        kOthers = Example::kMembers + Example::kFloor - 1;
  static_assert((256 + kOthers - 1) / kOthers == kEach);
  for (std::size_t m = 0; m < Example::kMembers; ++m) {
    std::vector<float> others;
    for (std::size_t other = 0; other <= kOthers; ++other) {
      if (other == m) continue;
      const auto frames = example_member(other);
      for (std::size_t i = 0; i < kEach; ++i) {
        const auto begin =
            frames.begin() + static_cast<std::ptrdiff_t>((2 * i + 1) * kFrames / (2 * kEach) * kPixels);
        others.insert(others.end(), begin, begin + kPixels);
      }
    }
    const metrics::ClimatologyCrps climatology(others, kPixels);
    const auto truth = example_member(m);
    double sum = 0;  // over as many steps as the ensembles, which end within the window
    for (std::size_t t = 1; t <= kEnsembleSteps; ++t)
      sum += climatology(std::span<const float>(truth).subspan(t * kPixels, kPixels)) /
             static_cast<double>(kEnsembleSteps);
    CHECK(number(root["ceilings"]["climatology"]["results"]["crps/early"]["members"][m]) ==
          test::relative(sum / deviation).epsilon(1e-4));
  }
  const auto file = h5::File::open_read(inputs.output / "curves.h5");
  CHECK(file.dataset("field/vorticity/method/other/ensemble_crps").shape() ==
        h5::Shape{Example::kMembers, kEnsembleSteps + 1});
  CHECK_FALSE(file.exists("field/vorticity/method/copy/ensemble_crps"));

  CHECK(root["solver_ensemble"].is_null());
  inputs.solver_ensemble = inputs.methods[2].ensemble;
  const auto lossy = evaluated(10)["methods"][2]["results"];
  CHECK(lossy["crps/early"]["lost"] == 1);
  CHECK(lossy["crps/early"]["members"][Example::kMembers - 1] == "inf");
  CHECK(lossy["spread_skill/early"]["value"].is_null());
  CHECK(nlohmann::json::parse(read_text(inputs.output / "metrics.json"))["solver_ensemble"]["results"] ==
        nlohmann::json{{"crps/early", lossy["crps/early"]},
                       {"ensemble_nrmse/early", lossy["ensemble_nrmse/early"]},
                       {"spread_skill/early", lossy["spread_skill/early"]}});
  // A method that has no ensemble of an initial condition.
  auto edit = h5::File::open_edit(*inputs.methods[2].ensemble);
  auto ids = edit.dataset("member").read<std::int64_t>();
  ids[0] += 50;
  edit.dataset("member").write<std::int64_t>(ids);
  edit.close();
  CHECK(contains(message_of([&] { evaluate_rollouts(inputs); }), "all need equally many"));
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
