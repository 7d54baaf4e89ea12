#include "datagen/plan.hpp"
#include "tests/support/relative.hpp"

#include "core/error.hpp"
#include "core/files.hpp"
#include "datagen/shard.hpp"
#include "datagen/statistics.hpp"
#include "tests/support/scratch.hpp"
#include "tests/unit/datagen/toy_data.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <set>

using namespace sns;

namespace {

DatagenPlan plan_from(const std::string& yaml) {
  const Config config = Config::parse(yaml);
  return read_datagen_plan(config.root().child("datagen"), "toy", 1);
}

/// Sets environment variables for a scope.
struct Environment {
  explicit Environment(std::vector<std::pair<std::string, std::string>> values) : values_(std::move(values)) {
    for (const auto& [key, value] : values_) setenv(key.c_str(), value.c_str(), 1);
  }
  ~Environment() {
    for (const auto& [key, value] : values_) unsetenv(key.c_str());
  }
  std::vector<std::pair<std::string, std::string>> values_;
};

}  // namespace

TEST_CASE("splits are contiguous, complete, and never empty where a fraction is given") {
  for (const std::int64_t n : {3, 4, 7, 10, 20, 64, 1001}) {
    const auto splits = split_trajectories(n, {0.8, 0.1, 0.1});
    REQUIRE(splits.size() == 3);
    std::int64_t sum = 0;
    for (const Split& split : splits) {
      CHECK(split.trajectories >= 1);
      sum += split.trajectories;
    }
    CHECK(sum == n);
  }
  const auto large = split_trajectories(1000, {0.9, 0.05, 0.05});
  CHECK(large[0].trajectories == 900);
  CHECK(large[1].trajectories == 50);
  CHECK(split_trajectories(5, {0, 0, 1}).front().name == "test");
  CHECK_THROWS_AS(split_trajectories(2, {0.8, 0.1, 0.1}), ConfigError);
  CHECK_THROWS_AS(split_trajectories(10, {0.8, 0.1, 0.2}), ConfigError);
}

TEST_CASE("groups cover every trajectory once and never cross a split") {
  DatagenPlan plan = toy_plan();
  plan.first_trajectory = 1000000;
  plan.splits = {{"train", 5}, {"test", 3}};
  std::set<std::uint64_t> ids;
  for (const TrajectoryGroup& group : plan.groups()) {
    CHECK(group.count <= 2);
    for (std::int64_t i = 0; i < group.count; ++i) {
      const std::uint64_t id = group.first + static_cast<std::uint64_t>(i);
      CHECK(ids.insert(id).second);
      CHECK((group.split == "train") == (id < 1000005));
    }
  }
  CHECK(ids.size() == 8);
  CHECK(plan.stem({"train", 8, 1}) == "toy_000008");
}

TEST_CASE("a batch holds whole files, but no more than there are trajectories") {
  ToySettings settings;
  const SolverInfo info = toy_source(settings).info();
  DatagenPlan plan = toy_plan();
  plan.trajectories_per_file = 8;
  const auto members = [&](std::int64_t trajectories, int threads) {
    plan.splits = {{"train", trajectories}};
    return batch_members(plan, info, threads);
  };
  CHECK(members(1, 1) == 1);
  CHECK(members(3, 16) == 3);
  CHECK(members(100, 1) == 8);
  CHECK(members(100, 9) == 16);
  plan.trajectories_per_file = 100000;
  CHECK(members(5, 9999) == 5);
}

TEST_CASE("windows follow each other without a gap or a repeated frame") {
  DatagenPlan plan = toy_plan();
  plan.decorrelation_steps = 0;
  for (std::int64_t record = 0; record < plan.records(); ++record) {
    CHECK(plan.step_of(record) == plan.spinup_steps + record * plan.steps_per_frame);
  }
  plan.decorrelation_steps = 100;
  CHECK(plan.step_of(plan.frames) - plan.step_of(plan.frames - 1) == plan.steps_per_frame + 100);
}

