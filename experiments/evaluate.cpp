#include "experiments/evaluate.hpp"

#include "core/error.hpp"
#include "core/files.hpp"
#include "core/log.hpp"
#include "core/parallel.hpp"
#include "core/progress.hpp"
#include "core/stop.hpp"
#include "experiments/evaluation_recording.hpp"
#include "experiments/metrics/frames.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <limits>
#include <set>

namespace sns {
namespace {

using metrics::FrameDiagnostics;
using metrics::FrameSource;
using metrics::RecordSettings;

/// Reads one member's frames in chunks and hands each to `visit(frame index, frame)`.
template <class Visit>
void for_each_frame(const FrameSource& source, int member, const Visit& visit) {
  const std::size_t size = source.frame_size();
  std::vector<float> chunk(static_cast<std::size_t>(kFramesAtATime) * size);
  for (std::int64_t first = 0; first < source.frames(); first += kFramesAtATime) {
    const std::int64_t count = std::min(kFramesAtATime, source.frames() - first);
    source.read(member, first, count, chunk);
    for (std::int64_t i = 0; i < count; ++i)
      visit(first + i, std::span<const float>(chunk).subspan(static_cast<std::size_t>(i) * size, size));
  }
}

/// Mean, standard deviation, ranges of energy and enstrophy and the size of increments of all truth frames, by
/// field.
std::vector<metrics::Yardstick> survey(const FrameSource& truth, FrameDiagnostics& diagnostics,
                                       Progress& progress, std::int64_t& done) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const std::size_t fields = truth.fields().size(), pixels = truth.pixels();
  std::vector<double> spectra(fields * diagnostics.wavenumbers().size());
  std::vector<metrics::Yardstick> yardsticks(fields,
                                             {0, 0, {kInfinity, -kInfinity}, {kInfinity, -kInfinity}, 0});
  std::vector<double> sum(fields, 0.0), sum_of_squares(fields, 0.0), increments(fields, 0.0);
  std::vector<float> previous(truth.frame_size());
  for (int m = 0; m < truth.members(); ++m)
    for_each_frame(truth, m, [&](std::int64_t t, std::span<const float> frame) {
      for (std::size_t f = 0; f < fields; ++f) {
        double squares = 0;
        for (const float value : frame.subspan(f * pixels, pixels)) {
          sum[f] += static_cast<double>(value);
          squares += static_cast<double>(value) * static_cast<double>(value);
        }
        require(std::isfinite(squares),
                "truth trajectory {} is not finite at frame {}: make the truth set again", truth.id(m), t);
        sum_of_squares[f] += squares;
        for (std::size_t i = f * pixels; t > 0 && i < (f + 1) * pixels; ++i) {
          const double increment = static_cast<double>(frame[i]) - static_cast<double>(previous[i]);
          increments[f] += increment * increment;
        }
      }
      std::copy(frame.begin(), frame.end(), previous.begin());
      throw_if_stopped("while the truth was measured");
      const auto values = diagnostics.measure(frame, spectra);
      for (std::size_t f = 0; f < fields; ++f) {
        yardsticks[f].energy.include(values[f].energy);
        yardsticks[f].enstrophy.include(values[f].enstrophy);
      }
      progress.update(++done);
    });
  const double count =
      static_cast<double>(truth.members()) * static_cast<double>(truth.frames()) * static_cast<double>(pixels);
  for (std::size_t f = 0; f < fields; ++f) {
    yardsticks[f].mean = sum[f] / count;
    yardsticks[f].standard_deviation =
        std::sqrt(sum_of_squares[f] / count - yardsticks[f].mean * yardsticks[f].mean);
    require(yardsticks[f].standard_deviation > 0,
            "the truth set's {} is constant: nothing can be compared with it", truth.fields()[f]);
    const double pairs = static_cast<double>(truth.frames() - 1) / static_cast<double>(truth.frames());
    yardsticks[f].increment = std::sqrt(increments[f] / (count * pairs));
    require(yardsticks[f].increment > 0, "the truth set's {} does not change in time", truth.fields()[f]);
  }
  return yardsticks;
}

/// The frames that snapshots show of rollouts that end with `last_frame`.
std::vector<std::int64_t> snapshot_frames(const FigureConfig& figure, std::int64_t last_frame) {
  if (figure.steps) return {figure.steps->begin(), figure.steps->end()};
  std::vector<std::int64_t> frames;
  for (int c = 0; c < figure.columns; ++c)
    frames.push_back(std::llround(static_cast<double>(c) * static_cast<double>(last_frame) /
                                  std::max(figure.columns - 1, 1)));
  return frames;
}

void take_snapshots(const FrameSource& source, int member, const std::vector<std::int64_t>& frames,
                    Judged& judged) {
  const std::size_t pixels = source.pixels();
  std::vector<float> whole(source.frame_size());
  for (const std::int64_t frame : frames) {
    std::fill(whole.begin(), whole.end(), std::numeric_limits<float>::quiet_NaN());
    if (frame < source.frames()) source.read(member, frame, 1, whole);
    for (std::size_t f = 0; f < judged.fields.size(); ++f) {
      Snapshots& snapshots = judged.fields[f].snapshots;
      snapshots.frames.push_back(frame);
      const auto begin = whole.begin() + static_cast<std::ptrdiff_t>(f * pixels);
      snapshots.values.insert(snapshots.values.end(), begin, begin + static_cast<std::ptrdiff_t>(pixels));
    }
  }
}

std::vector<int> positions(const FrameSource& truth, const FrameSource& rollout, const std::string& method) {
  std::vector<int> result;
  for (int m = 0; m < rollout.members(); ++m) {
    int found = -1;
    for (int t = 0; t < truth.members(); ++t)
      if (truth.id(t) == rollout.id(m)) found = t;
    require(found >= 0,
            "method {}: member {} has no truth trajectory: make truth and rollouts from the same configuration",
            method, rollout.id(m));
    result.push_back(found);
  }
  return result;
}

std::vector<int> all_members(const FrameSource& source) {
  std::vector<int> members(static_cast<std::size_t>(source.members()));
  for (int m = 0; m < source.members(); ++m) members[static_cast<std::size_t>(m)] = m;
  return members;
}

/// Opened inputs and who is paired with whom.
struct Sources {
  FrameSource truth;
  std::vector<FrameSource> rollouts;
  std::vector<Pairing> pairings;   ///< per rollout
  std::vector<int> paired, floor;  ///< members of truth
  std::int64_t last_frame = 0;     ///< of the longest rollout
};

Sources open_sources(const EvaluateInputs& inputs) {
  require(!inputs.methods.empty(), "nothing to evaluate: no method was given");
  Sources sources{
      .truth = FrameSource::dataset(inputs.truth), .rollouts = {}, .pairings = {}, .paired = {}, .floor = {}};
  std::set<int> paired;
  for (const auto& method : inputs.methods) {
    auto rollout = FrameSource::rollout(method.file, sources.truth.fields());
    require(rollout.points() == sources.truth.points() &&
                std::abs(rollout.interval() - sources.truth.interval()) < 1e-6 * sources.truth.interval(),
            "{}: {}x{} frames every {} differ from truth's {}x{} every {}", method.file.string(),
            rollout.points(), rollout.points(), rollout.interval(), sources.truth.points(),
            sources.truth.points(), sources.truth.interval());
    sources.pairings.push_back(positions(sources.truth, rollout, method.name));
    paired.insert(sources.pairings.back().begin(), sources.pairings.back().end());
    sources.last_frame = std::max(sources.last_frame, rollout.frames() - 1);
    sources.rollouts.push_back(std::move(rollout));
  }
  sources.paired.assign(paired.begin(), paired.end());
  for (const int m : all_members(sources.truth))
    if (!paired.contains(m)) sources.floor.push_back(m);
  return sources;
}

void compare_methods(Evaluation& evaluation) {
  for (std::size_t a = 0; a < evaluation.methods.size(); ++a)
    for (std::size_t b = a + 1; b < evaluation.methods.size(); ++b) {
      const Judged &first = evaluation.methods[b], &second = evaluation.methods[a];
      if (first.ids != second.ids) {
        log::warn("{} and {} hold different members: no paired difference", first.name, second.name);
        continue;
      }
      const metrics::Bootstrap bootstrap(evaluation.inputs.seed, static_cast<int>(first.members()),
                                         evaluation.inputs.config.bootstrap,
                                         evaluation.inputs.config.confidence);
      evaluation.paired.push_back(
          {first.name, second.name, metrics::paired_differences(first.scores, second.scores, bootstrap)});
    }
}

Evaluation measure(const EvaluateInputs& inputs) {
  const Sources sources = open_sources(inputs);
  const EvaluateConfig& config = inputs.config;
  Evaluation evaluation;
  evaluation.inputs = inputs;
  evaluation.flow = metrics::read_flow(inputs.truth);
  const auto kind = metrics::spectrum_kind(config.spectrum, evaluation.flow);
  const std::size_t fields = evaluation.flow.fields.size();

  const std::int64_t ceilings = sources.truth.members() > 1 ? 3 : 2;
  std::int64_t total =
      sources.truth.frames() * (2 * sources.truth.members() + ceilings * std::ssize(sources.paired));
  for (const auto& rollout : sources.rollouts) total += rollout.frames() * rollout.members();
  Progress progress("evaluate", total, "frames");
  std::int64_t done = 0;
  FrameDiagnostics unscaled(evaluation.flow, kind, std::vector<double>(fields, 1.0));
  const auto yardsticks = survey(sources.truth, unscaled, progress, done);
  ThreadPool pool(inputs.threads > 0 ? inputs.threads : default_threads());
  const std::int64_t shortest = std::min(sources.truth.frames(), sources.last_frame + 1);
  if (3 * config.window > shortest - 1)
    log::warn(
        "evaluate.window: three windows of {} steps do not fit into {}: some of early, mid and late are the "
        "same",
        config.window, shortest - 1);
  std::vector<RecordSettings> settings;
  std::vector<double> scales;
  for (const metrics::Yardstick& yardstick : yardsticks) {
    settings.push_back(
        {.frames = sources.truth.frames(),
         .window = config.window,
         .interval = sources.truth.interval(),
         .lags = static_cast<int>(std::clamp<std::int64_t>((shortest - 1) / 2, 0, config.lags)),
         .temporal_window = std::clamp<std::int64_t>((shortest - 1) / 2, 1, config.temporal_window),
         .energy_factor = config.energy_factor,
         .correlation_thresholds = config.correlation_thresholds,
         .yardstick = yardstick});
    scales.push_back(yardstick.standard_deviation);
  }
  Recording recording{sources.truth, evaluation.flow, settings, FrameDiagnostics(evaluation.flow, kind, scales),
                      pool,          progress,        done};

  evaluation.truth = record("solver", trajectories(sources.truth, sources.paired),
                            Pairing(sources.paired.size(), -1), recording);
  evaluation.flow_reference = metrics::make_flow_reference(evaluation.truth.flow);
  for (std::size_t f = 0; f < fields; ++f)
    evaluation.fields.push_back(
        {yardsticks[f],
         metrics::make_reference(evaluation.truth.fields[f].members, recording.diagnostics.wavenumbers(),
                                 recording.diagnostics.resolved_wavenumber(), config.first_shell,
                                 config.last_shell, settings[f])});
  const metrics::ScoreSettings score_settings{config.frozen_factor, config.correlation_thresholds};
  if (!sources.floor.empty()) {
    // Independent solver runs against other initial conditions: for the short-term metrics this is the level
    // of two unrelated states.
    Pairing pairing;
    for (std::size_t i = 0; i < sources.floor.size(); ++i)
      pairing.push_back(sources.paired[i % sources.paired.size()]);
    Judged floor = record("floor", trajectories(sources.truth, sources.floor), pairing, recording);
    judge(floor, evaluation, score_settings, sources.paired, pairing);
    if (floor.members() < sources.paired.size())
      log::warn("the floor has {} solver runs for {} members: errors of means over members are smaller of more",
                floor.members(), sources.paired.size());
    judge_means_of(floor, sources.paired.size(), evaluation, score_settings);
    evaluation.floor = std::move(floor);
  } else {
    log::warn("the truth set holds no trajectories beyond the rollouts' members: no truth-against-truth floor");
  }

  evaluation.ceilings = measure_ceilings(evaluation, sources.paired, score_settings, recording);

  const auto shown_frames = snapshot_frames(inputs.figure, sources.last_frame);
  for (std::size_t i = 0; i < inputs.methods.size(); ++i) {
    const FrameSource& rollout = sources.rollouts[i];
    const int shown = std::clamp(inputs.figure.member, 0, rollout.members() - 1);
    Judged method = record(inputs.methods[i].name, trajectories(rollout, all_members(rollout)),
                           sources.pairings[i], recording);
    method.log = metrics::read_rollout_log(inputs.methods[i].file, config.window);
    take_snapshots(rollout, shown, shown_frames, method);
    judge(method, evaluation, score_settings, sources.paired, sources.pairings[i]);
    if (inputs.methods[i].ensemble)
      judge_ensemble(method, *inputs.methods[i].ensemble, evaluation, sources.truth,
                     {inputs.seed, rollout.members(), config.bootstrap, config.confidence});
    if (i == 0)
      take_snapshots(sources.truth, sources.pairings[0][static_cast<std::size_t>(shown)], shown_frames,
                     evaluation.truth);
    evaluation.methods.push_back(std::move(method));
  }
  if (inputs.solver_ensemble) {
    Judged solver = evaluation.ceilings.front();
    solver.name = "solver's ensemble";
    solver.scores.clear();
    for (JudgedField& field : solver.fields) field = {};
    judge_ensemble(solver, *inputs.solver_ensemble, evaluation, sources.truth,
                   {inputs.seed, static_cast<int>(solver.ids.size()), config.bootstrap, config.confidence});
    evaluation.solver_ensemble = std::move(solver);
  }
  progress.finish();
  compare_methods(evaluation);
  return evaluation;
}

}  // namespace

