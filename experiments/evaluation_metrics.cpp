#include "core/build_info.hpp"
#include "core/error.hpp"
#include "core/files.hpp"
#include "experiments/evaluation.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>

namespace sns {
namespace {

using Json = nlohmann::ordered_json;
using metrics::Estimate;
using metrics::Score;

Json number(double value) {
  if (std::isnan(value)) return nullptr;
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return value;
}

Json numbers(const std::vector<double>& values) {
  Json list = Json::array();
  for (const double value : values) list.push_back(number(value));
  return list;
}

Json estimate_json(const Estimate& estimate) {
  return {{"value", number(estimate.value)}, {"low", number(estimate.low)}, {"high", number(estimate.high)}};
}

Json scores_json(const std::vector<Score>& scores) {
  Json table = Json::object();
  for (const Score& score : scores) {
    Json entry = estimate_json(score.estimate);
    entry["lost"] = score.lost;
    if (!score.members.empty()) entry["members"] = numbers(score.members);
    table[score.info.id()] = std::move(entry);
  }
  return table;
}

Json definitions_json(const std::vector<Score>& scores) {
  Json list = Json::array();
  for (const Score& score : scores)
    list.push_back({{"id", score.info.id()},
                    {"key", score.info.key},
                    {"period", score.info.period},
                    {"field", score.info.field},
                    {"label", score.info.label},
                    {"unit", score.info.unit},
                    {"better", name(score.info.better)},
                    {"statistic", name(score.info.statistic)}});
  return list;
}

Json judged_json(const Judged& judged, const std::vector<std::string>& fields) {
  Json entry{{"name", judged.name},
             {"members", judged.members()},
             {"ids", judged.ids},
             {"steps", judged.frames - 1},
             {"results", scores_json(judged.scores)}};
  for (std::size_t f = 0; f < fields.size(); ++f) {
    Json errors = Json::array();
    for (const auto& error : judged.fields[f].errors)
      errors.push_back({{"ensemble", estimate_json(error.ensemble)},
                        {"member_median", estimate_json(error.member_median)},
                        {"lost", error.lost}});
    entry["spectrum_error_by_window"][fields[f]] = std::move(errors);
  }
  Json unstable = Json::array();
  const auto first = std::find_if(judged.scores.begin(), judged.scores.end(),
                                  [](const Score& s) { return s.info.key == "first_unstable"; });
  for (const double step : first->members)
    unstable.push_back(std::isinf(step) ? Json(nullptr) : Json(static_cast<std::int64_t>(step)));
  entry["first_unstable_step"] = std::move(unstable);
  return entry;
}

/// The method's time per step over the solver's; NaN unless both were measured on the same device and as many
/// threads.
double times_solver(const metrics::RolloutLog& log, const std::optional<SolverCost>& solver) {
  if (!solver || log.threads != solver->threads) return std::nan("");
  const auto device = log.attributes.find("device");
  const bool on_gpu = device != log.attributes.end() && device->second.starts_with("cuda");
  if (on_gpu != (solver->backend == "cufft")) return std::nan("");
  return log.milliseconds_per_step / solver->milliseconds_per_step;
}

Json log_json(const metrics::RolloutLog& log, const std::optional<SolverCost>& solver) {
  Json cost{{"wall_seconds", log.wall_seconds},
            {"member_steps", log.member_steps},
            {"threads", log.threads},
            {"steps_per_second", log.steps_per_second},
            {"milliseconds_per_step", log.milliseconds_per_step},
            {"times_solver", number(times_solver(log, solver))},
            {"evaluations_per_step",
             {{"surrogate", log.surrogate}, {"classifier", log.classifier}, {"denoiser", log.denoiser}}}};
  Json levels{{"past", log.past_levels}, {"present", log.present_levels}};
  return {{"cost", std::move(cost)}, {"levels", std::move(levels)}, {"attributes", log.attributes}};
}

Json paired_json(const PairedMethods& pair) {
  Json results = Json::object();
  for (const auto& difference : pair.differences) {
    Json entry = estimate_json(difference.difference);
    entry["better_share"] = estimate_json(difference.better_share);
    results[difference.info.id()] = std::move(entry);
  }
  return {{"a", pair.a}, {"b", pair.b}, {"results", std::move(results)}};
}

Json config_json(const EvaluateConfig& config) {
  return {{"bootstrap", config.bootstrap},
          {"confidence", config.confidence},
          {"window", config.window},
          {"spectrum", config.spectrum},
          {"first_shell", config.first_shell},
          {"last_shell", config.last_shell},
          {"energy_factor", config.energy_factor},
          {"frozen_factor", config.frozen_factor},
          {"lags", config.lags},
          {"temporal_window", config.temporal_window},
          {"correlation_thresholds", config.correlation_thresholds}};
}

Json field_json(const Evaluation& evaluation, std::size_t f) {
  const auto& reference = *evaluation.fields[f].reference;
  const auto& yardstick = evaluation.fields[f].yardstick;
  return {{"name", evaluation.flow.fields[f]},
          {"units", evaluation.flow.units[f]},
          {"field_mean", yardstick.mean},
          {"field_std", yardstick.standard_deviation},
          {"energy", reference.energy},
          {"enstrophy", reference.enstrophy},
          {"rate", reference.rate},
          {"energy_range", {yardstick.energy.min, yardstick.energy.max}},
          {"enstrophy_range", {yardstick.enstrophy.min, yardstick.enstrophy.max}},
          {"compared_wavenumbers",
           {reference.wavenumbers[reference.mask.bins.front()],
            reference.wavenumbers[reference.mask.bins.back()]}}};
}

Json truth_json(const Evaluation& evaluation) {
  Json fields = Json::array();
  for (std::size_t f = 0; f < evaluation.fields.size(); ++f) fields.push_back(field_json(evaluation, f));
  return {{"members", evaluation.truth.members()},
          {"floor_members", evaluation.floor ? evaluation.floor->members() : 0},
          {"frames", evaluation.truth.frames},
          {"interval", evaluation.fields.front().reference->interval},
          {"time_units", evaluation.flow.time_units},
          {"points", evaluation.flow.points},
          {"length", evaluation.flow.length},
          {"fields", std::move(fields)}};
}

Json cost_json(const SolverCost& cost) {
  return {{"steps_per_second", cost.steps_per_second},
          {"milliseconds_per_step", cost.milliseconds_per_step},
          {"steps_per_frame", cost.steps_per_frame},
          {"points", cost.points},
          {"members", cost.members},
          {"threads", cost.threads},
          {"precision", cost.precision},
          {"backend", cost.backend}};
}

std::string csv_number(double value) {
  return std::isnan(value) ? "" : fmt::format("{:.9g}", value);
}

void append_csv(std::string& text, const Judged& judged) {
  for (const Score& score : judged.scores)
    text += fmt::format("{},{},{},{},{},{},{},{},{},{},{}\n", judged.name, score.info.key, score.info.field,
                        score.info.period, score.info.unit, name(score.info.statistic),
                        csv_number(score.estimate.value), csv_number(score.estimate.low),
                        csv_number(score.estimate.high), judged.members(), score.lost);
}

void append_csv_cost(std::string& text, const std::string& method, const std::string& key,
                     const std::string& unit, double value) {
  text += fmt::format("{},{},,all,{},measured,{},,,,\n", method, key, unit, csv_number(value));
}

/// "0.052 [0.041, 0.066]"
std::string show(const Estimate& estimate, metrics::Better better) {
  const auto one = [better](double v) {
    if (std::isnan(v)) return std::string("-");
    if (std::isinf(v) && better == metrics::Better::higher) return std::string("never");
    if (std::isinf(v)) return std::string(v > 0 ? "inf" : "-inf");
    return fmt::format("{:.3g}", v);
  };
  if (std::isnan(estimate.value)) return "-";
  if (std::isnan(estimate.low) || (std::isinf(estimate.value) && estimate.low == estimate.high))
    return one(estimate.value);
  return fmt::format("{} [{}, {}]", one(estimate.value), one(estimate.low), one(estimate.high));
}

/// The rows of the terminal's table; everything is in metrics.csv.
constexpr const char* kTableRows[] = {"stable_fraction/all",
                                      "first_unstable/all",
                                      "spectrum_error_ensemble/early",
                                      "spectrum_error_ensemble/mid",
                                      "spectrum_error_ensemble/late",
                                      "spectrum_error/late",
                                      "spectrum_drift/all",
                                      "spectrum_bias_large/late",
                                      "spectrum_bias_medium/late",
                                      "spectrum_bias_small/late",
                                      "energy_ratio/late",
                                      "enstrophy_ratio/late",
                                      "rate_ratio/late",
                                      "w1/late",
                                      "w1_increment/late",
                                      "energy_distance/late",
                                      "autocorrelation_error/all",
                                      "decorrelation_ratio/all",
                                      "correlation_time_0.8/all"};

std::string join(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()), 0);
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t c = 0; c < row.size(); ++c) line += fmt::format("{:<{}}", row[c], widths[c] + 2);
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

