#include "core/build_info.hpp"
#include "core/error.hpp"
#include "core/files.hpp"
#include "experiments/evaluation.hpp"
#include "experiments/evaluation_cost.hpp"
#include "experiments/evaluation_json.hpp"

#include <algorithm>
#include <cmath>

namespace sns {
namespace {

using metrics::Estimate;
using metrics::Score;

Json scores_json(const std::vector<Score>& scores) {
  Json table = Json::object();
  for (const Score& score : scores) {
    Json entry = json_estimate(score.estimate);
    entry["lost"] = score.lost;
    if (!score.members.empty()) entry["members"] = json_numbers(score.members);
    table[score.info.id()] = std::move(entry);
  }
  return table;
}

/// All metrics that some method has a score of.
std::vector<metrics::MetricInfo> all_metrics(const Evaluation& evaluation) {
  std::vector<metrics::MetricInfo> infos;
  for (const Judged& method : evaluation.methods)
    for (const Score& score : method.scores)
      if (std::none_of(infos.begin(), infos.end(),
                       [&](const auto& info) { return info.id() == score.info.id(); }))
        infos.push_back(score.info);
  return infos;
}

Json definitions_json(const Evaluation& evaluation) {
  Json list = Json::array();
  for (const metrics::MetricInfo& info : all_metrics(evaluation))
    list.push_back({{"id", info.id()},
                    {"key", info.key},
                    {"period", info.period},
                    {"field", info.field},
                    {"label", info.label},
                    {"unit", info.unit},
                    {"better", name(info.better)},
                    {"statistic", name(info.statistic)}});
  return list;
}

Json judged_json(const Judged& judged, const std::vector<std::string>& fields) {
  Json entry{{"name", judged.name},
             {"members", judged.members()},
             {"ids", judged.ids},
             {"steps", judged.frames - 1},
             {"ensemble_members", judged.ensemble_members},
             {"results", scores_json(judged.scores)}};
  for (std::size_t f = 0; f < fields.size(); ++f) {
    Json errors = Json::array();
    for (const auto& error : judged.fields[f].errors)
      errors.push_back({{"ensemble", json_estimate(error.ensemble)},
                        {"member_median", json_estimate(error.member_median)},
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

Json levels_json(const metrics::RolloutLog& log) {
  return {{"past", log.past_levels}, {"present", log.present_levels}};
}

Json paired_json(const PairedMethods& pair) {
  Json results = Json::object();
  for (const auto& difference : pair.differences) {
    Json entry = json_estimate(difference.difference);
    entry["better_share"] = json_estimate(difference.better_share);
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
          {"flatness", json_number(reference.flatness)},
          {"energy_range", {yardstick.energy.min, yardstick.energy.max}},
          {"enstrophy_range", {yardstick.enstrophy.min, yardstick.enstrophy.max}},
          {"compared_wavenumbers",
           {reference.wavenumbers[reference.mask.bins.front()],
            reference.wavenumbers[reference.mask.bins.back()]}}};
}

/// What the truth's whole states have, or why it cannot be told.
Json flow_json(const Evaluation& evaluation) {
  const metrics::FlowReference& truth = evaluation.flow_reference;
  const auto why = [](const std::string& reason, const char* otherwise) {
    return Json{{"not_available", reason.empty() ? otherwise : reason}};
  };
  Json budget = why(metrics::no_budget(evaluation.flow), "the flow is not driven, or there are too few frames");
  if (truth.injection)
    budget = {
        {"injection", *truth.injection}, {"residual", truth.residual}, {"residual_rms", truth.residual_rms}};
  Json jets = why(metrics::no_jets(evaluation.flow), "the flow has no zonal mean");
  if (truth.jets) jets = {{"count", *truth.jets}, {"strength", truth.strength}};
  return {{"budget", std::move(budget)}, {"jets", std::move(jets)}};
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

void append_csv(std::string& text, const Judged& judged) {
  for (const Score& score : judged.scores)
    text += fmt::format("{},{},{},{},{},{},{},{},{},{},{}\n", judged.name, score.info.key, score.info.field,
                        score.info.period, score.info.unit, name(score.info.statistic),
                        csv_number(score.estimate.value), csv_number(score.estimate.low),
                        csv_number(score.estimate.high), judged.ids.size(), score.lost);
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
                                      "flatness_ratio/late",
                                      "flatness_error/late",
                                      "mean_wander/late",
                                      "injection_ratio/late",
                                      "reversed_share/all",
                                      "budget_residual/late",
                                      "budget_scatter_ratio/late",
                                      "jet_count_ratio/late",
                                      "jet_strength_ratio/late",
                                      "w1/late",
                                      "w1_increment/late",
                                      "energy_distance/late",
                                      "mean_field_distance/all",
                                      "autocorrelation_error/all",
                                      "decorrelation_ratio/all",
                                      "nrmse/early",
                                      "crps/early",
                                      "ensemble_nrmse/early",
                                      "spread_skill/early",
                                      "correlation_time_0.8/all"};

/// Whether a score is of a forecast; all others are statistics of long rollouts.
bool is_short_term(const metrics::MetricInfo& info) {
  return info.key == "nrmse" || info.key == "crps" || info.key.starts_with("correlation_time");
}

/// "nrmse early: climatology 1 [..], persistence 1.3 [..]"
std::string ceiling_lines(const Evaluation& evaluation) {
  std::string text;
  for (const Score& first : evaluation.ceilings.front().scores) {
    if (!is_short_term(first.info)) continue;
    std::string line;
    for (const Judged& ceiling : evaluation.ceilings)
      for (const Score& score : ceiling.scores)
        if (score.info.id() == first.info.id() && ceiling.name != "shuffled")
          line += fmt::format("{}{} {}", line.empty() ? "" : ", ", ceiling.name,
                              show(score.estimate, score.info.better));
    text += fmt::format("{}: {}\n", first.info.label, line);
  }
  return "Forecasts without dynamics (ceiling of the short term)\n" + text;
}

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
  root["metrics"] = definitions_json(evaluation);
  Json methods = Json::array();
  for (const auto& method : evaluation.methods) {
    Json entry = judged_json(method, evaluation.flow.fields);
    entry["cost"] = cost_json(*method.log, evaluation);
    entry["levels"] = levels_json(*method.log);
    entry["attributes"] = method.log->attributes;
    methods.push_back(std::move(entry));
  }
  root["methods"] = std::move(methods);
  root["ceilings"] = Json::object();
  for (const Judged& ceiling : evaluation.ceilings)
    root["ceilings"][ceiling.name] = {{"frames", ceiling.frames}, {"results", scores_json(ceiling.scores)}};
  const auto& ensemble = evaluation.solver_ensemble;
  root["solver_ensemble"] =
      ensemble ? Json{{"members", ensemble->ensemble_members}, {"results", scores_json(ensemble->scores)}}
               : Json(nullptr);
  root["flow"] = flow_json(evaluation);
  root["floor"] = evaluation.floor ? judged_json(*evaluation.floor, evaluation.flow.fields) : Json(nullptr);
  Json paired = Json::array();
  for (const auto& pair : evaluation.paired) paired.push_back(paired_json(pair));
  root["paired"] = std::move(paired);
  root["solver_cost"] = solver_cost_json(evaluation);
  root["cost_clock"] = cost_clock(evaluation) == metrics::CostClock::cpu ? "cpu" : "wall";
  root["speed"] = speed_json(compare_speed(evaluation));
  root["quality_metrics"] = quality_metrics();
  write_text(file, root.dump(1) + "\n");
}

void write_metrics_csv(const Evaluation& evaluation, const std::filesystem::path& file) {
  std::string text = "method,metric,field,period,unit,statistic,value,low,high,members,lost\n";
  for (const auto& method : evaluation.methods) append_csv(text, method);
  if (evaluation.floor) append_csv(text, *evaluation.floor);
  for (const Judged& ceiling : evaluation.ceilings) append_csv(text, ceiling);
  if (evaluation.solver_ensemble) append_csv(text, *evaluation.solver_ensemble);
  text += cost_csv(evaluation);
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
  const auto infos = all_metrics(evaluation);
  for (const char* id : kTableRows)
    for (const metrics::MetricInfo& info : infos) {  // one per field, where there are several
      if (info.key + "/" + info.period != id) continue;
      std::vector<std::string> row{info.label, info.period};
      for (const Judged* column : columns) {
        const auto found = std::find_if(column->scores.begin(), column->scores.end(),
                                        [&](const Score& s) { return s.info.id() == info.id(); });
        row.push_back(found == column->scores.end() ? "-" : show(found->estimate, found->info.better));
      }
      rows.push_back(std::move(row));
    }
  const std::vector<std::vector<std::string>> cost = cost_rows(evaluation);
  rows.insert(rows.end(), cost.begin(), cost.end());
  const auto& config = evaluation.inputs.config;
  return join(rows) + ceiling_lines(evaluation) +
         fmt::format(
             "value [{:g} % bootstrap interval over initial conditions]; windows of {} steps; "
             "inf: the typical member did not stay finite\n",
             100 * config.confidence, config.window);
}

}  // namespace sns