void read(Section& evaluate, EvaluateConfig& config) {
  evaluate.maybe("bootstrap", config.bootstrap, positive);
  evaluate.maybe("confidence", config.confidence, between(0.5, 0.9999));
  evaluate.maybe("window", config.window, positive);
  evaluate.maybe("spectrum", config.spectrum, one_of({"shells", "pv", "paper", "paper_qg_pv"}));
  evaluate.maybe("first_shell", config.first_shell, positive);
  evaluate.maybe("last_shell", config.last_shell, non_negative);
  evaluate.maybe("energy_factor", config.energy_factor, between(1.0, 1e6));
  evaluate.maybe("frozen_factor", config.frozen_factor, between(0.0, 1.0));
  evaluate.maybe("lags", config.lags, positive);
  evaluate.maybe("temporal_window", config.temporal_window, positive);
  evaluate.maybe(
      "correlation_thresholds", config.correlation_thresholds, [](const std::vector<double>& thresholds) {
        const bool correlations =
            std::all_of(thresholds.begin(), thresholds.end(), [](double t) { return t > 0 && t < 1; });
        return correlations ? "" : "must be correlations, between 0 and 1";
      });
}

void evaluate_rollouts(const EvaluateInputs& inputs) {
  make_writable_folder(inputs.output);
  const FolderLock lock(inputs.output);
  const Evaluation evaluation = measure(inputs);
  write_curves(evaluation, inputs.output / "curves.h5");
  write_metrics_csv(evaluation, inputs.output / "metrics.csv");
  write_metrics_json(evaluation, inputs.output / "metrics.json");
  const std::string table = fmt::format("\n{}\n{}", inputs.output.string(), metrics_table(evaluation));
  std::fputs(table.c_str(), stdout);
  std::fflush(stdout);
}

}  // namespace sns
