// What forecasts without dynamics score in the short term.
#include "core/stop.hpp"
#include "experiments/evaluation.hpp"

#include <algorithm>
#include <utility>

namespace sns {
namespace {

using metrics::FieldRecorder;
using metrics::FrameDiagnostics;
using metrics::RecordSettings;

/// Records of a forecast that stays as it is, against every paired member of the truth.
class ConstantForecast {
 public:
  ConstantForecast(std::vector<RecordSettings> settings, std::int64_t frames) : settings_(std::move(settings)) {
    for (RecordSettings& field : settings_) {
      field.frames = frames;
      field.lags = 0;  // how it moves is not asked
    }
  }
  /// forecast and one member's frames: [field][axis0][axis1].
  template <class ReadFrame>
  std::vector<metrics::MemberRecord> against(std::span<const float> forecast, const ReadFrame& read) const {
    const std::size_t pixels = forecast.size() / settings_.size();
    std::vector<FieldRecorder> recorders;
    for (const RecordSettings& field : settings_) recorders.emplace_back(field, 0);
    const FrameDiagnostics::Values unused{};
    for (std::int64_t t = 0; t < settings_.front().frames; ++t) {
      const std::span<const float> truth = read(t);
      for (std::size_t f = 0; f < recorders.size(); ++f)
        recorders[f].add(forecast.subspan(f * pixels, pixels), truth.subspan(f * pixels, pixels), &unused, {});
    }
    std::vector<metrics::MemberRecord> records;
    for (FieldRecorder& recorder : recorders) records.push_back(recorder.finish());
    return records;
  }

 private:
  std::vector<RecordSettings> settings_;
};

/// Frames of truth that the climatology of one member's CRPS is made of.
constexpr std::int64_t kClimatologyFrames = 256;

/// Frames of all other members of truth, evenly spaced, of each field: [field][frame][point]; empty where there
/// is no other.
std::vector<std::vector<float>> frames_of_others(const metrics::FrameSource& truth, int member) {
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

/// CRPS of the distribution that other members have at each point, as a forecast of one member.
template <class ReadFrame>
void add_crps(Judged& ceiling, const Evaluation& evaluation, std::vector<std::vector<float>> others,
              std::int64_t frames, const ReadFrame& read) {
  const std::size_t fields = evaluation.fields.size();
  if (others.front().empty()) return;
  std::vector<metrics::EnsembleRecord> records(fields);
  const std::size_t pixels = read(0).size() / fields;
  std::vector<metrics::ClimatologyCrps> crps;
  for (std::vector<float>& field : others) crps.emplace_back(std::move(field), pixels);
  for (std::int64_t t = 0; t < frames; ++t) {
    const std::span<const float> truth = read(t);
    for (std::size_t f = 0; f < fields; ++f)
      records[f].crps.push_back(crps[f](truth.subspan(f * pixels, pixels)) /
                                evaluation.fields[f].yardstick.standard_deviation);
  }
  for (std::size_t f = 0; f < fields; ++f) ceiling.fields[f].ensemble.push_back(std::move(records[f]));
}

}  // namespace

std::vector<Judged> measure_ceilings(const Evaluation& evaluation, const metrics::FrameSource& truth,
                                     const std::vector<int>& paired,
                                     const std::vector<RecordSettings>& settings,
                                     const metrics::ScoreSettings& score_settings) {
  const std::int64_t frames =
      std::min(truth.frames(), std::max(evaluation.inputs.config.window + 1, metrics::kPairedFrames));
  const ConstantForecast constant(settings, frames);
  std::vector<float> climatology, frame(truth.frame_size()), first(truth.frame_size());
  for (const FieldTruth& field : evaluation.fields)
    for (const double value : field.reference->mean_field) climatology.push_back(static_cast<float>(value));

  std::vector<Judged> ceilings(2);
  ceilings[0].name = "climatology";
  ceilings[1].name = "persistence";
  for (Judged& ceiling : ceilings) {
    ceiling.frames = frames;
    ceiling.ids = evaluation.truth.ids;
    ceiling.fields.resize(settings.size());
  }
  const auto& methods = evaluation.inputs.methods;
  const bool ensembles =
      std::any_of(methods.begin(), methods.end(), [](const auto& m) { return m.ensemble.has_value(); });
  for (const int member : paired) {
    throw_if_stopped("while the forecasts without dynamics were measured");
    const auto read = [&](std::int64_t t) -> std::span<const float> {
      truth.read(member, t, 1, frame);
      return frame;
    };
    truth.read(member, 0, 1, first);
    for (std::size_t c = 0; c < ceilings.size(); ++c) {
      auto records = constant.against(c == 0 ? climatology : first, read);
      for (std::size_t f = 0; f < records.size(); ++f)
        ceilings[c].fields[f].members.push_back(std::move(records[f]));
    }
    if (ensembles) add_crps(ceilings[0], evaluation, frames_of_others(truth, member), frames, read);
  }
  const auto& config = evaluation.inputs.config;
  const metrics::Bootstrap bootstrap(evaluation.inputs.seed, static_cast<int>(paired.size()), config.bootstrap,
                                     config.confidence);
  const bool several = settings.size() > 1;
  for (Judged& ceiling : ceilings)
    for (std::size_t f = 0; f < settings.size(); ++f) {
      const std::string name = several ? evaluation.flow.fields[f] : "";
      auto scores = metrics::short_term(ceiling.fields[f].members, score_settings, bootstrap, name);
      std::move(scores.begin(), scores.end(), std::back_inserter(ceiling.scores));
      if (ceiling.fields[f].ensemble.empty()) continue;
      auto crps = metrics::ensemble_scores(ceiling.fields[f].ensemble, 1, config.window, bootstrap, name);
      std::move(crps.begin(), crps.end(), std::back_inserter(ceiling.scores));
    }
  return ceilings;
}

}  // namespace sns
