#include "datagen/plan.hpp"

#include "core/config_values.hpp"
#include "core/error.hpp"
#include "core/files.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>

namespace sns {
namespace {

/// Beyond these a number is a slip of the pen; products of them stay within 64 bits.
constexpr double kMostTrajectories = 1e7, kMostPerFile = 1e5, kMostSamples = 1e5, kMostFrames = 1e8,
                 kMostSteps = 1e15;
/// Files number their samples with 32 bits.
constexpr double kMostNumber = std::numeric_limits<std::int32_t>::max();

constexpr const char* kSplitNames[] = {"train", "valid", "test"};

std::string indented(const std::string& text) {
  std::string result;
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    if (end > start) result += "  " + text.substr(start, end - start);
    result += '\n';
    start = end + 1;
  }
  return result;
}

}  // namespace

const char* name(Coarsening kind) {
  switch (kind) {
    case Coarsening::spectral:
      return "spectral";
    case Coarsening::spectral_filtered:
      return "spectral_filtered";
    case Coarsening::block_mean:
      return "block_mean";
    case Coarsening::none:
      break;
  }
  return "none";
}

const char* name(Removal removal) {
  return removal == Removal::zonal_mean ? "zonal_mean" : "none";
}

CoarsenConfig read_coarsen(Section section) {
  CoarsenConfig result;
  std::string kind = "none", remove = "none";
  section.maybe("factor", result.factor, at_least_one);
  section.maybe("kind", kind, one_of({"none", "spectral", "spectral_filtered", "block_mean"}));
  section.maybe("remove", remove, one_of({"none", "zonal_mean"}));
  if (remove == "zonal_mean") result.remove = Removal::zonal_mean;
  if (kind == "spectral") result.kind = Coarsening::spectral;
  if (kind == "spectral_filtered") result.kind = Coarsening::spectral_filtered;
  if (kind == "block_mean") result.kind = Coarsening::block_mean;
  if (result.factor > 1 && kind == "none") {
    section.reject("kind", fmt::format("factor {} needs a kind: spectral or block_mean", result.factor));
  }
  // Where a file says one thing of the block and its base another, a factor may be lost.
  if (kind != "none" && !section.has("factor"))
    section.reject("kind", fmt::format("{} needs a factor (1: frames on the solver's grid)", kind));
  if (result.factor == 1) result.kind = Coarsening::none;
  return result;
}

std::int64_t DatagenPlan::trajectories() const {
  return std::accumulate(splits.begin(), splits.end(), std::int64_t{0},
                         [](std::int64_t sum, const Split& s) { return sum + s.trajectories; });
}

std::vector<TrajectoryGroup> DatagenPlan::groups() const {
  std::vector<TrajectoryGroup> result;
  std::uint64_t id = first_trajectory;
  for (const Split& split : splits) {
    for (std::int64_t left = split.trajectories; left > 0;) {
      const std::int64_t count = std::min<std::int64_t>(left, trajectories_per_file);
      result.push_back({split.name, id, count});
      id += static_cast<std::uint64_t>(count);
      left -= count;
    }
  }
  return result;
}

std::int64_t DatagenPlan::step_of(std::int64_t record) const {
  const std::int64_t window = record / frames, frame = record % frames;
  return spinup_steps + window * (frames * steps_per_frame + decorrelation_steps) + frame * steps_per_frame;
}

std::string DatagenPlan::stem(const TrajectoryGroup& group) const {
  return fmt::format("{}_{:06}", name, group.first);
}

std::vector<Split> split_trajectories(std::int64_t trajectories, const std::vector<double>& fractions) {
  const double sum = std::accumulate(fractions.begin(), fractions.end(), 0.0);
  if (std::abs(sum - 1) > 1e-6) {
    fail<ConfigError>(
        "datagen.split: the fractions of train, valid and test add up to {:g}; they must add up to 1", sum);
  }
  const auto used = static_cast<std::int64_t>(
      std::count_if(fractions.begin(), fractions.end(), [](double f) { return f > 0; }));
  if (trajectories < used) {
    fail<ConfigError>("datagen.trajectories = {} cannot fill {} splits; each needs at least one trajectory",
                      trajectories, used);
  }
  std::vector<std::int64_t> counts;
  for (const double fraction : fractions) {
    const auto rounded = static_cast<std::int64_t>(std::llround(fraction * static_cast<double>(trajectories)));
    counts.push_back(fraction > 0 ? std::max<std::int64_t>(1, rounded) : 0);
  }
  // What rounding left over or took too much goes to, or comes from, the largest split.
  auto largest = std::max_element(counts.begin(), counts.end());
  *largest += trajectories - std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
  std::vector<Split> result;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] > 0) result.push_back({kSplitNames[i], counts[i]});
  }
  return result;
}

