#include "experiments/evaluation_cost.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace sns {
namespace {

using metrics::Better;
using metrics::CostClock;
using metrics::Estimate;
using metrics::RolloutLog;
using metrics::Score;

const Score* find_score(const std::vector<Score>& scores, const std::string& id) {
  const auto found =
      std::find_if(scores.begin(), scores.end(), [&](const Score& s) { return s.info.id() == id; });
  return found == scores.end() ? nullptr : &*found;
}

/// The difference first - second of a metric over common members, if it was made; its sign is turned where the
/// pair was taken the other way round.
std::optional<Estimate> difference(const Evaluation& evaluation, const std::string& first,
                                   const std::string& second, const std::string& id) {
  for (const PairedMethods& pair : evaluation.paired) {
    const bool turned = pair.a == second && pair.b == first;
    if (!turned && (pair.a != first || pair.b != second)) continue;
    for (const auto& one : pair.differences)
      if (one.info.id() == id)
        return turned ? Estimate{-one.difference.value, -one.difference.high, -one.difference.low}
                      : one.difference;
  }
  return std::nullopt;
}

/// Whether a score is one that independent runs of the truth get as well: nothing can be better in earnest. Not
/// for comparisons with the paired truth, which independent runs know nothing of.
bool as_good_as_truth(const Evaluation& evaluation, const Score& score) {
  if (!evaluation.floor || score.info.key == "nrmse") return false;
  const Score* floor = find_score(evaluation.floor->scores, score.info.id());
  if (floor == nullptr) return false;
  auto [value, low, high] = floor->estimate;
  if (std::isnan(low)) {  // of few runs: what they score themselves
    low = high = value;
    for (const double run : floor->members) low = std::min(low, run), high = std::max(high, run);
  }
  return score.info.better == Better::higher ? score.estimate.value >= low : score.estimate.value <= high;
}

/// Whether a score is a forecast's error at all: beyond climatology's, frames have nothing to do
/// with the truth any more, and the error is the smaller the less there is in them.
bool forecasts(const Evaluation& evaluation, const Score& score) {
  if (score.info.key != "nrmse") return true;
  for (const Judged& ceiling : evaluation.ceilings)
    if (const Score* other = find_score(ceiling.scores, score.info.id());
        other != nullptr && ceiling.name == "climatology")
      return score.estimate.value < other->estimate.value;
  return true;
}

/// Whether the score of one method is better than another's beyond doubt: the interval of their paired
/// difference leaves 0 out or, without one, their own intervals do not meet. Never where the other is as good
/// as the truth, or where the one forecasts nothing.
bool surely_better(const Evaluation& evaluation, const Judged& one, const Judged& than, const Score& score) {
  const Score* other = find_score(than.scores, score.info.id());
  if (other == nullptr || as_good_as_truth(evaluation, *other) || !forecasts(evaluation, score)) return false;
  const bool high = score.info.better == Better::higher;
  if (const auto paired = difference(evaluation, one.name, than.name, score.info.id()))
    return high ? paired->low > 0 : paired->high < 0;
  return high ? score.estimate.low > other->estimate.high : score.estimate.high < other->estimate.low;
}

/// Ids of the deciding metrics, of all fields, in which one method is surely better than another.
std::vector<std::string> better_in(const Evaluation& evaluation, const Judged& one, const Judged& than) {
  std::vector<std::string> ids;
  for (const Score& score : one.scores) {
    const auto& deciding = quality_metrics();
    const std::string kind = score.info.key + "/" + score.info.period;
    if (std::find(deciding.begin(), deciding.end(), kind) != deciding.end() &&
        surely_better(evaluation, one, than, score))
      ids.push_back(score.info.id());
  }
  return ids;
}

/// "cpu", "cuda:0", ...; empty where the file does not say.
std::string device_of(const RolloutLog& log) {
  const auto found = log.attributes.find("device");
  return found == log.attributes.end() ? "" : found->second;
}

/// Not of a file that does not say, or whose steps were made with several numbers of threads.
bool same_machine(const RolloutLog& a, const RolloutLog& b) {
  return a.threads == b.threads && a.threads > 0 && device_of(a).substr(0, 4) == device_of(b).substr(0, 4);
}

int lost_members(const Judged& method) {
  const Score* stable = find_score(method.scores, "stable_fraction/all");
  if (stable == nullptr) return 0;
  return static_cast<int>(std::count_if(stable->members.begin(), stable->members.end(),
                                        [](double fraction) { return !(fraction >= 1); }));
}

metrics::Resampling resampling(const Evaluation& evaluation) {
  const EvaluateConfig& config = evaluation.inputs.config;
  return {.seed = evaluation.inputs.seed, .resamples = config.bootstrap, .confidence = config.confidence};
}

/// The time of a step by one clock; log: a RolloutLog or a SolverCost, whose wall clock older files have alone.
template <class Log>
double step_time(const Log& log, CostClock clock) {
  return clock == CostClock::wall ? log.milliseconds_per_step
                                  : metrics::milliseconds_per_step(log.blocks, clock);
}

template <class Log>
Estimate step_time_estimate(const Log& log, CostClock clock, const Evaluation& evaluation) {
  Estimate estimate = metrics::milliseconds_per_step(log.blocks, clock, resampling(evaluation));
  estimate.value = step_time(log, clock);
  return estimate;
}

/// The time of a step over another one's.
template <class Log>
Estimate times_of(const RolloutLog& log, const Log& other, const Evaluation& evaluation) {
  const CostClock clock = cost_clock(evaluation);
  Estimate ratio = metrics::step_time_ratio(log.blocks, other.blocks, clock, resampling(evaluation));
  ratio.value = step_time(log, clock) / step_time(other, clock);
  return ratio;
}

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
constexpr Estimate kNotComparable{kNone, kNone, kNone};

/// Solvers in the order in which an emulator is set beside them: those of its device and threads by their cost,
/// then the others by their points.
std::vector<const Judged*> solvers_beside(const Evaluation& evaluation, const Judged& emulator) {
  std::vector<const Judged*> solvers;
  for (const Judged& method : evaluation.methods)
    if (method.log->solver) solvers.push_back(&method);
  const CostClock clock = cost_clock(evaluation);
  const auto rank = [&](const Judged* solver) {
    const bool comparable = same_machine(*emulator.log, *solver->log);
    return std::pair(!comparable, comparable ? step_time(*solver->log, clock) : solver->log->solver->points);
  };
  std::stable_sort(solvers.begin(), solvers.end(),
                   [&](const Judged* a, const Judged* b) { return rank(a) < rank(b); });
  return solvers;
}

void find_equal_solver(const Evaluation& evaluation, const Judged& emulator, SpeedComparison& comparison) {
  for (const Judged* solver : solvers_beside(evaluation, emulator)) {
    auto ids = better_in(evaluation, emulator, *solver);
    // One that loses members is not as good as an emulator that keeps all, however few the members.
    if (ids.empty() && lost_members(*solver) > 0) ids.emplace_back("stable_fraction/all");
    if (!ids.empty()) {
      comparison.better_than.emplace_back(solver->name, std::move(ids));
      continue;
    }
    comparison.equal_solver = solver->name;
    comparison.equal_points = solver->log->solver->points;
    comparison.worse_in = better_in(evaluation, *solver, emulator);
    if (same_machine(*emulator.log, *solver->log))
      comparison.times_equal = times_of(*emulator.log, *solver->log, evaluation);
    return;
  }
}

double interval_of(const Evaluation& evaluation) {
  return evaluation.fields.front().reference->interval;
}

std::string time_units(const Evaluation& evaluation) {
  const std::string& units = evaluation.flow.time_units;
  return units.empty() || units == "1" ? "time" : units;  // a flow without dimensions
}

/// Evaluations per step of surrogate, noise heads and denoiser, with intervals over initial conditions.
std::array<Estimate, 3> evaluations_per_step(const RolloutLog& log, const Evaluation& evaluation) {
  const auto [seed, resamples, confidence] = resampling(evaluation);
  const metrics::Bootstrap bootstrap(seed, static_cast<int>(log.work.size()), resamples, confidence);
  std::array<Estimate, 3> estimates;
  for (std::size_t kind = 0; kind < estimates.size(); ++kind)
    estimates[kind] = bootstrap.estimate([&](std::span<const int> drawn) {
      double evaluations = 0, steps = 0;
      for (const int m : drawn) {
        const metrics::MemberWork& work = log.work[static_cast<std::size_t>(m)];
        evaluations += static_cast<double>(work.evaluations[kind]);
        steps += static_cast<double>(work.steps);
      }
      return evaluations / steps;
    });
  return estimates;
}

void append(std::string& text, const std::string& method, const std::string& key, const std::string& unit,
            const Estimate& value) {
  text += fmt::format("{},{},,all,{},measured,{},{},{},,\n", method, key, unit, csv_number(value.value),
                      csv_number(value.low), csv_number(value.high));
}

/// What has no interval.
void append(std::string& text, const std::string& method, const std::string& key, const std::string& unit,
            double value) {
  append(text, method, key, unit, {value, kNone, kNone});
}

/// CPU time is on record where the blocks are.
template <class Log>
void append_times(std::string& text, const std::string& method, const Log& log, const Evaluation& evaluation) {
  append(text, method, "milliseconds_per_step", "ms", step_time_estimate(log, CostClock::wall, evaluation));
  if (!log.blocks.empty())
    append(text, method, "cpu_milliseconds_per_step", "ms",
           step_time_estimate(log, CostClock::cpu, evaluation));
}

/// Times of a step with their intervals, as far as they are on record.
template <class Log>
Json times_json(const Log& log, const Evaluation& evaluation) {
  return {{"wall", json_estimate(step_time_estimate(log, CostClock::wall, evaluation))},
          {"cpu", log.blocks.empty() ? Json(nullptr)
                                     : json_estimate(step_time_estimate(log, CostClock::cpu, evaluation))}};
}

std::string shown(double value) {
  return std::isnan(value) ? "-" : fmt::format("{:.3g}", value);
}

}  // namespace

