#pragma once
// What a diffusion model does in one step of a rollout: it refines a surrogate's frame, or makes the frame.
#include "emulator/models/acdm.hpp"
#include "emulator/models/sns.hpp"
#include "emulator/models/thermalizer.hpp"
#include "experiments/long_frames.hpp"
#include "experiments/rollout.hpp"

#include <memory>

namespace sns {

/// The living members at one step, in the units of the stage's model; all frames [B, C, X, Y].
struct StepInput {
  torch::Tensor initial;     ///< frame 0
  torch::Tensor x;           ///< frame step-1
  torch::Tensor proposal;    ///< frame `step` as a surrogate makes it; undefined without one
  torch::Tensor prediction;  ///< the same without noise that the surrogate's step has
  std::span<const std::int64_t> trajectories;
  std::int64_t step = 0;
};

class DiffusionStage {
 public:
  virtual ~DiffusionStage() = default;
  virtual Model& model() = 0;
  /// Sees every step before its frame is made, also those in which `apply` is not called.
  virtual void observe(const StepInput&) {}
  /// Sets out.next, and levels, stopped members and rewritten frames where there are any; adds to
  /// out.evaluations.
  virtual void apply(const StepInput& input, StepOutcome& out) = 0;
  /// Sees frame step-1 as the trajectory has it from here on, in steps that rewrite it.
  virtual void observe_rewritten(const StepInput&, const torch::Tensor&) {}
  /// See RolloutStepper.
  virtual std::vector<float> save() const { return {}; }
  virtual void restore(std::span<const float> saved, torch::Device device);
};

/// What SNS in a rollout needs to know beside how it samples.
struct SnsConduct {
  std::uint64_t seed = 0;  ///< of the noise
  /// Long frame of all members, [1, C, X, Y] in the model's units; undefined: each one's initial condition. A
  /// lagged model has its own.
  torch::Tensor long_frame = {};
  bool write_back =
      false;  ///< whether every path, rather than C alone, rewrites x_{a-1} in the stored trajectory
  /// Share of frames, drawn for each member and step, that have the fixed levels of the options; the others are
  /// refined from level 0.
  double fixed_share = 1;
};

/// Algorithm 1 of the SNS paper (arXiv 2603.17750): levels p of X = (long, x_{a-1}, y) as
/// options.classify shows it, then refine(X, p). The long frame of a lagged model is x_{a-L} with L = min(a -
/// last, longest lag) (appendix B.4). `last` is 0 and, under Gate::present, moves to each step after whose
/// refinement the present frame is classified at or below the threshold; Error with Classify::noised, which
/// would show that frame the numbers that it has just been rid of.
std::unique_ptr<DiffusionStage> make_sns_refiner(std::unique_ptr<Sns> model, const RefineOptions& options,
                                                 const SnsConduct& conduct);

/// Generation by SNS: Algorithm 2 of the SNS paper, and its relatives (see GenerationOptions).
std::unique_ptr<DiffusionStage> make_sns_generator(std::unique_ptr<Sns> model, const GenerationOptions& options,
                                                   const SnsConduct& conduct);

/// Thermalizer: y is classified, and denoised where its level lies above options.threshold. A level above
/// noise_limit, where the method is taken not to know its way back, stops the member, or, under the reference
/// rule, the whole batch.
std::unique_ptr<DiffusionStage> make_thermalizer_refiner(std::unique_ptr<Thermalizer> model,
                                                         const RefineOptions& options, int noise_limit,
                                                         std::uint64_t seed);

/// ACDM: x_a is generated from noise, conditioned on x_{a-1}.
std::unique_ptr<DiffusionStage> make_acdm_generator(std::unique_ptr<Acdm> model, const AcdmOptions& options,
                                                    std::uint64_t seed);

}  // namespace sns
