// Refinement with recorded noise: every path of the reference, step for step.
#include "emulator/models/acdm.hpp"
#include "emulator/models/sns.hpp"
#include "emulator/models/thermalizer.hpp"
#include "tests/golden/golden_models.hpp"
#include "tests/support/emulator_tolerances.hpp"
#include "tests/support/golden_network.hpp"
#include "tests/support/torch_doctest.hpp"

#include <torch/utils.h>

#include <algorithm>
#include <array>
#include <map>
#include <tuple>

using namespace sns;
using test::golden;

namespace {

void fill(const torch::Tensor& from, std::span<float> out) {
  REQUIRE(from.numel() == static_cast<std::int64_t>(out.size()));
  std::copy_n(from.contiguous().data_ptr<float>(), out.size(), out.begin());
}

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
  void condition(std::int64_t, int, std::span<float>) override { FAIL("no frame is a condition only"); }

 private:
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

Calls planned_calls(Path path, SweepRule rule, const std::vector<Levels>& levels) {
  Calls calls;
  for (const Walk& walk : plan_walks(path, rule, levels, 64))
    for (const Move& move : walk.moves) {
      const bool past = move.past != Move::kRest, present = move.present != Move::kRest;
      ++calls[{past && present ? kBoth : past ? kPast : kPresent, past ? move.past : move.present}];
    }
  return calls;
}

struct System {
  const char* file;
  ModelConfig config;
  SweepRule fixed_past;  ///< of the reference's own routine for a fixed past
};

/// One field, and two fields with attention.
std::vector<System> systems() {
  return {{"emulator_sns.h5", test::golden_sns_config(), SweepRule::reference},
          {"emulator_sns_qg.h5", test::golden_sns_qg_config(), SweepRule::inclusive}};
}

}  // namespace

TEST_CASE("every path reproduces the reference with recorded noise") {
  torch::set_num_threads(1);
  for (const System& system : systems()) {
    CAPTURE(system.file);
    const auto file = h5::File::open_read(test::golden_file(system.file));
    Sns sns(system.config, 0, torch::kCPU);
    test::load_golden_weights(sns.network(), file);
    const std::int64_t channels = system.config.field_channels;
    const torch::Tensor x = golden(file, "refine/x");

    const torch::Tensor recorded = golden(file, "refine/levels_short_t", true);
    const std::vector<Levels> levels = sns.levels(x);
    for (std::size_t b = 0; b < levels.size(); ++b) {
      CHECK(levels[b].past == recorded[static_cast<std::int64_t>(b)][0].item<int>());
      CHECK(levels[b].present == recorded[static_cast<std::int64_t>(b)][1].item<int>());
    }

    RecordedNoise noise(file);
    const std::tuple<Path, SweepRule, std::string> cases[] = {
        {Path::A, SweepRule::reference, "path_A"},
        {Path::B, SweepRule::reference, "path_B"},
        {Path::C, SweepRule::reference, "path_C"},
        {Path::fixed_past, system.fixed_past, "fix_short"}};
    for (const auto& [path, rule, name] : cases) {
      CAPTURE(name);
      RefineOptions options;
      options.path = path;
      options.rule = rule;
      const Refined refined = sns.refine(x, levels, options, noise);
      CHECK(torch::equal(refined.x.narrow(1, 0, channels), x.narrow(1, 0, channels)));
      CHECK(test::refined_error(refined.x.narrow(1, channels, 2 * channels), file, "refine/" + name) <
            tolerance::kRefinement);

      const Calls calls = recorded_calls(file, name);
      CHECK(planned_calls(path, rule, levels) == calls);
      std::int64_t evaluations = 0, expected = 0;
      for (const auto n : refined.evaluations) evaluations += n;
      for (const auto& call : calls) expected += call.second;
      CHECK(evaluations == expected);
    }
  }
}

TEST_CASE("31 reverse steps of the present frame with recorded noise") {
  torch::set_num_threads(1);
  class Recorded : public NoiseSource {
   public:
    explicit Recorded(const h5::File& file) : reverse_(golden(file, "reverse/noise")) {}
    void forward(std::int64_t, Frame, std::span<float>) override { FAIL("no frame is noised"); }
    void reverse(std::int64_t sample, Frame frame, int level, std::span<float> out) override {
      CHECK(bool(frame == Frame::present));
      fill(reverse_[level][sample], out);
    }
    void condition(std::int64_t, int, std::span<float>) override { FAIL("no frame is a condition only"); }

   private:
    torch::Tensor reverse_;
  };
  for (const System& system : systems()) {
    CAPTURE(system.file);
    const auto file = h5::File::open_read(test::golden_file(system.file));
    Sns sns(system.config, 0, torch::kCPU);
    test::load_golden_weights(sns.network(), file);
    const std::int64_t channels = system.config.field_channels;
    const Denoiser denoiser = [&](const torch::Tensor& x, const Step&) { return sns.net().forward(x).noise; };
    const auto present_after = [&](int last) {
      Walk walk{.start = {Levels::kClean, 30}, .moves = {}, .noised = true};
      for (int level = 30; level >= last; --level)
        walk.moves.push_back({.past = Move::kRest, .present = level});
      Recorded noise(file);
      const Sampled sampled = follow(sns.schedule(), {2, channels}, denoiser, golden(file, "reverse/x0"),
                                     {walk}, ReverseStd::posterior, noise);
      CHECK(sampled.evaluations == std::vector<std::int64_t>{31 - last});
      return sampled.x.narrow(1, 2 * channels, channels);
    };
    CHECK(test::relative_error(present_after(30), golden(file, "reverse/x_after_first_step")) <
          tolerance::kForward);
    CHECK(test::relative_error(present_after(0), golden(file, "reverse/x_final")) < tolerance::kRefinement);
  }
}