CostClock cost_clock(const Evaluation& evaluation) {
  const auto counted = [](const auto& log) {
    return log.threads == 1 && std::isfinite(step_time(log, CostClock::cpu));
  };
  const auto& solver = evaluation.inputs.solver_cost;
  const bool all = std::all_of(evaluation.methods.begin(), evaluation.methods.end(),
                               [&](const Judged& method) {
                                 return device_of(*method.log).starts_with("cpu") && counted(*method.log);
                               }) &&
                   (!solver || (solver->backend != "cufft" && counted(*solver)));
  return all ? CostClock::cpu : CostClock::wall;
}

Estimate times_solver(const RolloutLog& log, const Evaluation& evaluation) {
  const auto& solver = evaluation.inputs.solver_cost;
  if (!solver || log.threads != solver->threads) return kNotComparable;
  if (device_of(log).starts_with("cuda") != (solver->backend == "cufft")) return kNotComparable;
  return times_of(log, *solver, evaluation);
}

double simulated_per_second(double interval, double milliseconds_per_step) {
  return milliseconds_per_step > 0 ? 1e3 * interval / milliseconds_per_step : std::nan("");
}

const std::vector<std::string>& quality_metrics() {
  static const std::vector<std::string> ids = {"stable_fraction/all",  "nrmse/early",
                                               "spectrum_error/late",  "w1/late",
                                               "energy_distance/late", "autocorrelation_error/all",
                                               "flatness_error/late"};
  return ids;
}

