// What forecasts without dynamics score.
#include "core/random.hpp"
#include "core/stop.hpp"
#include "experiments/evaluation_recording.hpp"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <utility>

namespace sns {
namespace {

using metrics::FrameSource;

/// Frames of truth that the climatology of one member's CRPS is made of.
constexpr std::int64_t kClimatologyFrames = 256;

/// Frames of all other members of truth, evenly spaced, of each field: [field][frame][point]; empty where there
/// is no other.
std::vector<std::vector<float>> frames_of_others(const FrameSource& truth, int member) {
  std::vector<std::vector<float>> fields(truth.fields().size());
  const std::int64_t others = truth.members() - 1;
  if (others == 0) return fields;
  const std::int64_t each = std::min(truth.frames(), (kClimatologyFrames + others - 1) / others);
  std::vector<float> frame(truth.frame_size());
  for (int other = 0; other < truth.members(); ++other) {
    if (other == member) continue;
    for (std::int64_t i = 0; i < each; ++i) {
      truth.read(other, (2 * i + 1) * truth.frames() / (2 * each), 1, frame);
      for (std::size_t f = 0; f < fields.size(); ++f) {
        const auto begin = frame.begin() + static_cast<std::ptrdiff_t>(f * truth.pixels());
        fields[f].insert(fields[f].end(), begin, begin + static_cast<std::ptrdiff_t>(truth.pixels()));
      }
    }
  }
  return fields;
}

/// CRPS of the distribution that other members have at each point, as a forecast of each member, scored over as
/// many steps as the ensembles of a file.
void add_crps(Judged& ceiling, const Evaluation& evaluation, const FrameSource& truth,
              const std::vector<int>& paired, const std::filesystem::path& ensembles) {
  const std::size_t fields = evaluation.fields.size(), pixels = truth.pixels();
  const EvaluateConfig& config = evaluation.inputs.config;
  if (truth.members() == 1) return;
  const std::int64_t steps =
      std::min(FrameSource::rollout(ensembles, truth.fields()).frames(), truth.frames()) - 1;
  const std::int64_t window = metrics::make_windows(truth.frames(), config.window).front().last;
  std::vector<float> frame(truth.frame_size());
  for (const int member : paired) {
    throw_if_stopped("while the forecasts without dynamics were measured");
    std::vector<metrics::EnsembleRecord> records(fields);
    std::vector<metrics::ClimatologyCrps> crps;
    for (std::vector<float>& field : frames_of_others(truth, member))
      crps.emplace_back(std::move(field), pixels);
    for (std::int64_t t = 0; t <= steps; ++t) {
      truth.read(member, t, 1, frame);
      for (std::size_t f = 0; f < fields; ++f)
        records[f].crps.push_back(crps[f](std::span<const float>(frame).subspan(f * pixels, pixels)) /
                                  evaluation.fields[f].yardstick.standard_deviation);
    }
    for (std::size_t f = 0; f < fields; ++f) ceiling.fields[f].ensemble.push_back(std::move(records[f]));
  }
  const metrics::Bootstrap bootstrap(evaluation.inputs.seed, static_cast<int>(paired.size()), config.bootstrap,
                                     config.confidence);
  for (std::size_t f = 0; f < fields; ++f) {
    auto scores = metrics::ensemble_scores(ceiling.fields[f].ensemble, 1, window, steps, bootstrap,
                                           fields > 1 ? evaluation.flow.fields[f] : "");
    std::move(scores.begin(), scores.end(), std::back_inserter(ceiling.scores));
  }
}

/// The same frame at every time; frame_of(member position) is that frame.
Trajectories constant(const Trajectories& truth,
                      const std::function<std::vector<float>(std::size_t)>& frame_of) {
  Trajectories result = truth;
  result.read = [frame_of, frame = std::vector<float>(), of = truth.ids.size()](
                    std::size_t member, std::int64_t, std::int64_t count, std::span<float> out) mutable {
    if (of != member) frame = frame_of(member);
    of = member;
    for (auto at = out.begin(); count > 0; --count) at = std::copy(frame.begin(), frame.end(), at);
  };
  return result;
}

/// In every window the frames that another trajectory has there, in an order that means nothing: states and
/// sampling error of a solver run, without its motion. Floor trajectories, no two members the same one where
/// there are enough; without a floor the other paired ones.
class Shuffled {
 public:
  Shuffled(const FrameSource& truth, std::vector<int> paired, std::int64_t window, std::uint64_t seed)
      : truth_(truth),
        paired_(std::move(paired)),
        windows_(metrics::make_windows(truth.frames(), window)),
        seed_(seed) {
    for (int m = 0; m < truth.members(); ++m)
      if (std::find(paired_.begin(), paired_.end(), m) == paired_.end()) floor_.push_back(m);
  }

