#pragma once
// The result of an evaluation and the files that it is written to.
#include "experiments/evaluate.hpp"
#include "experiments/metrics/ensemble.hpp"
#include "experiments/metrics/flow.hpp"
#include "experiments/metrics/flow_scores.hpp"
#include "experiments/metrics/frames.hpp"
#include "experiments/metrics/rollout_log.hpp"
#include "experiments/metrics/scores.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace sns {

/// Frames of one member for the figure; frames beyond a trajectory's end are NaN.
struct Snapshots {
  std::vector<std::int64_t> frames;
  std::vector<float> values;  ///< [frame][axis0][axis1], physical units
};

/// One field of a judged set.
struct JudgedField {
  std::vector<metrics::MemberRecord> members;
  std::vector<metrics::WindowError> errors;       ///< per window; none for the truth
  Snapshots snapshots;                            ///< truth and methods
  std::vector<metrics::EnsembleRecord> ensemble;  ///< per initial condition; methods with an ensemble
};

/// One judged set of trajectories: a method, the truth or the floor.
struct Judged {
  std::string name;
  std::vector<std::int64_t> ids;
  std::int64_t frames = 0;
  std::vector<JudgedField> fields;
  std::vector<metrics::FlowRecord> flow;   ///< per member
  int ensemble_members = 0;                ///< per initial condition
  std::vector<metrics::Score> scores;      ///< none for the truth
  std::optional<metrics::RolloutLog> log;  ///< methods only
  std::size_t members() const { return fields.front().members.size(); }
};

/// What the truth says of one field.
struct FieldTruth {
  metrics::Yardstick yardstick{};
  std::optional<metrics::TruthReference> reference;
};

struct PairedMethods {
  std::string a, b;
  std::vector<metrics::PairedDifference> differences;
};

struct Evaluation {
  EvaluateInputs inputs;
  metrics::Flow flow;
  std::vector<FieldTruth> fields;
  Judged truth;
  std::optional<Judged> floor;
  metrics::FlowReference flow_reference;
  /// Forecasts that know nothing of the flow's dynamics, as long as the truth: its mean field, of CRPS the
  /// distribution at each point ("climatology"), the initial condition ("persistence"), and frames drawn at
  /// random from other trajectories ("shuffled").
  std::vector<Judged> ceilings;
  std::optional<Judged> solver_ensemble;  ///< its ensemble and the scores of that alone
  std::vector<Judged> methods;
  std::vector<PairedMethods> paired;
};

/// Scores the ensembles of a file, of the initial conditions judged.ids, and adds them to the scores. Error
/// unless each has as many members as the others, at least 2.
void judge_ensemble(Judged& judged, const std::filesystem::path& file, const Evaluation& evaluation,
                    const metrics::FrameSource& truth, const metrics::Bootstrap& bootstrap);

/// JSON has no infinities: they are the strings "inf" and "-inf"; undefined values are null.
void write_metrics_json(const Evaluation& evaluation, const std::filesystem::path& file);
/// One row per method, metric and period.
void write_metrics_csv(const Evaluation& evaluation, const std::filesystem::path& file);
/// Everything that the figures draw.
void write_curves(const Evaluation& evaluation, const std::filesystem::path& file);
/// The main metrics for a terminal: one column per method and one for the floor.
std::string metrics_table(const Evaluation& evaluation);

}  // namespace sns