/// What a step costs; the solver stands in the floor's column, which is made of solver runs.
std::vector<std::vector<std::string>> cost_rows(const Evaluation& evaluation) {
  const auto& solver = evaluation.inputs.solver_cost;
  std::vector<std::string> evaluations{"Network evaluations per step", "all"},
      speed{"Steps per second of the batch", "all"}, time{"Milliseconds per step of a member", "all"},
      ratio{"Time of a step / the solver's", "all"};
  for (const auto& method : evaluation.methods) {
    const metrics::RolloutLog& log = *method.log;
    const double times = times_solver(log, solver);
    evaluations.push_back(fmt::format("{:.3g}", log.surrogate + log.classifier + log.denoiser));
    speed.push_back(fmt::format("{:.3g}", log.steps_per_second));
    time.push_back(fmt::format("{:.3g}", log.milliseconds_per_step));
    ratio.push_back(std::isnan(times) ? "-" : fmt::format("{:.3g}", times));
  }
  if (solver) {
    evaluations.push_back("solver: 0");
    speed.push_back(fmt::format("solver: {:.3g}", solver->steps_per_second));
    time.push_back(fmt::format("solver: {:.3g}", solver->milliseconds_per_step));
    ratio.push_back("solver: 1");
  }
  return {std::move(evaluations), std::move(speed), std::move(time), std::move(ratio)};
}

}  // namespace

