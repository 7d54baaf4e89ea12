#pragma once
// From frames to the records of members that an evaluation is made of.
#include "core/parallel.hpp"
#include "core/progress.hpp"
#include "experiments/evaluation.hpp"

#include <functional>
#include <string>
#include <vector>

namespace sns {

inline constexpr std::int64_t kFramesAtATime = 32;  ///< that are read

/// Which member of truth each member is compared with; -1 none.
using Pairing = std::vector<int>;

/// Trajectories of equal length, wherever their frames come from.
struct Trajectories {
  std::vector<std::int64_t> ids;  ///< one per member
  std::int64_t frames;
  /// Frames first..first+count-1 of the member at a position among `ids`, as FrameSource::read gives them.
  std::function<void(std::size_t member, std::int64_t first, std::int64_t count, std::span<float> out)> read;
};
/// These members of a source, which must outlive the result.
Trajectories trajectories(const metrics::FrameSource& source, const std::vector<int>& members);

/// What members are measured with, and how far the evaluation is.
struct Recording {
  const metrics::FrameSource& truth;
  const metrics::Flow& flow;
  std::vector<metrics::RecordSettings> settings;  ///< per field; frames are filled in
  metrics::FrameDiagnostics diagnostics;
  ThreadPool& pool;
  Progress& progress;
  std::int64_t done;  ///< frames
};

/// Measures trajectories, one group of threads at a time, so that memory does not grow with members: name, ids,
/// frames, fields and flow of a judged set. Stopped when asked to.
Judged record(std::string name, const Trajectories& trajectories, const Pairing& pairing, Recording& recording);

/// Scores its mean over members (spectrum, field) by its first `members` alone, if it has more: errors of means
/// fall with the number of members. For the floor, which is compared with means over as many.
void judge_means_of(Judged& judged, std::size_t members, const Evaluation& evaluation,
                    const metrics::ScoreSettings& settings);

/// Gives a recorded set its scores against `evaluation.truth`, whose members are those of `paired`.
void judge(Judged& judged, const Evaluation& evaluation, const metrics::ScoreSettings& settings,
           const std::vector<int>& paired, const Pairing& pairing);

/// The forecasts of Evaluation::ceilings, recorded and judged against the members `paired` of the truth.
std::vector<Judged> measure_ceilings(const Evaluation& evaluation, const std::vector<int>& paired,
                                     const metrics::ScoreSettings& settings, Recording& recording);

}  // namespace sns