std::vector<SpeedComparison> compare_speed(const Evaluation& evaluation) {
  std::vector<SpeedComparison> result;
  for (const Judged& method : evaluation.methods) {
    if (method.log->solver) continue;
    SpeedComparison one;
    one.method = method.name;
    one.times_reference = times_solver(*method.log, evaluation);
    one.times_equal = kNotComparable;
    one.lost = lost_members(method);
    // Half of the metrics of a method that loses members are infinite or of the survivors alone, with intervals
    // that everything is within: nothing would be surely better.
    if (one.lost == 0) find_equal_solver(evaluation, method, one);
    result.push_back(std::move(one));
  }
  return result;
}

Json cost_json(const RolloutLog& log, const Evaluation& evaluation) {
  const Estimate times = times_solver(log, evaluation);
  Json cost{{"wall_seconds", log.wall_seconds},
            {"member_steps", log.member_steps},
            {"threads", log.threads},
            {"steps_per_second", log.steps_per_second},
            {"milliseconds_per_step", log.milliseconds_per_step},
            {"simulated_per_second",
             json_number(simulated_per_second(interval_of(evaluation), log.milliseconds_per_step))},
            {"times_solver", json_number(times.value)},
            {"times_solver_estimate", json_estimate(times)},
            {"milliseconds_estimates", times_json(log, evaluation)},
            {"evaluations_per_step",
             {{"surrogate", log.surrogate}, {"classifier", log.classifier}, {"denoiser", log.denoiser}}}};
  const auto evaluations = evaluations_per_step(log, evaluation);
  cost["evaluations_estimates"] = {{"surrogate", json_estimate(evaluations[0])},
                                   {"classifier", json_estimate(evaluations[1])},
                                   {"denoiser", json_estimate(evaluations[2])}};
  cost["solver"] = log.solver ? Json{{"points", log.solver->points},
                                     {"dt", log.solver->dt},
                                     {"steps_per_frame", log.solver->steps_per_frame},
                                     {"largest_courant", log.solver->largest_courant}}
                              : Json(nullptr);
  return cost;
}

