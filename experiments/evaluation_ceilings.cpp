// What forecasts without dynamics score in the short term.
#include "core/stop.hpp"
#include "experiments/evaluation.hpp"

#include <algorithm>

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
    const FrameDiagnostics::Values unused{0, 0};
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

/// CRPS of the distribution of all truth's pixels as a forecast of each pixel of one member.
template <class ReadFrame>
void add_crps(Judged& ceiling, const Evaluation& evaluation, std::int64_t frames, const ReadFrame& read) {
  const std::size_t fields = evaluation.fields.size();
  std::vector<metrics::DistributionCrps> crps;
  std::vector<metrics::EnsembleRecord> records(fields);
  for (const FieldTruth& field : evaluation.fields) crps.emplace_back(field.reference->pixels);
  for (std::int64_t t = 0; t < frames; ++t) {
    const std::span<const float> truth = read(t);
    const std::size_t pixels = truth.size() / fields;
    for (std::size_t f = 0; f < fields; ++f) {
      const metrics::Yardstick& yardstick = evaluation.fields[f].yardstick;
      double sum = 0;
      for (const float value : truth.subspan(f * pixels, pixels))
        sum += crps[f]((static_cast<double>(value) - yardstick.mean) / yardstick.standard_deviation);
      records[f].crps.push_back(sum / static_cast<double>(pixels));
    }
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
    if (ensembles) add_crps(ceilings[0], evaluation, frames, read);
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
