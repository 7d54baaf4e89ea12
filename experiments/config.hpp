#pragma once
// The `rollout` block: which models are rolled out, how, and for how long.
#include "core/config.hpp"
#include "emulator/diffusion/sampling_options.hpp"
#include "emulator/training/trainer.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sns {

/// Keys of a method that say how its refiner or generator samples; names as in emulator/diffusion and
/// emulator/models. Each kind of model has its own.
struct SamplingConfig : SamplingWords {
  std::string long_frame =
      "initial";                    ///< sns: key `long`, what stands beside the pair: initial | first_initial
  std::string write_back = "path";  ///< sns refiner: when x_{a-1} is rewritten in the file: path | always
  double fixed_share = 1;  ///< sns refiner: of refined frames, by chance, with fixed_levels; others at level 0
};

struct RolloutConfig;

/// One entry of `rollout.methods`: a surrogate, alone or refined, a generator in its place, or a solver.
struct MethodConfig {
  std::string name;
  std::optional<std::string> emulator;   ///< name of a model of kind gaussian
  std::optional<std::string> refiner;    ///< name of a model of kind sns or thermalizer
  std::optional<std::string> generator;  ///< name of a model of kind acdm or sns; instead of the other two
  /// A solver instead of all models: the experiment's `solver` block with the keys that the method gives,
  /// without `initial`; to be read and finished by itself.
  std::optional<Config> solver;
  SamplingConfig sampling;
  std::string weights = "ema";           ///< ema | raw
  std::optional<std::string> precision;  ///< of its networks, where it is not the rollout's
  std::int64_t first_step = 1;           ///< the first that is refined
  std::int64_t every = 1;                ///< steps from one refined frame to the next
  double noise = 0;                      ///< std of white noise added to the surrogate's step, normalised units
  bool sampled = false;                  ///< instead: noise with the covariance of the surrogate's error
  bool conserve_mean = false;            ///< SurrogateOptions::conserve_mean
  /// as_predicted | climatology | empty: SurrogateOptions::unpredicted
  std::string unpredicted_scales = "as_predicted";
  std::string text;             ///< resolved block
  std::string without_effect;   ///< keys of other kinds of methods that the block holds, and what this one is
  std::string beyond_training;  ///< why its network is used otherwise than it was trained; empty: it is not
  std::string hardly_refines;   ///< why few frames can be expected to be refined; empty: no reason is known

  /// float32 | tf32 | bfloat16; rollouts: the experiment's.
  const std::string& precision_in(const RolloutConfig& rollout) const;
  /// Whether its reverse steps draw from the errors of the refiner's estimates (ReverseStd::measured).
  bool draws_from_errors() const { return parse_reverse_std(sampling.reverse_std) == ReverseStd::measured; }
  /// Whether the estimates of its refiner are combined with its surrogate's predictions (Estimate::combined).
  bool combines() const { return parse_estimate(sampling.estimate) == Estimate::combined; }
  /// Whether scales that its surrogate does not predict have the power of the data, or none.
  bool holds_scales() const { return unpredicted_scales != "as_predicted"; }
  bool empties_scales() const { return unpredicted_scales == "empty"; }
  /// The refiner or generator, if there is one.
  const std::optional<std::string>& diffusion_model() const { return generator ? generator : refiner; }
};

/// Key `ensemble` of the `rollout` block: short rollouts of several members from each initial condition.
struct EnsembleConfig {
  int members = 8;             ///< of each initial condition
  double perturbation = 1e-3;  ///< std of white noise added to each field's frame 0, in its standard deviations
  std::int64_t steps = 250;
  /// The experiment's own solver as a method, for the ensemble that all others are measured by.
  MethodConfig reference;
};

/// The `rollout` block.
struct RolloutConfig {
  std::int64_t steps = 1000;
  int members = 8;  ///< how many initial conditions are rolled out: the first ones, or those of `chosen`
  std::vector<int> chosen;     ///< their numbers from 0, ascending, where `members` is a list; empty otherwise
  int floor_members = 8;       ///< further solver runs, for truth against truth
  double limit = 50;           ///< standard deviations beyond which a member has failed
  bool deterministic = false;  ///< networks see one member at a time: the same bits alone and in any batch
  std::string precision = "float32";  ///< of networks: float32 | tf32 | bfloat16
  bool channels_last = false;         ///< networks on a GPU with the channels of a pixel together
  bool graphs = false;                ///< networks on a GPU as CUDA graphs
  std::vector<MethodConfig> methods;
  std::optional<EnsembleConfig> ensemble;

  /// Initial conditions that must be there: the first ones up to the highest that is rolled out.
  int initial_conditions() const { return chosen.empty() ? members : chosen.back() + 1; }
  /// Whether initial condition `number` is rolled out.
  bool rolls_out(std::int64_t number) const;
};

/// Reads `rollout` and checks that its methods name models of the right kind. Names of methods are the user's.
/// A method may hold keys of other kinds of methods, so that changing `solver`, `refiner` or `generator` alone
/// swaps it. solver: the experiment's block, which those of methods change.
RolloutConfig read_rollout(Section rollout, const std::vector<ModelSpec>& models, const Section& solver);
/// The names of the methods, in order.
std::vector<std::string> method_names(const RolloutConfig& rollout);

}  // namespace sns
