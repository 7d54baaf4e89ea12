#include "experiments/config.hpp"

#include <algorithm>
#include <cctype>
#include <functional>

namespace sns {

namespace {

std::string listed(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out.empty() ? "none" : out;
}

/// Names become file names.
void check_name(const Section& parent, const std::string& name) {
  const bool good = !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '_' || c == '-';
  });
  if (!good) parent.reject(name, "a name may hold letters, digits, '_' and '-' only");
}

/// What to say of a generator that is named as a refiner, or the other way round; empty for other mistakes.
std::string other_role(std::string_view key, const std::string& name, const std::vector<ModelSpec>& models) {
  for (const ModelSpec& entry : models) {
    if (entry.name != name) continue;
    if (key == "refiner" && entry.model.kind == "acdm")
      return fmt::format("; it makes frames alone: generator: {}", name);
    if (key == "generator" && entry.model.kind == "thermalizer")
      return fmt::format("; it refines a surrogate's: refiner: {}", name);
  }
  return "";
}

/// The model that `key` names, which must be of one of the kinds.
const ModelSpec& model_of(const Section& section, const char* key, const std::string& name,
                          const std::vector<std::string>& kinds, const std::vector<ModelSpec>& models) {
  std::vector<std::string> known;
  for (const ModelSpec& entry : models) {
    if (std::find(kinds.begin(), kinds.end(), entry.model.kind) == kinds.end()) continue;
    if (entry.name == name) return entry;
    known.push_back(entry.name);
  }
  std::string allowed;
  for (const std::string& kind : kinds) allowed += (allowed.empty() ? "" : " or ") + kind;
  const bool absent =
      std::none_of(models.begin(), models.end(), [&](const ModelSpec& entry) { return entry.name == name; });
  section.reject(key, fmt::format("'{}' is {} of kind {} (have: {}){}", name,
                                  absent ? "none of this file's models; wanted is one" : "not a model", allowed,
                                  listed(known), other_role(key, name, models)));
}

std::function<std::string(const int&)> level(int lowest, int levels) {
  return [lowest, levels](const int& v) {
    return v >= lowest && v < levels ? "" : fmt::format("must be in {}..{}", lowest, levels - 1);
  };
}

/// The path named or drawn by the section, which must fit the model's levels.
Path read_path(Section& section, SamplingConfig& sampling, int levels) {
  section.maybe("path", sampling.path);
  try {
    Path path = parse_path(sampling.path);
    path.require_within(levels);
    return path;
  } catch (const ConfigError& error) {
    section.reject("path", error.what());
  }
}

/// Keys of both uses of SNS.
void read_sns(Section& section, SamplingConfig& sampling, const ModelSpec& spec) {
  const Path path = read_path(section, sampling, spec.model.diffusion.levels);
  if (spec.training.levels.past == "clean" && path.noises_past())
    section.reject("path",
                   fmt::format("{} was trained beside clean past frames (levels.past: clean) and never saw a "
                               "noised one, as path {} gives it: set {}.path=clean_past",
                               spec.name, sampling.path, section.path()));
  // A lagged model looks back at its own trajectory.
  if (!spec.model.network.lag) section.maybe("long", sampling.long_frame, one_of({"initial", "first_initial"}));
}