Json solver_cost_json(const Evaluation& evaluation) {
  if (!evaluation.inputs.solver_cost) return nullptr;
  const SolverCost& cost = *evaluation.inputs.solver_cost;
  return {{"steps_per_second", cost.steps_per_second},
          {"milliseconds_per_step", cost.milliseconds_per_step},
          {"milliseconds_estimates", times_json(cost, evaluation)},
          {"simulated_per_second",
           json_number(simulated_per_second(interval_of(evaluation), cost.milliseconds_per_step))},
          {"steps_per_frame", cost.steps_per_frame},
          {"points", cost.points},
          {"members", cost.members},
          {"threads", cost.threads},
          {"precision", cost.precision},
          {"backend", cost.backend}};
}

Json speed_json(const std::vector<SpeedComparison>& comparisons) {
  Json list = Json::array();
  for (const SpeedComparison& one : comparisons) {
    Json better = Json::object();
    for (const auto& [solver, ids] : one.better_than) better[solver] = ids;
    list.push_back({{"method", one.method},
                    {"times_reference", json_number(one.times_reference.value)},
                    {"times_reference_estimate", json_estimate(one.times_reference)},
                    {"lost", one.lost},
                    {"equal_solver", one.equal_solver.empty() ? Json(nullptr) : Json(one.equal_solver)},
                    {"equal_points", one.equal_points},
                    {"times_equal", json_number(one.times_equal.value)},
                    {"times_equal_estimate", json_estimate(one.times_equal)},
                    {"worse_in", one.worse_in},
                    {"better_than", std::move(better)}});
  }
  return list;
}

