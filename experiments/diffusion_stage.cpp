#include "experiments/diffusion_stage.hpp"

#include "core/error.hpp"
#include "core/random.hpp"

#include <optional>
#include <utility>

namespace sns {
namespace {

enum Column { kSurrogate, kClassifier, kDenoiser };

PhiloxNoise noise_of(std::uint64_t seed, const StepInput& input) {
  return PhiloxNoise(seed, {input.trajectories.begin(), input.trajectories.end()},
                     static_cast<std::uint64_t>(input.step));
}

void record_levels(const std::vector<Levels>& levels, StepOutcome& out) {
  std::vector<std::int64_t> flat;
  for (const Levels& one : levels) flat.insert(flat.end(), {one.past, one.present});
  out.levels = torch::tensor(flat, torch::kInt64).view({-1, 2});
}

void count(StepOutcome& out, Column column, const std::vector<std::int64_t>& evaluations) {
  out.evaluations.select(1, column) += torch::tensor(evaluations, torch::kInt64);
}

/// SNS and the frames it may look back at.
class SnsStage : public DiffusionStage {
 public:
  SnsStage(std::unique_ptr<Sns> model, const SnsConduct& conduct)
      : model_(std::move(model)), conduct_(conduct), past_(model_->longest_lag()) {
    require(!conduct_.long_frame.defined() || model_->longest_lag() == 0,
            "a lagged model looks back at its own trajectory and takes no other long frame");
  }
  Model& model() override { return *model_; }
  void observe(const StepInput& input) override { past_.remember(input.x, input.trajectories); }
  void observe_rewritten(const StepInput& input, const torch::Tensor& previous) override {
    if (model_->longest_lag() > 0 && input.step > 1) past_.rewrite(previous);  // never the initial condition
  }
  std::vector<float> save() const override { return past_.save(); }
  void restore(std::span<const float> saved, torch::Device device) override {
    past_.restore(saved, model_->config().field_channels, model_->config().image, device);
  }

 protected:
  torch::Tensor long_frame(const StepInput& input, const std::vector<int>& lags) const {
    if (!lags.empty()) return past_.frames(lags);
    return conduct_.long_frame.defined() ? conduct_.long_frame.expand_as(input.x) : input.initial;
  }

  std::unique_ptr<Sns> model_;
  SnsConduct conduct_;
  LongFrames past_;
};

class SnsRefiner : public SnsStage {
 public:
  SnsRefiner(std::unique_ptr<Sns> model, const RefineOptions& options, const SnsConduct& conduct)
      : SnsStage(std::move(model), conduct), options_(options) {
    require(
        options_.classify == Classify::as_given || options_.gate != Gate::present || model_->longest_lag() == 0,
        "with Gate::present a lagged model classifies refined frames, which must be as given");
    if (conduct_.fixed_share == 1) return;
    require(options_.fixed_levels.has_value(), "a share of frames with fixed levels, and no levels");
    drawn_ = std::exchange(options_.fixed_levels, std::nullopt);
  }

  void apply(const StepInput& input, StepOutcome& out) override {
    const std::int64_t channels = input.x.size(1);
    const std::vector<int> lags = past_.lags(input.step);
    const torch::Tensor triple = torch::cat({long_frame(input, lags), input.x, input.proposal}, 1);
    PhiloxNoise noise = noise_of(conduct_.seed, input);
    const std::vector<Levels> predicted = model_->predicted_levels(triple, options_, noise, lags);
    out.evaluations.select(1, kClassifier) += 1;
    record_levels(predicted, out);
    const Refined refined = model_->refine(triple, drawn_ ? draw_levels(input) : predicted, options_, noise,
                                           lags, input.prediction);
    count(out, kDenoiser, refined.evaluations);
    out.next = refined.x.narrow(1, 2 * channels, channels);
    if (conduct_.write_back || (options_.path.steps_together() && options_.path.cleans_past()))
      out.previous = refined.x.narrow(1, channels, channels);
    if (options_.gate == Gate::present && !lags.empty()) move_long_frames(input, triple, lags, out);
  }