void read_sns_refiner(Section& section, SamplingConfig& sampling, const ModelSpec& spec) {
  const int levels = spec.model.diffusion.levels;
  read_sns(section, sampling, spec);
  section.maybe("rule", sampling.rule, one_of(rule_names()));
  section.maybe("level_floor", sampling.level_floor, non_negative);
  if (sampling.level_floor >= levels)
    section.reject("level_floor",
                   fmt::format("{} must be below the refiner's {} levels", sampling.level_floor, levels));
  // Not among the resolved keys unless given, so that methods from before it are what they were.
  if (section.has("fixed_levels")) {
    section.need<std::vector<int>>(
        "fixed_levels", sampling.fixed_levels, [levels](const std::vector<int>& pair) {
          const bool inside =
              std::all_of(pair.begin(), pair.end(), [levels](int one) { return one >= 0 && one < levels; });
          return pair.size() == 2 && inside
                     ? std::string()
                     : fmt::format("must be two levels, of the past and of the present frame, in 0..{}",
                                   levels - 1);
        });
    if (sampling.level_floor > 0)
      section.reject("fixed_levels", "level_floor is for levels that are predicted: give one of them");
    if (section.has("fixed_share"))
      section.need<double>("fixed_share", sampling.fixed_share, [](double share) {
        return share > 0 && share <= 1 ? "" : "must be above 0 and at most 1";
      });
  } else if (section.has("fixed_share")) {
    section.reject("fixed_share", "it is the share of frames that have fixed_levels, which are not given");
  }
  section.maybe<int>("threshold", sampling.threshold, level(-1, levels));
  section.maybe("gate", sampling.gate, one_of(gate_names()));
  if (section.has("fixed_levels") && (sampling.threshold >= 0 || sampling.gate != "either"))
    section.reject("fixed_levels",
                   "a threshold or a gate would change them or leave frames alone: give one of them");
  section.maybe("write_back", sampling.write_back, one_of({"path", "always"}));
  if (sampling.write_back == "always" && !parse_path(sampling.path).cleans_past())
    section.reject("write_back", fmt::format("path {} leaves the past frame noisy: it cannot be written back",
                                             sampling.path));
}

void read_thermalizer(Section& section, SamplingConfig& sampling, const DiffusionConfig& diffusion) {
  section.maybe("rule", sampling.rule, one_of(rule_names()));
  const Schedule schedule = make_schedule(diffusion);
  const auto levels = [&] { return thermalizer_levels(sampling, schedule); };
  const bool start_given = section.has("start_level");
  // Each default depends on those before it.
  const auto read = [&](const char* key, std::optional<int>& value, int standard, const auto& check) {
    section.maybe<int>(key, standard, check);
    value = standard;
  };
  read("start_level", sampling.start_level, levels().start, level(-1, diffusion.levels));
  read("stop_level", sampling.stop_level, levels().stop, level(-1, diffusion.levels));
  const auto [start, stop, _] = levels();
  if (stop > start)
    section.reject("stop_level", fmt::format("{} must not lie above start_level, {}{}", stop, start,
                                             start_given ? "" : " by default"));
  if (sampling.rule == "reference" && stop == start && start >= 0)
    section.reject("stop_level",
                   fmt::format("{} must lie below start_level under rule reference: a frame one level "
                               "above would be noised and not denoised",
                               stop));
  read("noise_limit", sampling.noise_limit, levels().limit, positive);
  if (levels().limit <= start)
    section.reject("noise_limit", fmt::format("{} must lie above start_level, {}: no frame would be denoised",
                                              levels().limit, start));
}

void read_sns_generator(Section& section, SamplingConfig& sampling, const ModelSpec& spec) {
  set_generation_defaults(sampling);
  read_sns(section, sampling, spec);
  section.maybe("start", sampling.start, one_of(start_names()));
  section.maybe("clip", sampling.clip, non_negative);
}

void read_acdm(Section& section, SamplingConfig& sampling) {
  section.maybe("start", sampling.start, one_of(start_names()));
  section.maybe("conditioning", sampling.conditioning, one_of(conditioning_names()));
}