TEST_CASE("the datagen block is read strictly") {
  const DatagenPlan plan = plan_from(
      "datagen: {trajectories: 20, split: {train: 0.5, test: 0.5}, coarsen: {factor: 4, kind: spectral}}");
  CHECK(plan.splits.size() == 2);
  CHECK(plan.coarsen.factor == 4);
  CHECK_THROWS_AS(plan_from("datagen: {frames: 0}"), ConfigError);
  CHECK_THROWS_AS(plan_from("datagen: {frames: many}"), ConfigError);
  CHECK_THROWS_AS(plan_from("datagen: {spinup_steps: -1}"), ConfigError);
  CHECK(plan_from("datagen: {coarsen: {remove: zonal_mean}}").coarsen.remove == Removal::zonal_mean);
  CHECK(plan.coarsen.remove == Removal::none);
  CHECK_THROWS_AS(plan_from("datagen: {coarsen: {remove: mean}}"), ConfigError);
  CHECK_THROWS_AS(plan_from("datagen: {coarsen: {factor: 2}}"), ConfigError);
  // As is left where a base has the factor and its kind is another: the block that begins with a kind replaces
  // it.
  CHECK_THROWS_WITH_AS(plan_from("datagen: {coarsen: {kind: block_mean}}"), doctest::Contains("needs a factor"),
                       ConfigError);
  CHECK(plan_from("datagen: {coarsen: {factor: 1, kind: block_mean}}").coarsen.kind == Coarsening::none);
  CHECK_THROWS_AS(plan_from("datagen: {coarsen: {factor: 2, kind: cubic}}"), ConfigError);
  CHECK_THROWS_AS(plan_from("datagen: {compression: lzf}"), ConfigError);
  CHECK_THROWS_WITH_AS(plan_from("datagen: {trajectories: 100000000000}"), doctest::Contains("10000000"),
                       ConfigError);
  CHECK_THROWS_AS(plan_from("datagen: {frames: 1000000000000}"), ConfigError);
  CHECK_THROWS_AS(plan_from("datagen: {trajectories_per_file: 2147483647}"), ConfigError);
  CHECK_THROWS_WITH_AS(plan_from("datagen: {trajectories: 10000000, samples_per_trajectory: 1000}"),
                       doctest::Contains("samples_per_trajectory"), ConfigError);
  CHECK(plan_from("datagen: {spinup_cache: states}").spinup_cache == "states");
  CHECK(plan_from("datagen: {spinup_cache: }").spinup_cache.empty());
  CHECK_THROWS_WITH_AS(plan_from("datagen: {steps_per_frame: 9000000000000000000}"), doctest::Contains("steps"),
                       ConfigError);
}

TEST_CASE("a licence reads back as it was given, and is quoted only where it has to be") {
  ToySettings settings;
  const SolverInfo info = toy_source(settings).info();
  const auto line = [&](const std::string& licence) {
    DatagenPlan plan = toy_plan();
    plan.licence = licence;
    const std::string text = identity_yaml(plan, info, "a: 1\n");
    const std::size_t at = text.find("licence: ");
    return text.substr(at, text.find('\n', at) - at);
  };
  CHECK(line("CC-BY-4.0") == "licence: CC-BY-4.0");
  CHECK(line("CC BY 4.0") == "licence: CC BY 4.0");
  CHECK(line("see: LICENSE # mine") == "licence: \"see: LICENSE # mine\"");
}

TEST_CASE("a data set with the same frames goes on as it is labelled and packed") {
  ToySettings settings;
  const SolverInfo info = toy_source(settings).info();
  const DatagenPlan plan = toy_plan();
  DatagenPlan there = plan;
  there.name = "other";
  there.licence = "see: LICENSE # mine";
  there.deflate = !plan.deflate;
  there.trajectories_per_file = plan.trajectories_per_file + 1;
  const test::ScratchFolder folder;
  const auto packed = [&] {
    return identity_yaml(packed_as_in(folder.path(), plan, info, "a: 1\n"), info, "a: 1\n");
  };
  const std::string own = identity_yaml(plan, info, "a: 1\n");
  CHECK(packed() == own);
  const std::string theirs = identity_yaml(there, info, "a: 1\n");
  write_text(folder / "config.yaml", theirs);
  CHECK(packed() == theirs);
  there.frames += 1;
  write_text(folder / "config.yaml", identity_yaml(there, info, "a: 1\n"));
  CHECK(packed() == own);
  write_text(folder / "config.yaml", "[not a plan");
  CHECK(packed() == own);
}

