#include "experiments/evaluation_recording.hpp"

#include "core/stop.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

namespace sns {
namespace {

using metrics::FrameSource;
using metrics::MemberRecord;
using metrics::RecordSettings;

bool all_finite(std::span<const float> frame) {
  return std::all_of(frame.begin(), frame.end(), [](float v) { return std::isfinite(v); });
}

/// What is measured along one member.
struct Recorders {
  metrics::MemberRecorder fields;
  metrics::FlowRecorder flow;
  void add(std::span<const float> frame, std::span<const float> truth) {
    fields.add(frame, truth);
    flow.add(all_finite(frame) ? frame : std::span<const float>());
  }
};

/// Scores of whole states.
void judge_flow(Judged& judged, const Evaluation& evaluation, const std::vector<int>& paired,
                const Pairing& pairing, const metrics::Bootstrap& bootstrap) {
  std::vector<const metrics::FlowRecord*> partners;
  for (const int partner : pairing) {
    const auto found = std::find(paired.begin(), paired.end(), partner);
    partners.push_back(found == paired.end()
                           ? nullptr
                           : &evaluation.truth.flow[static_cast<std::size_t>(found - paired.begin())]);
  }
  auto scores = metrics::flow_scores(
      judged.flow, partners, evaluation.flow_reference,
      [&](std::size_t member, std::size_t window) {
        return judged.fields[0].members[member].windows[window].whole();
      },
      bootstrap);
  std::move(scores.begin(), scores.end(), std::back_inserter(judged.scores));
}

}  // namespace

Trajectories trajectories(const FrameSource& source, const std::vector<int>& members) {
  Trajectories result{.ids = {}, .frames = source.frames(), .read = {}};
  for (const int m : members) result.ids.push_back(source.id(m));
  result.read = [&source, members](std::size_t member, std::int64_t first, std::int64_t count,
                                   std::span<float> out) { source.read(members[member], first, count, out); };
  return result;
}

Judged record(std::string name, const Trajectories& trajectories, const Pairing& pairing,
              Recording& recording) {
  const std::size_t members = trajectories.ids.size();
  Judged judged{.name = std::move(name),
                .ids = trajectories.ids,
                .frames = trajectories.frames,
                .fields = std::vector<JudgedField>(recording.settings.size()),
                .flow = {},
                .ensemble_members = 0,
                .scores = {},
                .log = {}};
  std::vector<RecordSettings> settings = recording.settings;
  for (RecordSettings& field : settings) field.frames = trajectories.frames;
  const std::size_t size = recording.truth.frame_size();
  const std::size_t slab = static_cast<std::size_t>(kFramesAtATime) * size;
  const auto group = static_cast<std::size_t>(recording.pool.threads());
  std::vector<float> frames(group * slab), paired(group * slab);
  for (std::size_t begin = 0; begin < members; begin += group) {
    const std::size_t count = std::min(group, members - begin);
    std::vector<Recorders> recorders;
    for (std::size_t i = 0; i < count; ++i)
      recorders.push_back({{settings, recording.diagnostics},
                           {metrics::FlowDiagnostics(recording.flow), trajectories.frames, settings[0].window,
                            settings[0].interval}});
    for (std::int64_t first = 0; first < trajectories.frames; first += kFramesAtATime) {
      throw_if_stopped("while rollouts were measured");
      const std::int64_t length = std::min(kFramesAtATime, trajectories.frames - first);
      const std::int64_t with_truth = std::clamp<std::int64_t>(recording.truth.frames() - first, 0, length);
      for (std::size_t i = 0; i < count; ++i) {
        trajectories.read(begin + i, first, length, std::span(frames).subspan(i * slab, slab));
        const int partner = pairing[begin + i];
        if (partner >= 0 && with_truth > 0)
          recording.truth.read(partner, first, with_truth, std::span(paired).subspan(i * slab, slab));
      }
      recording.pool.for_each(static_cast<std::int64_t>(count), [&](std::int64_t item, int) {
        const auto i = static_cast<std::size_t>(item);
        for (std::int64_t t = 0; t < length; ++t) {
          const std::size_t offset = i * slab + static_cast<std::size_t>(t) * size;
          const bool compare = pairing[begin + i] >= 0 && t < with_truth;
          recorders[i].add(
              std::span<const float>(frames).subspan(offset, size),
              compare ? std::span<const float>(paired).subspan(offset, size) : std::span<const float>());
        }
      });
      recording.done += length * static_cast<std::int64_t>(count);
      recording.progress.update(recording.done);
    }
    for (Recorders& recorder : recorders) {
      auto records = recorder.fields.finish();
      for (std::size_t f = 0; f < records.size(); ++f)
        judged.fields[f].members.push_back(std::move(records[f]));
      judged.flow.push_back(recorder.flow.finish());
    }
  }
  return judged;
}

void judge(Judged& judged, const Evaluation& evaluation, const metrics::ScoreSettings& settings,
           const std::vector<int>& paired, const Pairing& pairing) {
  const EvaluateConfig& config = evaluation.inputs.config;
  const metrics::Bootstrap bootstrap(evaluation.inputs.seed, static_cast<int>(judged.members()),
                                     config.bootstrap, config.confidence);
  std::vector<std::span<const MemberRecord>> records;
  for (const JudgedField& field : judged.fields) records.emplace_back(field.members);
  judged.scores = metrics::stability(records, bootstrap);
  for (std::size_t f = 0; f < judged.fields.size(); ++f) {
    const metrics::TruthReference& reference = *evaluation.fields[f].reference;
    auto scores = metrics::score(records[f], reference, settings, bootstrap,
                                 judged.fields.size() > 1 ? evaluation.flow.fields[f] : "");
    std::move(scores.begin(), scores.end(), std::back_inserter(judged.scores));
    for (std::size_t w = 0; w < records[f][0].windows.size(); ++w)
      judged.fields[f].errors.push_back(metrics::window_error(records[f], w, reference, bootstrap));
  }
  judge_flow(judged, evaluation, paired, pairing, bootstrap);
}

void judge_means_of(Judged& judged, std::size_t members, const Evaluation& evaluation,
                    const metrics::ScoreSettings& settings) {
  if (judged.members() <= members) return;
  const EvaluateConfig& config = evaluation.inputs.config;
  const metrics::Bootstrap bootstrap(evaluation.inputs.seed, static_cast<int>(members), config.bootstrap,
                                     config.confidence);
  for (std::size_t f = 0; f < judged.fields.size(); ++f) {
    const metrics::TruthReference& reference = *evaluation.fields[f].reference;
    const auto first = std::span<const MemberRecord>(judged.fields[f].members).first(members);
    for (metrics::Score& score : metrics::score(first, reference, settings, bootstrap,
                                                judged.fields.size() > 1 ? evaluation.flow.fields[f] : "")) {
      if (score.info.statistic != metrics::Statistic::ensemble) continue;
      const auto of_all =
          std::find_if(judged.scores.begin(), judged.scores.end(),
                       [&](const metrics::Score& one) { return one.info.id() == score.info.id(); });
      if (of_all != judged.scores.end()) *of_all = std::move(score);
    }
    for (std::size_t w = 0; w < judged.fields[f].errors.size(); ++w)
      judged.fields[f].errors[w].ensemble = metrics::window_error(first, w, reference, bootstrap).ensemble;
  }
}

}  // namespace sns