/// Why little can be expected of a network that is used otherwise than it was trained; empty otherwise.
std::string beyond_training(const MethodConfig& method, const ModelSpec& spec) {
  const LevelConfig& trained = spec.training.levels;
  const int levels = spec.model.diffusion.levels, highest = highest_level(trained, levels);
  // ACDM's reference never draws the last level.
  if (method.generator && highest < levels - 2)
    return fmt::format("generates from level {} with {}, which was trained on levels 0 to {} only", levels - 1,
                       spec.name, highest);
  if (spec.model.kind == "sns" && !parse_path(method.sampling.path).noises_past() && trained.past == "noised")
    return fmt::format("path {} with {}, which was trained beside noised past frames (levels.past)",
                       parse_path(method.sampling.path).text(), spec.name);
  int asked = method.sampling.level_floor;
  for (const int level : method.sampling.fixed_levels) asked = std::max(asked, level);
  if (spec.model.kind == "sns" && asked > highest)
    return fmt::format("refines from level {} with {}, which was trained on levels 0 to {} only", asked,
                       spec.name, highest);
  if (spec.model.kind == "thermalizer" && method.sampling.noise_limit.value() >= highest)
    return fmt::format(
        "noise_limit {} with {}, which was trained on levels 0 to {}: it names none above, so that "
        "no trajectory is given up",
        method.sampling.noise_limit.value(), spec.name, highest);
  return "";
}

/// ConfigError where the noise that `key` asks for could not be measured: on validation frames, at the end of a
/// training.
void require_validation(Section& section, const std::string& key, const ModelSpec& model) {
  if (!model.weights && model.training.data == "stream" && model.training.stream.validation_members == 0)
    section.reject(key, fmt::format("what it needs is measured on validation frames, of which "
                                    "models.{}.training.stream.validation_members: 0 leaves none",
                                    model.name));
}

/// The keys of the refiner or generator, if there is one; returns the kind of method in words.
std::string read_sampling(Section& section, MethodConfig& method, const std::vector<ModelSpec>& models) {
  SamplingConfig& sampling = method.sampling;
  if (!method.diffusion_model()) return "a surrogate alone";
  const char* role = method.generator ? "generator" : "refiner";
  const std::vector<std::string> kinds = method.generator ? std::vector<std::string>{"acdm", "sns"}
                                                          : std::vector<std::string>{"sns", "thermalizer"};
  const ModelSpec& spec = model_of(section, role, *method.diffusion_model(), kinds, models);
  const ModelConfig& model = spec.model;
  if (model.kind == "acdm")
    read_acdm(section, sampling);
  else if (model.kind == "thermalizer")
    read_thermalizer(section, sampling, model.diffusion);
  else if (method.generator)
    read_sns_generator(section, sampling, spec);
  else
    read_sns_refiner(section, sampling, spec);
  if (method.refiner) {
    section.maybe("first_step", method.first_step, positive);
    // Not among the resolved keys unless given, so that methods from before it are what they were.
    if (section.has("every")) section.maybe("every", method.every, positive);
    if (section.has("classify")) section.maybe("classify", sampling.classify, one_of(classify_names()));
    if (sampling.classify == "noised" && sampling.gate == "present" && model.network.lag)
      section.reject(
          "classify",
          "with gate: present a lagged model classifies the refined frame again, and noised would show "
          "it the numbers that it has just removed");
  }
  section.maybe("reverse_std", sampling.reverse_std, one_of(reverse_std_names()));
  // As above: not among the resolved keys unless given.
  if (method.refiner && model.kind == "sns" && section.has("estimate")) {
    section.maybe("estimate", sampling.estimate, one_of(estimate_names()));
    if (const std::string why = why_not_combined(sampling); !why.empty()) section.reject("estimate", why);
    if (method.combines() && method.holds_scales())
      section.reject("estimate",
                     "combined estimates are measured with the surrogate's own predictions, which "
                     "unpredicted_scales changes: give one of them");
  }
  if (method.draws_from_errors()) {
    if (const std::string why = why_not_measured(sampling, method.generator.has_value()); !why.empty())
      section.reject("reverse_std", why);
    require_validation(section, "reverse_std", spec);
  }
  method.beyond_training = beyond_training(method, spec);
  return fmt::format("a {} of kind {}", role, model.kind);
}