TEST_CASE("thermalizer: denoising with recorded noise, down to the stop level") {
  torch::set_num_threads(1);
  const auto file = h5::File::open_read(test::golden_file("emulator_thermalizer.h5"));
  Thermalizer thermalizer(test::golden_thermalizer_config(), 0, torch::kCPU);
  test::load_golden_weights(thermalizer.network(), file);

  class Recorded : public NoiseSource {
   public:
    explicit Recorded(const h5::File& recorded)
        : forward_(golden(recorded, "denoise/forward_noise")),
          reverse_(golden(recorded, "denoise/reverse_noise")),
          first_(golden(recorded, "denoise/iteration_level", true)[0].item<std::int64_t>()) {}
    void forward(std::int64_t sample, Frame frame, std::span<float> out) override {
      CHECK(bool(frame == Frame::present));
      fill(forward_[sample], out);
    }
    void reverse(std::int64_t sample, Frame, int level, std::span<float> out) override {
      fill(reverse_[first_ - level][sample], out);
    }
    void condition(std::int64_t, int, std::span<float>) override { FAIL("there is no past frame"); }

   private:
    torch::Tensor forward_, reverse_;
    std::int64_t first_;
  };
  Recorded noise(file);
  const torch::Tensor recorded = golden(file, "denoise/levels", true), counts = golden(file, "denoise/counts");
  std::vector<Levels> levels;
  for (std::int64_t b = 0; b < recorded.size(0); ++b) levels.push_back({-1, recorded[b].item<int>()});
  RefineOptions options;
  options.rule = SweepRule::reference;
  options.stop_level = options.threshold = golden(file, "denoise/stop", true).item<int>();
  const Refined refined = thermalizer.refine(golden(file, "forward/x"), levels, options, noise);
  CHECK(test::relative_error(refined.x, golden(file, "denoise/out")) < tolerance::kRefinement);
  for (std::size_t b = 0; b < levels.size(); ++b)
    CHECK(refined.evaluations[b] == counts[static_cast<std::int64_t>(b)].item<std::int64_t>());
}

TEST_CASE("ACDM: frames generated with recorded noise") {
  torch::set_num_threads(1);
  const auto file = h5::File::open_read(test::golden_file("emulator_acdm.h5"));
  Acdm acdm(test::golden_acdm_config(), 0, torch::kCPU);
  test::load_golden_weights(acdm.network(), file);

  class Recorded : public NoiseSource {  // step k of the record is level 19 - k
   public:
    explicit Recorded(const h5::File& recorded)
        : start_(golden(recorded, "sample/start_noise")),
          reverse_(golden(recorded, "sample/reverse_noise")),
          condition_(golden(recorded, "sample/condition_noise")) {}
    void forward(std::int64_t sample, Frame frame, std::span<float> out) override {
      CHECK(bool(frame == Frame::present));
      fill(start_[sample], out);
    }
    void reverse(std::int64_t sample, Frame frame, int level, std::span<float> out) override {
      CHECK(bool(frame == Frame::present));
      fill(reverse_[19 - level][sample], out);
    }
    void condition(std::int64_t sample, int draw, std::span<float> out) override {
      fill(condition_[19 - draw][sample], out);
    }

   private:
    torch::Tensor start_, reverse_, condition_;
  };
  Recorded noise(file);
  const torch::Tensor previous = golden(file, "train/x_clean").narrow(1, 0, 1);
  const torch::Tensor last = torch::full({2}, 19, torch::kInt64);
  CHECK(test::relative_error(add_noise(acdm.schedule(), previous, last, golden(file, "sample/start_noise")),
                             golden(file, "sample/x_start")) < tolerance::kForward);
  const Sampled sampled = acdm.next(previous, {}, noise);
  CHECK(test::relative_error(sampled.x, golden(file, "sample/out")) < tolerance::kRefinement);
  CHECK(sampled.evaluations == std::vector<std::int64_t>{20, 20});
}