TEST_CASE("everything that decides the data is part of the identity") {
  ToySettings settings;
  const SolverInfo info = toy_source(settings).info();
  const DatagenPlan plan = toy_plan();
  const std::string text = identity_yaml(plan, info, "a: 1\n");
  CHECK(text == identity_yaml(plan, info, "a: 1\n"));
  CHECK(text != identity_yaml(plan, info, "a: 2\n"));
  CHECK(is_identity(text));
  CHECK_FALSE(is_identity("name: toy\nseed: 3\nsolver:\n  a: 1\n"));
  const auto differs = [&](auto&& change) {
    DatagenPlan other = plan;
    change(other);
    return identity_yaml(other, info, "a: 1\n") != text;
  };
  CHECK(differs([](DatagenPlan& p) { p.seed = 4; }));
  CHECK(differs([](DatagenPlan& p) { p.spinup_steps = 14; }));
  CHECK(differs([](DatagenPlan& p) { p.steps_per_frame = 4; }));
  CHECK(differs([](DatagenPlan& p) { p.frames = 22; }));
  CHECK(differs([](DatagenPlan& p) { p.samples_per_trajectory = 1; }));
  CHECK(differs([](DatagenPlan& p) { p.decorrelation_steps = 6; }));
  CHECK(differs([](DatagenPlan& p) { p.coarsen = {1, Coarsening::none}; }));
  CHECK(differs([](DatagenPlan& p) { p.coarsen.remove = Removal::zonal_mean; }));
  CHECK(!differs([](DatagenPlan& p) { p.spinup_cache = "somewhere"; }));
  CHECK(differs([](DatagenPlan& p) { p.first_trajectory = 1; }));
  CHECK(differs([](DatagenPlan& p) { p.splits[0].trajectories = 5; }));
}

TEST_CASE("coarse axes") {
  ToySettings settings;
  const SolverInfo info = toy_source(settings).info();
  CHECK(coarse_axes(info, {2, Coarsening::spectral})[0].coordinates == std::vector<double>{0, 1, 2, 3});
  CHECK(coarse_axes(info, {2, Coarsening::block_mean})[1].coordinates ==
        std::vector<double>{0.25, 1.25, 2.25, 3.25});
  CHECK_NOTHROW(require_divisible(info, {4, Coarsening::spectral}));
  CHECK_THROWS_AS(require_divisible(info, {3, Coarsening::spectral}), ConfigError);
}

TEST_CASE("shards come from the command line or the batch system") {
  CHECK(parse_shard("2/8").index == 2);
  CHECK(parse_shard("2/8").count == 8);
  for (const char* bad : {"8/8", "-1/8", "2", "2/", "/8", "a/b", "1/0", "1/2x", ""}) {
    CHECK_THROWS_AS(parse_shard(bad), ConfigError);
  }
  CHECK(shard_from_environment().count == 1);
  {
    const Environment batch({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "4"}});  // a batch script, which runs once
    CHECK(shard_from_environment().count == 1);
  }
  {
    const Environment slurm({{"SLURM_PROCID", "1"}, {"SLURM_STEP_NUM_TASKS", "4"}});
    CHECK(shard_from_environment().index == 1);
    const Environment array({{"SLURM_ARRAY_TASK_ID", "7"},
                             {"SLURM_ARRAY_TASK_COUNT", "5"},
                             {"SLURM_ARRAY_TASK_MIN", "1"},
                             {"SLURM_ARRAY_TASK_STEP", "2"}});
    CHECK(shard_from_environment().index == 3);
    CHECK(shard_from_environment().count == 5);
  }
  {
    const Environment torchrun({{"RANK", "1"}, {"WORLD_SIZE", "2"}});
    CHECK(shard_from_environment().index == 1);
    const Environment mpi({{"OMPI_COMM_WORLD_RANK", "0"}, {"OMPI_COMM_WORLD_SIZE", "3"}});
    CHECK(shard_from_environment().count == 3);
  }
  const Environment broken({{"RANK", "2"}, {"WORLD_SIZE", "2"}});
  CHECK_THROWS_AS(shard_from_environment(), ConfigError);
}

TEST_CASE("moments survive an offset that ruins sums of squares, in any partition") {
  std::vector<float> values;
  for (int i = 0; i < 1000; ++i) values.push_back(4096.0F + static_cast<float>(i % 7) * 0.125F);
  Moments whole, parts;
  whole.add(values);
  for (std::size_t i = 0; i < values.size(); i += 33) {
    parts.add(std::span<const float>(values).subspan(i, std::min<std::size_t>(33, values.size() - i)));
  }
  double mean = 0, variance = 0;
  for (const float v : values) mean += v / 1000.0;
  for (const float v : values) variance += (v - mean) * (v - mean) / 1000.0;
  CHECK(whole.mean == test::relative(mean).epsilon(1e-12));
  CHECK(whole.standard_deviation() == test::relative(std::sqrt(variance)).epsilon(1e-12));
  CHECK(parts.standard_deviation() == test::relative(std::sqrt(variance)).epsilon(1e-12));
  CHECK(parts.root_mean_square() == test::relative(std::sqrt(variance + mean * mean)).epsilon(1e-12));
}