 private:
  /// The fixed levels in a share of the frames, level 0 in the others.
  std::vector<Levels> draw_levels(const StepInput& input) const {
    std::vector<Levels> levels;
    for (const std::int64_t trajectory : input.trajectories) {
      RandomStream random(conduct_.seed, Purpose::refine_levels, static_cast<std::uint64_t>(trajectory),
                          static_cast<std::uint64_t>(input.step));
      levels.push_back(random.uniform() < conduct_.fixed_share ? *drawn_ : Levels{0, 0});
    }
    return levels;
  }
  /// Classifies again, with the refined frame in its place.
  void move_long_frames(const StepInput& input, const torch::Tensor& triple, const std::vector<int>& lags,
                        StepOutcome& out) {
    const std::int64_t kept = triple.size(1) - out.next.size(1);
    const auto levels = model_->levels(torch::cat({triple.narrow(1, 0, kept), out.next}, 1), lags);
    out.evaluations.select(1, kClassifier) += 1;
    for (std::size_t b = 0; b < levels.size(); ++b)
      if (levels[b].present <= options_.threshold) past_.move(b, input.step);
  }

  RefineOptions options_;
  std::optional<Levels> drawn_;  ///< fixed levels of a share of the frames
};

class SnsGenerator : public SnsStage {
 public:
  SnsGenerator(std::unique_ptr<Sns> model, const GenerationOptions& options, const SnsConduct& conduct)
      : SnsStage(std::move(model), conduct), options_(options) {}

  void apply(const StepInput& input, StepOutcome& out) override {
    const std::int64_t channels = input.x.size(1);
    const std::vector<int> lags = past_.lags(input.step);
    PhiloxNoise noise = noise_of(conduct_.seed, input);
    const Generated made = model_->generate(long_frame(input, lags), input.x, options_, noise, lags);
    out.next = made.x.narrow(1, 2 * channels, channels);
    count(out, kDenoiser, made.evaluations);
    if (made.predicted.empty()) return;
    out.evaluations.select(1, kClassifier) += 1;
    record_levels(made.predicted, out);
  }

 private:
  GenerationOptions options_;
};

class ThermalizerRefiner : public DiffusionStage {
 public:
  ThermalizerRefiner(std::unique_ptr<Thermalizer> model, const RefineOptions& options, int noise_limit,
                     std::uint64_t seed)
      : model_(std::move(model)), options_(options), noise_limit_(noise_limit), seed_(seed) {}
  Model& model() override { return *model_; }

  void apply(const StepInput& input, StepOutcome& out) override {
    PhiloxNoise noise = noise_of(seed_, input);
    const Thermalized made = model_->thermalize(input.proposal, options_, noise_limit_, noise);
    out.evaluations.select(1, kClassifier) += 1;
    record_levels(made.predicted, out);
    for (const GivenUp& frame : made.given_up) out.stopped.push_back({frame.row, frame.why});
    count(out, kDenoiser, made.refined.evaluations);
    out.next = made.refined.x;
  }

 private:
  std::unique_ptr<Thermalizer> model_;
  RefineOptions options_;
  int noise_limit_;
  std::uint64_t seed_;
};

class AcdmGenerator : public DiffusionStage {
 public:
  AcdmGenerator(std::unique_ptr<Acdm> model, const AcdmOptions& options, std::uint64_t seed)
      : model_(std::move(model)), options_(options), seed_(seed) {}
  Model& model() override { return *model_; }

  void apply(const StepInput& input, StepOutcome& out) override {
    PhiloxNoise noise = noise_of(seed_, input);
    const Sampled made = model_->next(input.x, options_, noise);
    out.next = made.x;
    count(out, kDenoiser, made.evaluations);
  }

 private:
  std::unique_ptr<Acdm> model_;
  AcdmOptions options_;
  std::uint64_t seed_;
};

}  // namespace

void DiffusionStage::restore(std::span<const float> saved, torch::Device) {
  require(saved.empty(), "the checkpoint holds {} values that this method does not know", saved.size());
}

std::unique_ptr<DiffusionStage> make_sns_refiner(std::unique_ptr<Sns> model, const RefineOptions& options,
                                                 const SnsConduct& conduct) {
  return std::make_unique<SnsRefiner>(std::move(model), options, conduct);
}

std::unique_ptr<DiffusionStage> make_sns_generator(std::unique_ptr<Sns> model, const GenerationOptions& options,
                                                   const SnsConduct& conduct) {
  return std::make_unique<SnsGenerator>(std::move(model), options, conduct);
}

std::unique_ptr<DiffusionStage> make_thermalizer_refiner(std::unique_ptr<Thermalizer> model,
                                                         const RefineOptions& options, int noise_limit,
                                                         std::uint64_t seed) {
  return std::make_unique<ThermalizerRefiner>(std::move(model), options, noise_limit, seed);
}

std::unique_ptr<DiffusionStage> make_acdm_generator(std::unique_ptr<Acdm> model, const AcdmOptions& options,
                                                    std::uint64_t seed) {
  return std::make_unique<AcdmGenerator>(std::move(model), options, seed);
}

}  // namespace sns