void write_metrics_json(const Evaluation& evaluation, const std::filesystem::path& file) {
  const BuildInfo& build = build_info();
  Json root{{"schema", 2},
            {"created_utc", utc_now()},
            {"sns_version", build.version},
            {"git_commit", build.git_commit},
            {"git_dirty", build.git_dirty},
            {"seed", evaluation.inputs.seed},
            {"config", config_json(evaluation.inputs.config)},
            {"truth", truth_json(evaluation)}};
  const auto windows = metrics::make_windows(evaluation.methods[0].frames, evaluation.inputs.config.window);
  const auto periods = metrics::Periods::of(windows.size());
  const auto bounds = [&](std::size_t w) { return Json{windows[w].first, windows[w].last}; };
  root["windows"] = {{"count", windows.size()},
                     {"early", bounds(periods.early)},
                     {"mid", bounds(periods.mid)},
                     {"late", bounds(periods.late)}};
  root["metrics"] = definitions_json(evaluation.methods[0].scores);
  Json methods = Json::array();
  for (const auto& method : evaluation.methods) {
    Json entry = judged_json(method, evaluation.flow.fields);
    entry.update(log_json(*method.log, evaluation.inputs.solver_cost));
    methods.push_back(std::move(entry));
  }
  root["methods"] = std::move(methods);
  root["floor"] = evaluation.floor ? judged_json(*evaluation.floor, evaluation.flow.fields) : Json(nullptr);
  Json paired = Json::array();
  for (const auto& pair : evaluation.paired) paired.push_back(paired_json(pair));
  root["paired"] = std::move(paired);
  root["solver_cost"] =
      evaluation.inputs.solver_cost ? cost_json(*evaluation.inputs.solver_cost) : Json(nullptr);
  write_text(file, root.dump(1) + "\n");
}

void write_metrics_csv(const Evaluation& evaluation, const std::filesystem::path& file) {
  std::string text = "method,metric,field,period,unit,statistic,value,low,high,members,lost\n";
  for (const auto& method : evaluation.methods) {
    append_csv(text, method);
    append_csv_cost(text, method.name, "steps_per_second", "s^-1", method.log->steps_per_second);
    append_csv_cost(text, method.name, "milliseconds_per_step", "ms", method.log->milliseconds_per_step);
    append_csv_cost(text, method.name, "times_solver", "-",
                    times_solver(*method.log, evaluation.inputs.solver_cost));
    append_csv_cost(text, method.name, "surrogate_evaluations", "per step", method.log->surrogate);
    append_csv_cost(text, method.name, "classifier_evaluations", "per step", method.log->classifier);
    append_csv_cost(text, method.name, "denoiser_evaluations", "per step", method.log->denoiser);
  }
  if (evaluation.floor) append_csv(text, *evaluation.floor);
  if (const auto& solver = evaluation.inputs.solver_cost) {
    append_csv_cost(text, "solver", "steps_per_second", "s^-1", solver->steps_per_second);
    append_csv_cost(text, "solver", "milliseconds_per_step", "ms", solver->milliseconds_per_step);
  }
  write_text(file, text);
}

std::string metrics_table(const Evaluation& evaluation) {
  std::vector<const Judged*> columns;
  for (const auto& method : evaluation.methods) columns.push_back(&method);
  if (evaluation.floor) columns.push_back(&*evaluation.floor);

  std::vector<std::vector<std::string>> rows;
  rows.push_back({"metric", "period"});
  for (const Judged* column : columns)
    rows.back().push_back(column == &*columns.back() && evaluation.floor ? "truth vs truth" : column->name);
  for (const char* id : kTableRows)
    for (const Score& first : columns.front()->scores) {  // one per field, where there are several
      if (first.info.key + "/" + first.info.period != id) continue;
      std::vector<std::string> row{first.info.label, first.info.period};
      for (const Judged* column : columns) {
        const auto found = std::find_if(column->scores.begin(), column->scores.end(),
                                        [&](const Score& s) { return s.info.id() == first.info.id(); });
        row.push_back(found == column->scores.end() ? "-" : show(found->estimate, found->info.better));
      }
      rows.push_back(std::move(row));
    }
  const std::vector<std::vector<std::string>> cost = cost_rows(evaluation);
  rows.insert(rows.end(), cost.begin(), cost.end());
  const auto& config = evaluation.inputs.config;
  return join(rows) + fmt::format(
                          "value [{:g} % bootstrap interval over initial conditions]; windows of {} steps; "
                          "inf: the typical member did not stay finite\n",
                          100 * config.confidence, config.window);
}

}  // namespace sns