/// Those of the section's keys that belong to other kinds of methods, with what this one is; empty if there are
/// none. They may stay, so that one key swaps a method; keys that no method knows are errors.
std::string keys_without_effect(Section& section, const std::string& what) {
  static const std::vector<std::string> all = {
      "emulator",    "generator",   "refiner",       "noise",        "sampled",           "first_step",
      "every",       "path",        "long",          "rule",         "level_floor",       "fixed_levels",
      "fixed_share", "gate",        "threshold",     "write_back",   "start_level",       "start",
      "stop_level",  "noise_limit", "weights",       "conditioning", "reverse_std",       "estimate",
      "clip",        "precision",   "conserve_mean", "classify",     "unpredicted_scales"};
  std::vector<std::string> found;
  for (const std::string& key : section.keys())
    if (std::find(all.begin(), all.end(), key) != all.end() && section.set_aside(key)) found.push_back(key);
  return found.empty() ? "" : fmt::format("{} (no effect on {})", listed(found), what);
}

/// The name of the file's only surrogate; none if there are several, or none.
std::optional<std::string> only_surrogate(const std::vector<ModelSpec>& models) {
  std::optional<std::string> found;
  for (const ModelSpec& entry : models) {
    if (entry.model.kind != "gaussian") continue;
    if (found) return std::nullopt;
    found = entry.name;
  }
  return found;
}

/// The surrogate's name, which may be left out where there is only one.
std::string read_emulator(Section& section, const std::vector<ModelSpec>& models) {
  const std::optional<std::string> only = only_surrogate(models);
  std::string emulator = only.value_or("");
  if (only)
    section.maybe("emulator", emulator);
  else
    section.need("emulator", emulator);
  model_of(section, "emulator", emulator, {"gaussian"}, models);
  return emulator;
}

/// A surrogate or a generator; returns the kind of method in words.
std::string read_networks(Section& section, MethodConfig& method, const std::vector<ModelSpec>& models) {
  section.maybe("generator", method.generator);  // wins over a surrogate and its refiner
  if (!method.generator) {
    method.emulator = read_emulator(section, models);
    section.maybe("refiner", method.refiner);
    section.maybe("noise", method.noise, non_negative);
    // Where it is not said the resolved method does not say so either: it is what it was before there was the
    // key.
    if (section.has("sampled")) section.maybe("sampled", method.sampled);
    if (method.sampled && method.noise > 0)
      section.reject("sampled",
                     "noise is for white noise of a given strength, sampled for noise like the surrogate's "
                     "error: give one of them");
    if (method.sampled) require_validation(section, "sampled", find_model(models, *method.emulator));
    if (section.has("unpredicted_scales"))
      section.maybe("unpredicted_scales", method.unpredicted_scales,
                    one_of({"as_predicted", "climatology", "empty"}));
    if (method.holds_scales())
      require_validation(section, "unpredicted_scales", find_model(models, *method.emulator));
  }
  const std::string what = read_sampling(section, method, models);
  section.maybe("weights", method.weights, one_of({"ema", "raw"}));
  if (section.has("precision")) section.maybe("precision", method.precision, one_of(precision_names()));
  if (section.has("conserve_mean")) section.maybe("conserve_mean", method.conserve_mean);
  return what;
}

std::string hardly_refines(const MethodConfig& method, std::int64_t steps,
                           const std::vector<ModelSpec>& models) {
  if (!method.refiner) return "";
  const ModelSpec& refiner = find_model(models, *method.refiner);
  const int highest = highest_level(refiner.training.levels, refiner.model.diffusion.levels);
  if (const int least = std::max(method.sampling.threshold, method.sampling.start_level.value_or(-1));
      least >= highest)
    return fmt::format(
        "frames are refined above level {}, and the noise heads of {} were trained on levels 0 to {}: hardly "
        "any "
        "will be",
        least, *method.refiner, highest);
  if (method.first_step > steps)
    return fmt::format("first_step {} lies beyond the rollout's {} steps: no frame is refined",
                       method.first_step, steps);
  if (method.every > 1 && method.every > steps - method.first_step)
    return fmt::format("every {} in a rollout of {} steps: frame {} alone is refined", method.every, steps,
                       method.first_step);
  return "";
}

