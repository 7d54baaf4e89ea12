#pragma once
// A small truth set and three rollouts with known properties, for the tests of evaluation and figures:
// "copy" repeats the paired truth, "other" is an independent sample of the same process, "diverging" grows
// without bound from step kGrowthStart on; its members 0 and 1 are NaN from step kNanStart on.
#include "core/hdf5.hpp"
#include "core/random.hpp"
#include "experiments/evaluate.hpp"

#include <nlohmann/json.hpp>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <numbers>
#include <string>
#include <vector>

namespace sns::test {

struct ExampleRollouts {
  static constexpr int kPoints = 16, kMembers = 4, kFloor = 3;
  static constexpr std::int64_t kSteps = 90, kGrowthStart = 30, kNanStart = 60;
  static constexpr double kInterval = 0.1;
  static constexpr std::int64_t kFirstId = 1000000;
};

/// Frames [time][x][y] of one member: drifting Fourier modes |k| <= 6 with an E(k) that falls as k^-3.
inline std::vector<float> example_member(std::uint64_t seed) {
  using E = ExampleRollouts;
  constexpr int kModes = 6, n = E::kPoints;
  RandomStream random(seed, Purpose::validation);
  std::vector<float> frames(static_cast<std::size_t>(E::kSteps + 1) * n * n, 0.0F);
  for (int kx = -kModes; kx <= kModes; ++kx)
    for (int ky = 0; ky <= kModes; ++ky) {
      const double k = std::hypot(kx, ky);
      const double phase = 2 * std::numbers::pi * random.uniform(), drift = 3 * random.normal();
      if (k == 0 || k > kModes) continue;
      for (std::int64_t t = 0; t <= E::kSteps; ++t) {
        const double angle = phase + drift * E::kInterval * static_cast<double>(t);
        float cycle[n];  // the wave takes n values only
        for (int p = 0; p < n; ++p)
          cycle[p] = static_cast<float>(std::cos(2 * std::numbers::pi * p / n + angle) / k);
        for (int i = 0; i < n; ++i)
          for (int j = 0; j < n; ++j)
            frames[static_cast<std::size_t>((t * n + i) * n + j)] += cycle[(kx * i + ky * j + n * n) % n];
      }
    }
  return frames;
}

inline std::vector<double> example_axis(std::int64_t count, double spacing) {
  std::vector<double> values;
  for (std::int64_t i = 0; i < count; ++i) values.push_back(spacing * static_cast<double>(i));
  return values;
}

inline void write_example_truth(const std::filesystem::path& folder, int floor = ExampleRollouts::kFloor) {
  using E = ExampleRollouts;
  const auto frames = static_cast<std::uint64_t>(E::kSteps + 1), n = static_cast<std::uint64_t>(E::kPoints);
  std::filesystem::create_directories(folder / "data/test");
  // Two files, so that trajectories have to be found by id.
  const std::vector<std::pair<int, int>> files{{0, 2}, {2, E::kMembers + floor}};
  for (const auto& [first, last] : files) {
    const auto count = static_cast<std::uint64_t>(last - first);
    auto file =
        h5::File::create(folder / "data/test" / ("example_" + std::to_string(E::kFirstId + first) + ".h5"));
    std::vector<float> values;
    std::vector<std::int64_t> ids;
    for (int m = first; m < last; ++m) {
      const auto member = example_member(static_cast<std::uint64_t>(m));
      values.insert(values.end(), member.begin(), member.end());
      ids.push_back(E::kFirstId + m);
    }
    file.make_group("t0_fields").write<float>("vorticity", {count, frames, n, n}, values);
    file.make_group("provenance").write<std::int64_t>("trajectory_id", {count}, ids);
    file.write<double>("time", {frames}, example_axis(E::kSteps + 1, E::kInterval));
    file.write<double>("x", {n}, example_axis(E::kPoints, 2 * std::numbers::pi / E::kPoints));
    file.close();
  }
}

inline void write_example_rollout(const std::filesystem::path& path, const std::string& method,
                                  bool complete = true) {
  using E = ExampleRollouts;
  const auto frames = static_cast<std::uint64_t>(E::kSteps + 1), n = static_cast<std::uint64_t>(E::kPoints);
  const auto members = static_cast<std::uint64_t>(E::kMembers);
  std::vector<float> values;
  std::vector<std::int64_t> ids, evaluations, failed;
  std::vector<std::int32_t> levels;
  for (int m = 0; m < E::kMembers; ++m) {
    auto member = example_member(static_cast<std::uint64_t>(method == "other" ? 100 + m : m));
    const std::int64_t nan_from = method == "diverging" && m < 2 ? E::kNanStart : -1;
    for (std::int64_t t = 0; t <= E::kSteps; ++t) {
      float factor = 1;
      if (method == "diverging" && t >= E::kGrowthStart)
        factor = std::exp(0.2F * static_cast<float>(t - E::kGrowthStart));
      if (nan_from >= 0 && t >= nan_from) factor = std::numeric_limits<float>::quiet_NaN();
      for (std::size_t i = 0; i < n * n; ++i) member[static_cast<std::size_t>(t) * n * n + i] *= factor;
      const bool refined = method == "other" && t > 0, lost = nan_from >= 0 && t > nan_from;
      levels.insert(levels.end(), {refined ? static_cast<std::int32_t>(t % 3) : -1, refined ? 4 : -1});
      evaluations.insert(evaluations.end(),
                         {t > 0 && !lost ? 1 : 0, refined ? 1 : 0, refined ? 5 + 2 * (m % 2) : 0});
    }
    failed.push_back(nan_from);
    values.insert(values.end(), member.begin(), member.end());
    ids.push_back(E::kFirstId + m);
  }
  auto file = h5::File::create(path);
  file.write<float>("vorticity", {members, frames, n, n}, values);
  file.write<double>("time", {frames}, example_axis(E::kSteps + 1, E::kInterval));
  file.write<std::int64_t>("member", {members}, ids);
  file.write<std::int32_t>("levels", {members, frames, 2}, levels);
  file.write<std::int64_t>("evaluations", {members, frames, 3}, evaluations);
  file.set_attribute("method", method);
  if (method == "other") file.set_attribute("weights_refiner_sha256", "0");
  file.set_attribute("git_commit", "unknown");
  file.write<std::int64_t>("failed_step", {members}, failed);
  file.set_attribute("wall_seconds", 3.0);
  file.set_attribute("steps_per_second", 30.0);
  file.set_attribute("threads", 2);
  file.set_attribute("device", "cpu");
  file.set_attribute("complete", complete);
  file.close();
}

/// An ensemble of two members of each initial condition, 1.3 and 1.1 times the truth, of kEnsembleSteps steps;
/// of the last initial condition's second member is NaN from frame `nan_from` on, if that is not negative.
inline constexpr std::int64_t kEnsembleSteps = 20;
inline void write_example_ensemble(const std::filesystem::path& path, std::int64_t nan_from = -1) {
  using E = ExampleRollouts;
  const auto frames = static_cast<std::uint64_t>(kEnsembleSteps + 1),
             n = static_cast<std::uint64_t>(E::kPoints);
  std::vector<float> values;
  std::vector<std::int64_t> ids;
  for (int e = 1; e <= 2; ++e)
    for (int m = 0; m < E::kMembers; ++m) {
      auto member = example_member(static_cast<std::uint64_t>(m));
      member.resize(frames * n * n);
      for (std::size_t i = 0; i < member.size(); ++i) {
        member[i] *= e == 1 ? 1.3F : 1.1F;
        if (nan_from >= 0 && e == 2 && m == E::kMembers - 1 && i >= static_cast<std::size_t>(nan_from) * n * n)
          member[i] = std::numeric_limits<float>::quiet_NaN();
      }
      values.insert(values.end(), member.begin(), member.end());
      ids.push_back(1'000'000'000LL * e + E::kFirstId + m);
    }
  auto file = h5::File::create(path);
  file.write<float>("vorticity", {ids.size(), frames, n, n}, values);
  file.write<double>("time", {frames}, example_axis(kEnsembleSteps + 1, E::kInterval));
  file.write<std::int64_t>("member", {ids.size()}, ids);
  file.set_attribute("complete", true);
  file.close();
}

/// Writes all files below `folder` and returns the inputs of their evaluation, into <folder>/evaluation.
inline EvaluateInputs write_example(const std::filesystem::path& folder, int floor = ExampleRollouts::kFloor) {
  EvaluateInputs inputs;
  inputs.truth = folder / "truth";
  write_example_truth(inputs.truth, floor);
  std::filesystem::create_directories(folder / "rollouts");
  for (const std::string method : {"diverging", "copy", "other"}) {
    inputs.methods.push_back({method, folder / "rollouts" / (method + ".h5")});
    write_example_rollout(inputs.methods.back().file, method);
  }
  inputs.output = folder / "evaluation";
  inputs.config.bootstrap = 300;
  inputs.config.window = 30;
  inputs.config.lags = 20;
  inputs.figure.columns = 4;
  inputs.seed = 5;
  inputs.threads = 2;
  inputs.solver_cost = SolverCost{.milliseconds_per_step = 2,
                                  .steps_per_second = 125,
                                  .steps_per_frame = 2,
                                  .points = 16,
                                  .members = 4,
                                  .threads = 2,
                                  .precision = "float32",
                                  .backend = "fftw"};
  return inputs;
}

/// A number of an evaluation's JSON, where infinities are strings and undefined values null.
inline double number(const nlohmann::json& value) {
  if (value.is_string()) return std::stod(value.get<std::string>());
  return value.is_null() ? std::nan("") : value.get<double>();
}

}  // namespace sns::test
