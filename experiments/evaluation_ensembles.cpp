// Ensembles of methods against the truth: read, scored and written.
#include "core/error.hpp"
#include "core/stop.hpp"
#include "experiments/evaluation.hpp"
#include "experiments/metrics/ensemble.hpp"

#include <algorithm>
#include <iterator>

namespace sns {
namespace {

using metrics::EnsembleRecord;
using metrics::FrameSource;

/// Members of a file that belong to the initial condition `id`.
std::vector<int> members_of(const FrameSource& source, std::int64_t id) {
  std::vector<int> members;
  for (int m = 0; m < source.members(); ++m)
    if (source.id(m) % metrics::kEnsembleStride == id) members.push_back(m);
  return members;
}

int position_of(const FrameSource& source, std::int64_t id) {
  for (int m = 0; m < source.members(); ++m)
    if (source.id(m) == id) return m;
  return -1;
}

/// One record per field of one initial condition.
std::vector<EnsembleRecord> score_members(const FrameSource& ensemble, const std::vector<int>& members,
                                          const FrameSource& truth, int partner,
                                          const std::vector<FieldTruth>& fields) {
  const std::size_t size = ensemble.frame_size(), pixels = ensemble.pixels();
  std::vector<EnsembleRecord> records(fields.size());
  std::vector<float> forecasts(members.size() * size), target(size);
  const std::int64_t frames = std::min(ensemble.frames(), truth.frames());
  for (std::int64_t t = 0; t < frames; ++t) {
    truth.read(partner, t, 1, target);
    for (std::size_t e = 0; e < members.size(); ++e)
      ensemble.read(members[e], t, 1, std::span(forecasts).subspan(e * size, size));
    for (std::size_t f = 0; f < fields.size(); ++f) {
      std::vector<std::span<const float>> views;
      for (std::size_t e = 0; e < members.size(); ++e)
        views.push_back(std::span<const float>(forecasts).subspan(e * size + f * pixels, pixels));
      const auto score =
          metrics::score_ensemble(views, std::span<const float>(target).subspan(f * pixels, pixels));
      const double scale = fields[f].yardstick.standard_deviation;
      records[f].crps.push_back(score.crps / scale);
      records[f].variance.push_back(score.variance / (scale * scale));
      records[f].squared_error.push_back(score.squared_error / (scale * scale));
    }
  }
  return records;
}

}  // namespace

void judge_ensemble(Judged& judged, const std::filesystem::path& file, const Evaluation& evaluation,
                    const FrameSource& truth, const metrics::Bootstrap& bootstrap) {
  const auto ensemble = FrameSource::rollout(file, truth.fields());
  require(ensemble.points() == truth.points() &&
              std::abs(ensemble.interval() - truth.interval()) < 1e-6 * truth.interval(),
          "{}: frames of {} points every {:g}, truth's have {} points every {:g}", file.string(),
          ensemble.points(), ensemble.interval(), truth.points(), truth.interval());
  std::size_t count = 0;
  for (const std::int64_t id : judged.ids) {
    throw_if_stopped("while ensembles were measured");
    const auto members = members_of(ensemble, id);
    require(members.size() >= 2 && (count == 0 || count == members.size()),
            "{}: {} members of initial condition {}: all need equally many, at least 2", file.string(),
            members.size(), id);
    count = members.size();
    auto records = score_members(ensemble, members, truth, position_of(truth, id), evaluation.fields);
    for (std::size_t f = 0; f < records.size(); ++f) judged.fields[f].ensemble.push_back(std::move(records[f]));
  }
  judged.ensemble_members = static_cast<int>(count);
  const std::int64_t window =
      metrics::make_windows(truth.frames(), evaluation.inputs.config.window).front().last;
  for (std::size_t f = 0; f < judged.fields.size(); ++f) {
    auto scores = metrics::ensemble_scores(judged.fields[f].ensemble, judged.ensemble_members, window,
                                           std::min(ensemble.frames(), truth.frames()) - 1, bootstrap,
                                           judged.fields.size() > 1 ? evaluation.flow.fields[f] : "");
    std::move(scores.begin(), scores.end(), std::back_inserter(judged.scores));
  }
}

}  // namespace sns