std::string cost_csv(const Evaluation& evaluation) {
  std::string text;
  const auto& reference = evaluation.inputs.solver_cost;
  const double interval = interval_of(evaluation);
  const std::string rate = time_units(evaluation) + " s^-1";
  const std::string unit_of_ratio = cost_clock(evaluation) == CostClock::cpu ? "CPU time" : "wall clock";
  for (const Judged& method : evaluation.methods) {
    const RolloutLog& log = *method.log;
    append(text, method.name, "steps_per_second", "s^-1", log.steps_per_second);
    append_times(text, method.name, log, evaluation);
    append(text, method.name, "simulated_per_second", rate,
           simulated_per_second(interval, log.milliseconds_per_step));
    append(text, method.name, "times_solver", unit_of_ratio, times_solver(log, evaluation));
    const auto evaluations = evaluations_per_step(log, evaluation);
    append(text, method.name, "surrogate_evaluations", "per step", evaluations[0]);
    append(text, method.name, "classifier_evaluations", "per step", evaluations[1]);
    append(text, method.name, "denoiser_evaluations", "per step", evaluations[2]);
    if (!log.solver) continue;
    append(text, method.name, "solver_points", "per side", log.solver->points);
    append(text, method.name, "solver_steps", "per step", static_cast<double>(log.solver->steps_per_frame));
    append(text, method.name, "largest_courant", "-", log.solver->largest_courant);
  }
  for (const SpeedComparison& one : compare_speed(evaluation))
    append(text, one.method, "times_equal_solver", unit_of_ratio, one.times_equal);
  if (!reference) return text;
  append(text, "solver", "steps_per_second", "s^-1", reference->steps_per_second);
  append_times(text, "solver", *reference, evaluation);
  append(text, "solver", "simulated_per_second", rate,
         simulated_per_second(interval, reference->milliseconds_per_step));
  return text;
}

std::vector<std::vector<std::string>> cost_rows(const Evaluation& evaluation) {
  const auto& solver = evaluation.inputs.solver_cost;
  const double interval = interval_of(evaluation);
  std::vector<std::string> evaluations{"Network evaluations per step", "all"},
      steps{"Solver steps per step", "all"}, speed{"Steps per second of the batch", "all"},
      time{"Wall milliseconds per step of a member", "all"},
      cpu{"CPU milliseconds per step of a member", "all"},
      simulated{fmt::format("Simulated {} per second", time_units(evaluation)), "all"},
      ratio{cost_clock(evaluation) == CostClock::cpu ? "CPU time of a step / the solver's"
                                                     : "Wall clock of a step / the solver's",
            "all"};
  for (const auto& method : evaluation.methods) {
    const RolloutLog& log = *method.log;
    evaluations.push_back(fmt::format("{:.3g}", log.surrogate + log.classifier + log.denoiser));
    steps.push_back(log.solver ? fmt::format("{} ({}^2)", log.solver->steps_per_frame, log.solver->points)
                               : "0");
    speed.push_back(fmt::format("{:.3g}", log.steps_per_second));
    time.push_back(fmt::format("{:.3g}", log.milliseconds_per_step));
    cpu.push_back(shown(step_time(log, CostClock::cpu)));
    simulated.push_back(shown(simulated_per_second(interval, log.milliseconds_per_step)));
    ratio.push_back(shown(times_solver(log, evaluation).value));
  }
  if (solver) {
    evaluations.push_back("solver: 0");
    steps.push_back(fmt::format("solver: {} ({}^2)", solver->steps_per_frame, solver->points));
    speed.push_back(fmt::format("solver: {:.3g}", solver->steps_per_second));
    time.push_back(fmt::format("solver: {:.3g}", solver->milliseconds_per_step));
    cpu.push_back("solver: " + shown(step_time(*solver, CostClock::cpu)));
    simulated.push_back("solver: " + shown(simulated_per_second(interval, solver->milliseconds_per_step)));
    ratio.push_back("solver: 1");
  }
  std::vector<std::vector<std::string>> rows{std::move(evaluations), std::move(steps), std::move(speed),
                                             std::move(time)};
  const auto on_record = [](const Judged& method) { return !method.log->blocks.empty(); };
  if (std::any_of(evaluation.methods.begin(), evaluation.methods.end(), on_record))
    rows.push_back(std::move(cpu));
  rows.push_back(std::move(simulated));
  rows.push_back(std::move(ratio));
  return rows;
}

}  // namespace sns