DatagenPlan read_datagen_plan(Section datagen, const std::string& name, std::uint64_t seed) {
  DatagenPlan plan;
  if (name == "config" || name == "stats")
    fail<ConfigError>("run.name = {}: a data set keeps another file as {}.yaml; choose another name", name,
                      name);
  plan.name = name;
  plan.seed = seed;
  std::int64_t trajectories = 10;
  std::string compression = "none";
  plan.frames = 100;
  datagen.maybe("spinup_steps", plan.spinup_steps, non_negative);
  datagen.maybe("steps_per_frame", plan.steps_per_frame, at_least_one);
  datagen.maybe("frames", plan.frames, between(1, kMostFrames));
  datagen.maybe("trajectories", trajectories, between(1, kMostTrajectories));
  datagen.maybe("samples_per_trajectory", plan.samples_per_trajectory, between(1, kMostSamples));
  datagen.maybe("decorrelation_steps", plan.decorrelation_steps, non_negative);
  plan.coarsen = read_coarsen(datagen.child("coarsen"));
  Section split = datagen.child("split");
  const bool given = !split.keys().empty();
  std::vector<double> fractions = given ? std::vector<double>{0, 0, 0} : std::vector<double>{0.8, 0.1, 0.1};
  for (std::size_t i = 0; i < fractions.size(); ++i) split.maybe(kSplitNames[i], fractions[i], non_negative);
  datagen.maybe("trajectories_per_file", plan.trajectories_per_file, between(1, kMostPerFile));
  datagen.maybe("compression", compression, one_of({"none", "deflate"}));
  datagen.maybe("licence", plan.licence);
  std::optional<std::string>
      cache;  // null, or no value at all, as none: so it is switched off on a command line
  datagen.maybe("spinup_cache", cache);
  plan.spinup_cache = cache.value_or("");
  plan.deflate = compression == "deflate";
  plan.splits = split_trajectories(trajectories, fractions);
  if (static_cast<double>(trajectories) * static_cast<double>(plan.samples_per_trajectory) > kMostNumber)
    datagen.reject(
        "samples_per_trajectory",
        fmt::format("{} samples of each of {} trajectories are more than their numbers can tell apart",
                    plan.samples_per_trajectory, trajectories));
  const double window = static_cast<double>(plan.frames) * static_cast<double>(plan.steps_per_frame) +
                        static_cast<double>(plan.decorrelation_steps);
  const double steps =
      static_cast<double>(plan.spinup_steps) + static_cast<double>(plan.samples_per_trajectory) * window;
  if (steps > kMostSteps)
    datagen.reject(
        "", fmt::format("a trajectory has {:.3g} steps; at most {:.0e} are possible", steps, kMostSteps));
  return plan;
}

/// As it stands where that is a text in YAML, so that the identities of data sets stay what they were.
std::string licence_text(const std::string& licence) {
  const bool plain = !licence.empty() && std::isalnum(static_cast<unsigned char>(licence.front())) != 0 &&
                     licence.find_first_of("\n\t\"") == std::string::npos &&
                     licence.find(": ") == std::string::npos && licence.find(" #") == std::string::npos &&
                     licence.back() != ':' && licence.back() != ' ';
  return plain ? licence : detail::to_yaml(licence);
}

