#include "experiments/oracle.hpp"

#include "core/build_info.hpp"
#include "core/error.hpp"
#include "core/files.hpp"
#include "core/log.hpp"
#include "core/progress.hpp"
#include "core/stop.hpp"
#include "core/text.hpp"
#include "datagen/reader.hpp"
#include "experiments/metrics/statistics.hpp"

#include <c10/core/InferenceMode.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>

namespace sns {

namespace {

/// Rows of one time: (long, past, present) of every trajectory, normalised [B, 3C, n, n].
using Triples = torch::Tensor;

/// Errors of one trajectory, means over its times.
struct Errors {
  std::vector<double> estimate;  ///< per level of the past frame
  double persistence = 0;        ///< of x_{t-1} taken for x_t
  double zero = 0;               ///< of 0 taken for x_t: its variance
};

struct Example {
  std::int64_t trajectory = 0, frame = 0;
  torch::Tensor past, present, noised_present;       ///< [C, n, n]
  std::vector<torch::Tensor> noised_past, estimate;  ///< per example level
};

struct OracleResult {
  std::vector<std::int64_t> trajectories, times;
  std::int64_t long_lag = 0;  ///< frames from the long frame to the present one
  int level = 0;
  std::vector<int> past_levels, example_levels;
  std::vector<Errors> errors;  ///< per trajectory
  Example example;
};

/// `count` levels of 0..levels-1, evenly spaced from 0 on; all of them where there are no more.
std::vector<int> spread_levels(int count, int levels) {
  std::vector<int> out;
  count = std::min(count, levels);
  for (int i = 0; i < count; ++i)
    out.push_back(static_cast<int>(static_cast<std::int64_t>(i) * levels / count));
  return out;
}

/// `count` levels in the middles of as many equal parts of 0..levels.
std::vector<int> middle_levels(int count, int levels) {
  std::vector<int> out;
  count = std::min(count, levels);
  for (int i = 0; i < count; ++i)
    out.push_back(static_cast<int>((2 * static_cast<std::int64_t>(i) + 1) * levels / (2 * count)));
  return out;
}

/// `count` frames in the middles of as many equal parts of first..frames-1.
std::vector<std::int64_t> middle_frames(std::int64_t count, std::int64_t first, std::int64_t frames) {
  require(frames > first, "trajectories of {} frames are too short for the oracle: it needs {}", frames,
          first + 1);
  count = std::min(count, frames - first);
  std::vector<std::int64_t> out;
  for (std::int64_t i = 0; i < count; ++i) out.push_back(first + (2 * i + 1) * (frames - first) / (2 * count));
  return out;
}

Triples read_triples(const DatasetReader& reader, const Sns& model, std::size_t samples, std::int64_t t,
                     std::int64_t long_lag) {
  const std::int64_t n = model.config().image, fields = model.config().field_channels;
  require(reader.grid() == h5::Shape(2, static_cast<std::uint64_t>(n)) &&
              static_cast<std::int64_t>(reader.fields().size()) == fields,
          "the oracle's frames do not fit the model's {} fields of {} x {} points", fields, n, n);
  const auto count = static_cast<std::int64_t>(samples);
  Triples x = torch::empty({count, 3 * fields, n, n});
  float* out = x.data_ptr<float>();
  const auto points = static_cast<std::size_t>(n * n);
  for (std::int64_t b = 0; b < count; ++b)
    for (const std::int64_t frame : {t - long_lag, t - 1, t})
      for (const std::string& field : reader.fields()) {
        reader.read(field, b, 1, frame, 1, {out, points});
        out += points;
      }
  return x.to(model.device()) / model.scale(3);
}

/// Mean square over all but the first axis, one value per row.
std::vector<double> mean_square(const torch::Tensor& x) {
  const torch::Tensor means = x.to(torch::kFloat64).square().flatten(1).mean(1).to(torch::kCPU).contiguous();
  return {means.data_ptr<double>(), means.data_ptr<double>() + means.numel()};
}

class Oracle {
 public:
  Oracle(Sns& model, const OracleInputs& inputs)
      : model_(model), inputs_(inputs), reader_(inputs.frames, "test") {
    const OracleConfig& config = inputs.config;
    const int levels = std::min(config.levels, model.schedule().levels());
    result_.level = config.level.value_or(levels * 9 / 10);
    result_.past_levels = spread_levels(config.past_levels, levels);
    result_.example_levels = middle_levels(config.examples, levels);
    result_.long_lag = model.longest_lag() > 0 ? model.longest_lag() : 2;
    result_.times = middle_frames(config.times, std::max<std::int64_t>(result_.long_lag, 1), reader_.frames());
    result_.trajectories = reader_.trajectories();
    const auto wanted = static_cast<std::size_t>(config.trajectories);
    if (result_.trajectories.size() < wanted)
      log::warn("oracle: {} of {} trajectories are there", result_.trajectories.size(), wanted);
    result_.trajectories.resize(std::min(wanted, result_.trajectories.size()));
    result_.errors.resize(result_.trajectories.size());
    for (Errors& errors : result_.errors) errors.estimate.assign(result_.past_levels.size(), 0.0);
  }