  void operator()(std::size_t member, std::int64_t first, std::int64_t count, std::span<float> out) {
    const std::size_t size = truth_.frame_size();
    for (std::int64_t i = 0; i < count; ++i) {
      draw(member, first + i);
      const metrics::Window& window = windows_[window_];
      const std::int64_t t = first + i;  // frame 0 belongs to no window
      const std::int64_t frame = t == 0 ? 0 : window.first + order_[static_cast<std::size_t>(t - window.first)];
      truth_.read(from_, frame, 1, out.subspan(static_cast<std::size_t>(i) * size, size));
    }
  }

 private:
  /// Whose frames a member has in the window of frame t, and in which order.
  void draw(std::size_t member, std::int64_t t) {
    const bool same =
        member == member_ && t <= windows_[window_].last && (t == 0 || t >= windows_[window_].first);
    if (same && !order_.empty()) return;
    member_ = member;
    window_ = 0;
    while (windows_[window_].last < t) ++window_;
    from_ = stranger(member);
    RandomStream random(seed_, Purpose::shuffled_frames, static_cast<std::uint64_t>(truth_.id(paired_[member])),
                        window_);
    order_.resize(static_cast<std::size_t>(windows_[window_].last - windows_[window_].first + 1));
    std::iota(order_.begin(), order_.end(), std::int64_t{0});
    shuffle(order_, random);
  }

  /// Whose frames a member has in a window: one permutation for all members. No trajectory has id 0 in a truth
  /// set.
  int stranger(std::size_t member) const {
    RandomStream random(seed_, Purpose::shuffled_frames, 0, window_);
    if (floor_.empty()) {
      const std::uint64_t shift = 1 + random.below(paired_.size() - 1);
      return paired_[(member + shift) % paired_.size()];
    }
    std::vector<int> drawn = floor_;
    shuffle(drawn, random);
    return drawn[member % drawn.size()];
  }

  template <class Value>
  static void shuffle(std::vector<Value>& values, RandomStream& random) {
    for (std::size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[random.below(i)]);
  }

  const FrameSource& truth_;
  std::vector<int> paired_, floor_;
  std::vector<metrics::Window> windows_;
  std::uint64_t seed_;
  std::size_t member_ = 0, window_ = 0;
  int from_ = 0;
  std::vector<std::int64_t> order_;
};

/// Mean over frames of the floor's trajectories, of the other paired ones where there is no floor, of the
/// member's own where it is alone; all fields one after the other.
std::vector<float> mean_of_others(const Evaluation& evaluation, std::size_t member) {
  std::vector<float> mean;
  for (std::size_t f = 0; f < evaluation.fields.size(); ++f) {
    const auto& paired = evaluation.truth.fields[f].members;
    std::vector<const std::vector<double>*> others;
    if (evaluation.floor)
      for (const auto& record : evaluation.floor->fields[f].members) others.push_back(&record.mean_field);
    for (std::size_t m = 0; !evaluation.floor && m < paired.size(); ++m)
      if (m != member || paired.size() == 1) others.push_back(&paired[m].mean_field);
    for (std::size_t i = 0; i < others.front()->size(); ++i) {
      double sum = 0;
      for (const auto* field : others) sum += (*field)[i];
      mean.push_back(static_cast<float>(sum / static_cast<double>(others.size())));
    }
  }
  return mean;
}

}  // namespace

std::vector<Judged> measure_ceilings(const Evaluation& evaluation, const std::vector<int>& paired,
                                     const metrics::ScoreSettings& settings, Recording& recording) {
  const FrameSource& truth = recording.truth;
  const Trajectories whole = trajectories(truth, paired);
  const auto first = [&](std::size_t member) {
    std::vector<float> frame(truth.frame_size());
    truth.read(paired[member], 0, 1, frame);
    return frame;
  };

  std::vector<Judged> ceilings;
  const auto add = [&](const char* name, const Trajectories& forecast) {
    ceilings.push_back(record(name, forecast, paired, recording));
    judge(ceilings.back(), evaluation, settings, paired, paired);
  };
  add("climatology", constant(whole, [&](std::size_t member) { return mean_of_others(evaluation, member); }));
  add("persistence", constant(whole, first));
  if (truth.members() > 1) {
    const EvaluateConfig& config = evaluation.inputs.config;
    Trajectories shuffled = whole;
    shuffled.read = Shuffled(truth, paired, config.window, evaluation.inputs.seed);
    add("shuffled", shuffled);
  }

  const auto& methods = evaluation.inputs.methods;
  const auto with_ensemble =
      std::find_if(methods.begin(), methods.end(), [](const auto& m) { return m.ensemble.has_value(); });
  if (with_ensemble != methods.end())
    add_crps(ceilings.front(), evaluation, truth, paired, *with_ensemble->ensemble);
  return ceilings;
}

}  // namespace sns