std::string identity_yaml(const DatagenPlan& plan, const SolverInfo& info, const std::string& solver_yaml) {
  std::string text =
      fmt::format("name: {}\nseed: {}\nbackend: {}\nsolver:\n", plan.name, plan.seed, info.backend);
  text += indented(solver_yaml);
  text += "datagen:\n";
  text += fmt::format(
      "  first_trajectory: {}\n  spinup_steps: {}\n  steps_per_frame: {}\n  frames: {}\n"
      "  samples_per_trajectory: {}\n  decorrelation_steps: {}\n  coarsen:\n    factor: {}\n    kind: {}\n",
      plan.first_trajectory, plan.spinup_steps, plan.steps_per_frame, plan.frames, plan.samples_per_trajectory,
      plan.decorrelation_steps, plan.coarsen.factor, name(plan.coarsen.kind));
  // Written only where it says something, so that older data sets keep their identity.
  if (plan.coarsen.remove != Removal::none) text += fmt::format("    remove: {}\n", name(plan.coarsen.remove));
  text += "  splits:\n";
  for (const Split& split : plan.splits) text += fmt::format("    {}: {}\n", split.name, split.trajectories);
  text +=
      fmt::format("  trajectories_per_file: {}\n  compression: {}\n  licence: {}\n", plan.trajectories_per_file,
                  plan.deflate ? "deflate" : "none", licence_text(plan.licence));
  return text;
}

DatagenPlan packed_as_in(const std::filesystem::path& folder, DatagenPlan plan, const SolverInfo& info,
                         const std::string& solver_yaml) {
  const std::filesystem::path file = folder / "config.yaml";
  if (!std::filesystem::exists(file)) return plan;
  DatagenPlan packed = plan;
  const std::string identity = read_text(file);
  try {
    const Config there = Config::parse(identity);
    Section root = there.root(), datagen = root.child("datagen");
    std::string compression;
    root.maybe("name", packed.name);
    datagen.maybe("trajectories_per_file", packed.trajectories_per_file);
    datagen.maybe("compression", compression);
    datagen.maybe("licence", packed.licence);
    packed.deflate = compression == "deflate";
  } catch (const Error&) {  // whoever makes data there says what is wrong with it
    return plan;
  }
  return identity_yaml(packed, info, solver_yaml) == identity ? packed : plan;
}

bool is_identity(const std::string& text) {
  return text.starts_with("name: ") && text.find("\nseed: ") != std::string::npos &&
         text.find("\nsolver:\n") != std::string::npos && text.find("\ndatagen:\n") != std::string::npos;
}

std::string name_in_identity(const std::string& identity) {
  constexpr std::string_view kKey = "name: ";
  const std::size_t end = std::min(identity.find('\n'), identity.size());
  return identity.starts_with(kKey) ? identity.substr(kKey.size(), end - kKey.size()) : std::string();
}

void require_divisible(const SolverInfo& info, const CoarsenConfig& coarsen) {
  for (const Axis& axis : info.axes) {
    const std::size_t points = axis.coordinates.size();
    if (points % (2 * static_cast<std::size_t>(coarsen.factor)) != 0) {
      fail<ConfigError>("coarsen.factor = {} does not divide the {} points along {} into an even number",
                        coarsen.factor, points, axis.name);
    }
  }
}

void require_initial_states(const SolverInfo& info, const DatagenPlan& plan) {
  if (!info.initial_states) return;
  const std::uint64_t states = *info.initial_states, first = plan.first_trajectory,
                      end = first + static_cast<std::uint64_t>(plan.trajectories());
  if (end <= states) return;
  fail<ConfigError>(
      "solver.initial: gives {} to trajectory 0{}, but {} asks for trajectories {} to {}; choose a kind that "
      "draws "
      "its states, or give as many",
      states == 1 ? "one state" : fmt::format("{} states", states),
      states == 1 ? " alone" : fmt::format(" to {}", states - 1), plan.name, first, end - 1);
}

std::string stored_name(const FieldInfo& field, const CoarsenConfig& coarsen) {
  return coarsen.remove == Removal::zonal_mean ? field.long_name + ", zonal mean removed" : field.long_name;
}

std::vector<Axis> coarse_axes(const SolverInfo& info, const CoarsenConfig& coarsen) {
  std::vector<Axis> axes = info.axes;
  const auto factor = static_cast<std::size_t>(coarsen.factor);
  if (factor == 1) return axes;
  for (Axis& axis : axes) {
    std::vector<double> coarse(axis.coordinates.size() / factor);
    for (std::size_t i = 0; i < coarse.size(); ++i) {
      const double* cell = &axis.coordinates[i * factor];
      coarse[i] = coarsen.kind == Coarsening::block_mean
                      ? std::accumulate(cell, cell + factor, 0.0) / static_cast<double>(factor)
                      : cell[0];
    }
    axis.coordinates = std::move(coarse);
  }
  return axes;
}

}  // namespace sns