  OracleResult run() {
    Progress progress("oracle", static_cast<std::int64_t>(result_.times.size() * result_.past_levels.size()),
                      "levels");
    std::int64_t done = 0;
    for (const std::int64_t t : result_.times) {
      const Triples x = read_triples(reader_, model_, result_.trajectories.size(), t, result_.long_lag);
      const torch::Tensor past = x.narrow(1, fields(), fields()), present = x.narrow(1, 2 * fields(), fields());
      add(&Errors::persistence, mean_square(past - present));
      add(&Errors::zero, mean_square(present));
      for (std::size_t i = 0; i < result_.past_levels.size(); ++i) {
        throw_if_stopped("while the oracle was asked");
        const auto [noised, estimate] = ask(x, t, result_.past_levels[i]);
        const std::vector<double> squares = mean_square(estimate - present);
        for (std::size_t b = 0; b < squares.size(); ++b)
          result_.errors[b].estimate[i] += squares[b] / static_cast<double>(result_.times.size());
        progress.update(++done);
      }
      if (t == result_.times[result_.times.size() / 2]) keep_example(x, t);
    }
    progress.finish();
    return std::move(result_);
  }

 private:
  std::int64_t fields() const { return model_.config().field_channels; }

  void add(double Errors::*error, const std::vector<double>& squares) {
    for (std::size_t b = 0; b < squares.size(); ++b)
      result_.errors[b].*error += squares[b] / static_cast<double>(result_.times.size());
  }

  /// The pairs of time t with the past frame at `past_level`, and the estimates of x_t [B, C, n, n].
  std::pair<torch::Tensor, torch::Tensor> ask(const Triples& x, std::int64_t t, int past_level) {
    const Levels at{past_level, result_.level};
    // A seed of its own: rollouts from the same trajectories take their noise from the run's.
    PhiloxNoise noise(fnv1a("oracle", inputs_.seed), {result_.trajectories.begin(), result_.trajectories.end()},
                      static_cast<std::uint64_t>(t));
    torch::Tensor noised = model_.noised(x, at, noise);
    const torch::Tensor levels =
        torch::tensor({at.past, at.present}, torch::kInt64).expand({x.size(0), 2}).to(model_.device());
    const std::vector<int> lags(model_.longest_lag() > 0 ? 1 : 0, static_cast<int>(result_.long_lag));
    torch::Tensor estimate = model_.clean_estimate(noised, levels, lags).narrow(1, fields(), fields());
    return {std::move(noised), std::move(estimate)};
  }

  /// The first trajectory at time t.
  void keep_example(const Triples& x, std::int64_t t) {
    const auto frame = [&](const torch::Tensor& rows, std::int64_t first) {
      return rows[0].narrow(0, first, fields()).to(torch::kCPU).contiguous();
    };
    Example& example = result_.example;
    example.trajectory = result_.trajectories.front();
    example.frame = t;
    example.past = frame(x, fields());
    example.present = frame(x, 2 * fields());
    for (const int level : result_.example_levels) {
      const auto [noised, estimate] = ask(x, t, level);
      example.noised_past.push_back(frame(noised, fields()));
      example.noised_present = frame(noised, 2 * fields());
      example.estimate.push_back(frame(estimate, 0));
    }
  }