MethodConfig read_method(Section section, const std::string& name, const std::vector<ModelSpec>& models,
                         const Section& solver) {
  MethodConfig method;
  method.name = name;
  std::string what = "a solver";
  // Where there is none the resolved method does not say so: it is what it was before methods could be solvers.
  if (section.has("solver"))
    method.solver = section.over("solver", solver, {"initial"});
  else
    what = read_networks(section, method, models);
  method.without_effect = keys_without_effect(section, what);
  method.text = section.resolved_yaml();
  return method;
}

/// Beyond these a number is a slip of the pen.
constexpr double kMostMembers = 1e5, kMostSteps = 1e9;

/// A number of initial conditions, or a list of their numbers.
void read_members(Section& rollout, RolloutConfig& config) {
  if (!rollout.holds_list("members")) {
    rollout.maybe("members", config.members, between(1, kMostMembers));
    return;
  }
  rollout.need<std::vector<int>>("members", config.chosen, [](const std::vector<int>& numbers) {
    const bool ascending =
        std::adjacent_find(numbers.begin(), numbers.end(), std::greater_equal<>()) == numbers.end();
    return !numbers.empty() && numbers.front() >= 0 && numbers.back() < kMostMembers && ascending
               ? std::string()
               : fmt::format("must hold ascending numbers from 0 on, below {:g}", kMostMembers);
  });
  config.members = static_cast<int>(config.chosen.size());
}

std::optional<EnsembleConfig> read_ensemble(Section& rollout, std::int64_t rollout_steps,
                                            const Section& solver) {
  auto section = rollout.maybe_child("ensemble");
  if (!section) return std::nullopt;
  EnsembleConfig config;
  config.reference.name = "data.solver";  // no name that a method can have
  config.reference.solver = rollout.over("solver", solver, {"initial"});
  section->maybe("members", config.members, [](const int& v) { return v >= 2 ? "" : "must be at least 2"; });
  section->maybe("perturbation", config.perturbation, non_negative);
  config.steps = std::min(config.steps, rollout_steps);
  section->maybe("steps", config.steps, positive);
  if (config.steps > rollout_steps)
    section->reject("steps", fmt::format("{} lies beyond the rollout's {} steps, and truth's", config.steps,
                                         rollout_steps));
  return config;
}

}  // namespace

const std::string& MethodConfig::precision_in(const RolloutConfig& rollout) const {
  return precision ? *precision : rollout.precision;
}

bool RolloutConfig::rolls_out(std::int64_t number) const {
  return chosen.empty() ? number >= 0 && number < members
                        : std::find(chosen.begin(), chosen.end(), number) != chosen.end();
}

std::vector<std::string> method_names(const RolloutConfig& rollout) {
  std::vector<std::string> names;
  for (const MethodConfig& method : rollout.methods) names.push_back(method.name);
  return names;
}

RolloutConfig read_rollout(Section rollout, const std::vector<ModelSpec>& models, const Section& solver) {
  RolloutConfig config;
  rollout.maybe("steps", config.steps, between(1, kMostSteps));
  read_members(rollout, config);
  rollout.maybe("floor_members", config.floor_members, between(0, kMostMembers));
  rollout.maybe("limit", config.limit, positive);
  rollout.maybe("deterministic", config.deterministic);
  rollout.maybe("precision", config.precision, one_of(precision_names()));
  rollout.maybe("channels_last", config.channels_last);
  rollout.maybe("graphs", config.graphs);
  config.ensemble = read_ensemble(rollout, config.steps, solver);
  Section methods = rollout.child("methods");
  for (const std::string& name : methods.names()) {
    check_name(methods, name);
    config.methods.push_back(read_method(methods.child(name), name, models, solver));
    config.methods.back().hardly_refines = hardly_refines(config.methods.back(), config.steps, models);
  }
  return config;
}

}  // namespace sns
