#pragma once
// How the samplers may be varied, by names that a configuration gives. No LibTorch here.
#include "emulator/diffusion/schedule.hpp"
#include "emulator/diffusion/traversal.hpp"

#include <optional>
#include <string>
#include <vector>

namespace sns {

/// Spread of the noise that a reverse step adds.
enum class ReverseStd {
  posterior,  ///< sqrt(beta_s (1 - alpha_bar_{s-1}) / (1 - alpha_bar_s)), none at level 0, as the reference
              ///< code
  sqrt_beta,  ///< sqrt(beta_s) at every level, as the SNS paper prints
  measured,   ///< as posterior, and what the estimate of the clean frame gets wrong (EstimateErrors)
};
/// ConfigError that lists the names otherwise: "posterior", "sqrt_beta", "measured".
ReverseStd parse_reverse_std(const std::string& name);
const std::vector<std::string>& reverse_std_names();

/// Whose estimate of the clean present frame a reverse step follows.
enum class Estimate {
  network,   ///< the denoiser's
  combined,  ///< the best linear one that denoiser and surrogate make together (CombinedEstimate), and noise
             ///< for what it gets wrong
};
/// ConfigError that lists the names otherwise: "network", "combined".
Estimate parse_estimate(const std::string& name);
const std::vector<std::string>& estimate_names();

/// What the heads of a refiner see.
enum class Classify {
  as_given,  ///< the frames as they come, as the paper's code
  /// The frames that the path noises with the noise of the lowest level, by the numbers that begin a refinement
  /// from there. A head is trained on frames that have at least that noise; what it says is the level of this
  /// and the frame's own noise together.
  noised,
};
/// ConfigError that lists the names otherwise: "as_given", "noised".
Classify parse_classify(const std::string& name);
const std::vector<std::string>& classify_names();

/// Which samples are refined.
enum class Gate {
  either,  ///< those with one of their predicted levels above the threshold
  /// As the reference code of the lagged variant: both levels are set to 0 where the present one lies below the
  /// past one or below the threshold; then, those whose present level is above the threshold (the whole batch
  /// if one is, under the reference rule).
  present,
};
/// ConfigError that lists the names otherwise: "either", "present".
Gate parse_gate(const std::string& name);
const std::vector<std::string>& gate_names();

struct RefineOptions {
  Path path = Path::A;
  SweepRule rule = SweepRule::inclusive;
  int level_floor = 0;                                ///< predicted levels below are raised to it
  std::optional<Levels> fixed_levels = std::nullopt;  ///< in place of those predicted
  int threshold = -1;                                 ///< see Gate (-1: all samples are refined)
  Gate gate = Gate::either;
  Classify classify = Classify::as_given;
  int stop_level = -1;                             ///< sweeps end above it (-1: at clean frames)
  ReverseStd reverse_std = ReverseStd::posterior;  ///< of the network's estimate; a combined one has its own
  Estimate estimate = Estimate::network;
};

/// Noise of the past frame, the condition, over the steps of one generation.
enum class Conditioning {
  per_step,  ///< a new draw at each step, as the SNS paper's code
  single,    ///< one draw for all steps, as the original
};
/// ConfigError that lists the names otherwise: "per_step", "single".
Conditioning parse_conditioning(const std::string& name);
const std::vector<std::string>& conditioning_names();

struct AcdmOptions {
  Start start = Start::noised_past;
  Conditioning conditioning = Conditioning::per_step;
  ReverseStd reverse_std = ReverseStd::posterior;
};

/// How SNS makes a frame without an emulator: a walk from (s2, S), s2 being the level that the head sees in the
/// past frame.
struct GenerationOptions {
  Path path = Path::fixed_past;  ///< fixed_past: Algorithm 2 of the SNS paper; A: its Figure 2, the past first;
                                 ///< clean_past: clean conditioning, nothing is classified
  Start start = Start::pure_noise;  ///< of the present frame
  double clip = 0;  ///< standard deviations beyond which no estimate of a clean frame may lie; 0: no limit
  ReverseStd reverse_std = ReverseStd::posterior;
};

/// All of the above in the words of a configuration or of the command line; each kind of model has its own.
struct SamplingWords {
  std::string path = "A";             ///< sns: route through the plane of levels
  std::string rule = "inclusive";     ///< refiners: where a sweep starts
  int level_floor = 0;                ///< sns refiner: predicted levels below are raised to it
  std::vector<int> fixed_levels;      ///< sns refiner: past and present, in place of those predicted; or none
  int threshold = -1;                 ///< sns refiner: what the gate compares levels with
  std::string gate = "either";        ///< sns refiner: which trajectories are refined
  std::string classify = "as_given";  ///< refiners: what the heads see
  std::optional<int> start_level;     ///< thermalizer: see ThermalizerLevels
  std::optional<int> stop_level;      ///< thermalizer
  std::optional<int> noise_limit;     ///< thermalizer
  std::string start = "noised_past";  ///< generators: what a frame begins as
  std::string conditioning = "per_step";  ///< acdm: noise of the condition
  double clip = 0;                        ///< sns generator: limit of clean estimates
  std::string reverse_std = "posterior";  ///< spread of the noise that a reverse step adds
  std::string estimate = "network";       ///< sns refiner: whose estimate of the clean frame it follows
};
/// SNS's generation has defaults of its own.
void set_generation_defaults(SamplingWords& words);

/// Levels at which the thermalizer acts.
struct ThermalizerLevels {
  int start = 0;  ///< frames above it are denoised
  int stop = 0;   ///< down to the step above it
  int limit = 0;  ///< frames above it are given up
};
/// Those of the words. Start, if not given, is the level of `schedule` that is nearest in noise to the
/// reference code's 6 of the cosine schedule of 1000 levels; stop likewise 4, but not above start (under the
/// reference rule below it); limit likewise 100, but at least 100/6 as far up as start.
ThermalizerLevels thermalizer_levels(const SamplingWords& words, const Schedule& schedule);

/// Why a method of these words cannot draw from the errors of estimates (ReverseStd::measured); empty where it
/// can, or does not: a generator's are not measured, nor what the errors of frames that step together share.
std::string why_not_measured(const SamplingWords& words, bool generates);

/// Why an SNS of these words cannot follow combined estimates (Estimate::combined); empty where it can, or does
/// not: it is the present frame that a surrogate predicts.
std::string why_not_combined(const SamplingWords& words);

/// What the words say to each kind of model; ConfigError for one that is not a name, or for what
/// why_not_measured() and why_not_combined() say.
RefineOptions sns_refinement(const SamplingWords& words);
RefineOptions thermalizer_refinement(const SamplingWords& words, const ThermalizerLevels& levels);
AcdmOptions acdm_generation(const SamplingWords& words);
GenerationOptions sns_generation(const SamplingWords& words);

}  // namespace sns