  Sns& model_;
  const OracleInputs& inputs_;
  DatasetReader reader_;
  OracleResult result_;
};

/// Mean over trajectories with its interval, which few trajectories do not have.
metrics::Estimate mean_of(const std::vector<Errors>& errors, const metrics::Bootstrap& bootstrap,
                          const std::function<double(const Errors&)>& value) {
  return bootstrap.estimate([&](std::span<const int> drawn) {
    double sum = 0;
    for (const int b : drawn) sum += value(errors[static_cast<std::size_t>(b)]);
    return sum / static_cast<double>(drawn.size());
  });
}

nlohmann::ordered_json as_json(const metrics::Estimate& estimate) {
  const auto number = [](double v) { return std::isfinite(v) ? nlohmann::ordered_json(v) : nullptr; };
  return {{"value", number(estimate.value)}, {"low", number(estimate.low)}, {"high", number(estimate.high)}};
}

void write_frames(h5::Group& group, const std::string& name, const std::vector<torch::Tensor>& frames) {
  const torch::Tensor all = torch::stack(frames).contiguous();
  h5::Shape shape;
  for (const std::int64_t extent : all.sizes()) shape.push_back(static_cast<std::uint64_t>(extent));
  group.write<float>(name, shape, {all.data_ptr<float>(), static_cast<std::size_t>(all.numel())});
}

void write_example(h5::Group group, const OracleResult& result) {
  const Example& example = result.example;
  group.set_attribute("trajectory", example.trajectory);
  group.set_attribute("frame", example.frame);
  const std::vector<std::int64_t> levels(result.example_levels.begin(), result.example_levels.end());
  group.write<std::int64_t>("past_levels", {levels.size()}, levels);
  write_frames(group, "past", {example.past});
  write_frames(group, "present", {example.present});
  write_frames(group, "noised_present", {example.noised_present});
  write_frames(group, "noised_past", example.noised_past);
  write_frames(group, "estimate", example.estimate);
}

struct OracleCurves {
  std::vector<metrics::Estimate> estimate;  ///< per level of the past frame
  metrics::Estimate persistence, zero;
};

OracleCurves curves(const OracleResult& result, const OracleInputs& inputs) {
  const metrics::Bootstrap bootstrap(inputs.seed, static_cast<int>(result.errors.size()),
                                     inputs.evaluate.bootstrap, inputs.evaluate.confidence);
  OracleCurves out;
  for (std::size_t i = 0; i < result.past_levels.size(); ++i)
    out.estimate.push_back(mean_of(result.errors, bootstrap, [i](const Errors& e) { return e.estimate[i]; }));
  out.persistence = mean_of(result.errors, bootstrap, [](const Errors& e) { return e.persistence; });
  out.zero = mean_of(result.errors, bootstrap, [](const Errors& e) { return e.zero; });
  return out;
}

void write_h5(const OracleResult& result, const OracleCurves& means, const DatasetReader& reader,
              const OracleInputs& inputs, const std::filesystem::path& path) {
  write_atomically(path, [&](const std::filesystem::path& temporary) {
    auto file = h5::File::create(temporary);
    const std::vector<std::int64_t> levels(result.past_levels.begin(), result.past_levels.end());
    file.write<std::int64_t>("past_levels", {levels.size()}, levels);
    file.write<std::int64_t>("trajectory", {result.trajectories.size()}, result.trajectories);
    file.write<std::int64_t>("time", {result.times.size()}, result.times);
    std::vector<double> by_trajectory, mean;
    for (const Errors& errors : result.errors)
      by_trajectory.insert(by_trajectory.end(), errors.estimate.begin(), errors.estimate.end());
    for (const metrics::Estimate& e : means.estimate) mean.insert(mean.end(), {e.value, e.low, e.high});
    file.write<double>("error_by_trajectory", {result.errors.size(), levels.size()}, by_trajectory);
    file.write<double>("error", {levels.size(), 3}, mean);
    file.set_attribute("level", result.level);
    file.set_attribute("weights_sha256", inputs.weights_sha256);
    file.set_attribute("persistence", means.persistence.value);
    file.set_attribute("zero", means.zero.value);
    file.set_attribute("fields", reader.fields());
    file.set_attribute("axes", reader.files().front().axis_names());
    write_example(file.make_group("example"), result);
    file.close();
  });
}

void write_json(const OracleResult& result, const OracleCurves& means, const OracleInputs& inputs,
                const std::filesystem::path& path) {
  nlohmann::ordered_json error = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < result.past_levels.size(); ++i) {
    nlohmann::ordered_json entry{{"past_level", result.past_levels[i]}};
    entry.update(as_json(means.estimate[i]));
    error.push_back(std::move(entry));
  }
  const BuildInfo& build = build_info();
  const nlohmann::ordered_json root{{"schema", 1},
                                    {"created_utc", utc_now()},
                                    {"sns_version", build.version},
                                    {"git_commit", build.git_commit},
                                    {"git_dirty", build.git_dirty},
                                    {"seed", inputs.seed},
                                    {"model", inputs.config.model},
                                    {"weights", inputs.config.weights},
                                    {"weights_sha256", inputs.weights_sha256},
                                    {"levels", inputs.config.levels},
                                    {"level", result.level},
                                    {"trajectories", result.trajectories},
                                    {"times", result.times},
                                    {"long_lag", result.long_lag},
                                    {"bootstrap", inputs.evaluate.bootstrap},
                                    {"confidence", inputs.evaluate.confidence},
                                    {"error", std::move(error)},
                                    {"persistence", as_json(means.persistence)},
                                    {"zero", as_json(means.zero)}};
  write_text(path, root.dump(1) + "\n");
}

}  // namespace

void run_oracle(Sns& model, const OracleInputs& inputs) {
  const c10::InferenceMode guard;
  make_writable_folder(inputs.output);
  const OracleResult result = Oracle(model, inputs).run();
  const OracleCurves means = curves(result, inputs);
  write_h5(result, means, DatasetReader(inputs.frames, "test"), inputs, inputs.output / "oracle.h5");
  write_json(result, means, inputs, inputs.output / "oracle.json");
  log::info("oracle: x_t at level {}: mean square error {:.3g} with x_(t-1) at level {}, {:.3g} at level {}",
            result.level, means.estimate.front().value, result.past_levels.front(), means.estimate.back().value,
            result.past_levels.back());
}

}  // namespace sns
