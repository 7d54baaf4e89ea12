// Refinement with recorded noise: every path of the reference, step for step.
#include "emulator/models/sns.hpp"
#include "tests/golden/golden_models.hpp"
#include "tests/support/emulator_tolerances.hpp"
#include "tests/support/golden_network.hpp"
#include "tests/support/torch_doctest.hpp"

#include <torch/utils.h>

#include <algorithm>
#include <array>
#include <map>

using namespace sns;
using test::golden;

namespace {

class RecordedNoise : public NoiseSource {
 public:
  explicit RecordedNoise(const h5::File& file)
      : forward_{golden(file, "refine/z_short"), golden(file, "refine/z_t")},
        reverse_{golden(file, "refine/noise_short"), golden(file, "refine/noise_t")} {}
  void forward(std::int64_t sample, Frame frame, std::span<float> out) override {
    fill(forward_[static_cast<std::size_t>(frame)][sample], out);
  }
  void reverse(std::int64_t sample, Frame frame, int level, std::span<float> out) override {
    fill(reverse_[static_cast<std::size_t>(frame)][level][sample], out);
  }

 private:
  static void fill(const torch::Tensor& from, std::span<float> out) {
    REQUIRE(from.numel() == static_cast<std::int64_t>(out.size()));
    std::copy_n(from.contiguous().data_ptr<float>(), out.size(), out.begin());
  }
  std::array<torch::Tensor, 2> forward_, reverse_;
};

constexpr int kPast = 0, kPresent = 1, kBoth = 2;  // the record's codes

/// (frame, level) -> number of samples stepped.
using Calls = std::map<std::pair<int, int>, int>;

Calls recorded_calls(const h5::File& file, const std::string& path) {
  const auto rows = golden(file, "refine/" + path + "/calls", true);
  Calls calls;
  for (std::int64_t k = 0; k < rows.size(0); ++k)
    calls[{rows[k][0].item<int>(), rows[k][1].item<int>()}] += rows[k][2].item<int>();
  return calls;
}

Calls planned_calls(Path path, const std::vector<Levels>& levels) {
  Calls calls;
  for (const Walk& walk : plan_walks(path, SweepRule::reference, levels))
    for (const Move& move : walk) {
      const bool past = move.past != Move::kRest, present = move.present != Move::kRest;
      ++calls[{past && present ? kBoth : past ? kPast : kPresent, past ? move.past : move.present}];
    }
  return calls;
}

}  // namespace

TEST_CASE("every path reproduces the reference with recorded noise") {
  torch::set_num_threads(1);
  const auto file = h5::File::open_read(test::golden_file("emulator_sns.h5"));
  Sns sns(test::golden_sns_config(), 0, torch::kCPU);
  test::load_golden_weights(sns.network(), file);
  const torch::Tensor x = golden(file, "refine/x");

  const torch::Tensor recorded = golden(file, "refine/levels_short_t", true);
  const std::vector<Levels> levels = sns.levels(x);
  for (std::size_t b = 0; b < levels.size(); ++b) {
    CHECK(levels[b].past == recorded[static_cast<std::int64_t>(b)][0].item<int>());
    CHECK(levels[b].present == recorded[static_cast<std::int64_t>(b)][1].item<int>());
  }

  const std::pair<Path, std::string> cases[] = {
      {Path::A, "path_A"}, {Path::B, "path_B"}, {Path::C, "path_C"}, {Path::fixed_past, "fix_short"}};
  for (const auto& [path, name] : cases) {
    CAPTURE(name);
    RecordedNoise noise(file);
    RefineOptions options;
    options.path = path;
    options.rule = SweepRule::reference;
    const Refined refined = sns.refine(x, levels, options, noise);
    CHECK(test::relative_error(refined.x, golden(file, "refine/" + name + "/out")) < tolerance::kRefinement);

    const Calls calls = recorded_calls(file, name);
    CHECK(planned_calls(path, levels) == calls);
    std::int64_t evaluations = 0, expected = 0;
    for (const auto n : refined.evaluations) evaluations += n;
    for (const auto& call : calls) expected += call.second;
    CHECK(evaluations == expected);
  }
}

// The recorded batch had other members, whose levels set where its sweeps began: a stand-in takes their place.
TEST_CASE("two fields, path A: a sample of a batch with recorded noise") {
  torch::set_num_threads(1);
  const auto file = h5::File::open_read(test::golden_file("emulator_sns_qg.h5"));
  Sns sns(test::golden_sns_qg_config(), 0, torch::kCPU);
  test::load_golden_weights(sns.network(), file);
  const torch::Tensor x = golden(file, "refine/x");
  const torch::Tensor recorded = golden(file, "refine/levels_short_t", true),
                      highest = golden(file, "refine/batch_maximum", true);
  const std::vector<Levels> levels = sns.levels(x);
  CHECK(levels[0].past == recorded[0][0].item<int>());
  CHECK(levels[0].present == recorded[0][1].item<int>());

  class WithStandIn : public RecordedNoise {
   public:
    using RecordedNoise::RecordedNoise;
    void forward(std::int64_t sample, Frame frame, std::span<float> out) override {
      if (sample == 0) RecordedNoise::forward(sample, frame, out);
    }
    void reverse(std::int64_t sample, Frame frame, int level, std::span<float> out) override {
      if (sample == 0) RecordedNoise::reverse(sample, frame, level, out);
    }
  };
  WithStandIn noise(file);
  RefineOptions options;
  options.rule = SweepRule::reference;
  const Refined refined = sns.refine(
      x.repeat({2, 1, 1, 1}), {levels[0], {highest[0].item<int>(), highest[1].item<int>()}}, options, noise);
  CHECK(test::relative_error(refined.x.narrow(0, 0, 1).narrow(1, 2, 4), golden(file, "refine/path_A/frames")) <
        tolerance::kRefinement);
}
