#include "emulator/predict.hpp"

#include "core/build_info.hpp"
#include "core/error.hpp"
#include "core/files.hpp"
#include "core/hdf5.hpp"
#include "core/log.hpp"
#include "core/stop.hpp"
#include "core/text.hpp"
#include "emulator/device.hpp"
#include "emulator/models/acdm.hpp"
#include "emulator/models/gaussian.hpp"
#include "emulator/models/sns.hpp"
#include "emulator/models/thermalizer.hpp"
#include "emulator/runtime.hpp"

#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace sns {
namespace {

/// An array of B items of `item` shape; one item may stand without its first axis.
class InputArray {
 public:
  InputArray(const std::string& address, const h5::Shape& item, const char* meaning) : item_(item) {
    const auto [file, path] = h5::split_address(address);
    file_ = std::make_unique<h5::File>(h5::File::open_read(file));
    require(file_->exists(path), "{} has no array {}", file.string(), path);
    array_ = file_->dataset(path);
    const auto shape = array_.shape();
    single_ = shape == item;
    require(
        single_ || (shape.size() == item.size() + 1 && std::equal(item.begin(), item.end(), shape.begin() + 1)),
        "{} has shape {}; the model takes {} {}, one or an array of them", array_.label(), shape_text(shape),
        meaning, shape_text(item));
    count_ = single_ ? 1 : static_cast<std::int64_t>(shape[0]);
    require(count_ > 0, "{} is empty", array_.label());
  }
  std::int64_t count() const { return count_; }

  /// Items first..first+count-1: float32 [count, item...].
  torch::Tensor read(std::int64_t first, std::int64_t count) const {
    std::vector<std::int64_t> sizes{count};
    h5::Shape offset(item_.size(), 0), extent = item_;
    if (!single_) {
      offset.insert(offset.begin(), static_cast<std::uint64_t>(first));
      extent.insert(extent.begin(), static_cast<std::uint64_t>(count));
    }
    for (const auto n : item_) sizes.push_back(static_cast<std::int64_t>(n));
    auto values = torch::empty(sizes);
    array_.read_slab<float>(
        offset, extent, std::span<float>(values.data_ptr<float>(), static_cast<std::size_t>(values.numel())));
    require(values.isfinite().all().item<bool>(), "{}, items {}..{}: a value is not finite", array_.label(),
            first, first + count - 1);
    return values;
  }

 private:
  h5::Shape item_;
  std::unique_ptr<h5::File> file_;
  h5::Dataset array_;
  bool single_ = false;
  std::int64_t count_ = 0;
};

template <class T>
void write_rows(h5::Dataset& array, std::int64_t first, h5::Shape rows, std::span<const T> values) {
  h5::Shape offset(rows.size(), 0);
  offset[0] = static_cast<std::uint64_t>(first);
  array.write_slab<T>(offset, rows, values);
}

/// Rows of the file's shape from a tensor of as many values.
void write_rows(h5::Dataset& array, std::int64_t first, h5::Shape rows, const torch::Tensor& values) {
  const auto host = values.to(torch::kCPU, torch::kFloat32).contiguous();
  write_rows<float>(array, first, std::move(rows),
                    {host.data_ptr<float>(), static_cast<std::size_t>(host.numel())});
}

/// Shape of `frames` frames in a file: the channel axis is there only where there are several fields.
h5::Shape frame_shape(const Model& model, std::uint64_t frames = 1) {
  const auto n = static_cast<std::uint64_t>(model.config().image);
  const auto c = static_cast<std::uint64_t>(model.config().field_channels);
  h5::Shape shape{n, n};
  if (c > 1) shape.insert(shape.begin(), c);
  if (frames > 1) shape.insert(shape.begin(), frames);
  return shape;
}

h5::Shape rows_of(std::int64_t count, const h5::Shape& item) {
  h5::Shape shape = item;
  shape.insert(shape.begin(), static_cast<std::uint64_t>(count));
  return shape;
}

/// Physical items of a file -> normalised frames side by side [count, frames * C, n, n].
torch::Tensor normalised(const Model& model, const torch::Tensor& items, std::int64_t frames) {
  const std::int64_t n = model.config().image, c = model.config().field_channels;
  return items.view({items.size(0), frames * c, n, n}).to(model.device()) / model.scale(frames);
}

/// Calls item(first, count) for one batch after the other.
template <class Item>
void for_batches(const PredictOptions& options, std::int64_t items, const Item& item) {
  for (std::int64_t first = 0; first < items; first += options.batch) {
    if (stop_requested())
      fail<Stopped>("predict stopped after {} of {} items; nothing was written", first, items);
    item(first, std::min(options.batch, items - first));
  }
}

/// Noise of rows first..first+count-1.
PhiloxNoise noise_of(const PredictOptions& options, std::int64_t first, std::int64_t count) {
  std::vector<std::uint64_t> rows(static_cast<std::size_t>(count));
  std::iota(rows.begin(), rows.end(), static_cast<std::uint64_t>(first));
  return PhiloxNoise(options.seed, rows, 0);
}

void write_levels(h5::Dataset& array, std::int64_t first, const std::vector<Levels>& pairs) {
  std::vector<std::int32_t> flat;
  for (const Levels& one : pairs) flat.insert(flat.end(), {one.past, one.present});
  write_rows<std::int32_t>(array, first, {pairs.size(), 2}, flat);
}

/// What a refinement says of each item beside the refined frames.
class RefinementArrays {
 public:
  RefinementArrays(h5::File& out, std::int64_t items)
      : levels_(out.create<std::int32_t>("levels", {static_cast<std::uint64_t>(items), 2})),
        used_(out.create<std::int32_t>("used_levels", {static_cast<std::uint64_t>(items), 2})),
        evaluations_(out.create<std::int64_t>("evaluations", {static_cast<std::uint64_t>(items)})) {}
  void write(std::int64_t first, const std::vector<Levels>& predicted, const Refined& refined) {
    write_levels(levels_, first, predicted);
    write_levels(used_, first, refined.used);
    write_rows<std::int64_t>(evaluations_, first, {refined.evaluations.size()}, refined.evaluations);
  }

 private:
  h5::Dataset levels_, used_, evaluations_;
};

RefineOptions refine_options(const PredictOptions& options) {
  RefineOptions refine;
  refine.path = parse_path(options.path);
  refine.rule = parse_rule(options.rule);
  refine.level_floor = options.level_floor;
  refine.threshold = options.threshold;
  refine.gate = parse_gate(options.gate);
  refine.reverse_std = parse_reverse_std(options.reverse_std);
  return refine;
}

void predict_next(GaussianEmulator& model, const PredictOptions& options, h5::File& out,
                  PredictSummary& summary) {
  const h5::Shape frame = frame_shape(model);
  const InputArray input(options.input, frame, "states");
  summary.samples = input.count();
  auto next = out.create<float>("next", rows_of(input.count(), frame));
  for_batches(options, input.count(), [&](std::int64_t first, std::int64_t count) {
    const auto x = normalised(model, input.read(first, count), 1);
    write_rows(next, first, rows_of(count, frame), model.step(x) * model.scale());
  });
}

void predict_generated(Acdm& model, const PredictOptions& options, h5::File& out, PredictSummary& summary) {
  const h5::Shape frame = frame_shape(model);
  const InputArray input(options.input, frame, "states");
  const AcdmOptions how{parse_start(options.start), parse_conditioning(options.conditioning),
                        parse_reverse_std(options.reverse_std)};
  summary.samples = input.count();
  auto next = out.create<float>("next", rows_of(input.count(), frame));
  auto evaluations = out.create<std::int64_t>("evaluations", {static_cast<std::uint64_t>(input.count())});
  for_batches(options, input.count(), [&](std::int64_t first, std::int64_t count) {
    PhiloxNoise noise = noise_of(options, first, count);
    const Sampled made = model.next(normalised(model, input.read(first, count), 1), how, noise);
    write_rows(next, first, rows_of(count, frame), made.x * model.scale());
    write_rows<std::int64_t>(evaluations, first, {made.evaluations.size()}, made.evaluations);
  });
}

void predict_thermalized(Thermalizer& model, const PredictOptions& options, h5::File& out,
                         PredictSummary& summary) {
  const h5::Shape frame = frame_shape(model);
  const InputArray input(options.input, frame, "states");
  RefineOptions how = refine_options(options);
  how.threshold = options.start_level;
  how.stop_level = options.stop_level;
  summary.samples = input.count();
  auto refined = out.create<float>("refined", rows_of(input.count(), frame));
  RefinementArrays record(out, input.count());
  for_batches(options, input.count(), [&](std::int64_t first, std::int64_t count) {
    const auto x = normalised(model, input.read(first, count), 1);
    const auto predicted = model.levels(x);
    // A level of 0 keeps a state that is given up from being denoised.
    std::vector<Levels> levels = predicted;
    std::vector<std::int64_t> given_up;
    for (std::int64_t b = 0; b < count; ++b)
      if (Levels& p = levels[static_cast<std::size_t>(b)]; p.present > options.noise_limit) {
        p.present = 0;
        given_up.push_back(b);
      }
    PhiloxNoise noise = noise_of(options, first, count);
    Refined result = model.refine(x, levels, how, noise);
    for (const std::int64_t b : given_up) {
      result.x[b].fill_(std::numeric_limits<float>::quiet_NaN());
      log::warn("state {}: noise level {} is above the noise limit {}", first + b,
                predicted[static_cast<std::size_t>(b)].present, options.noise_limit);
    }
    write_rows(refined, first, rows_of(count, frame), result.x * model.scale());
    record.write(first, predicted, result);
  });
}

/// Pairs of a file with the long frames that SNS wants beside them.
class PairInput {
 public:
  PairInput(const Sns& model, const PredictOptions& options)
      : model_(model), pairs_(options.input, frame_shape(model, 2), "pairs (x_{t-1}, x_t)") {
    if (model.longest_lag() > 0 && (options.long_input.empty() || options.lag < 1))
      fail<ConfigError>(
          "the model wants an earlier frame of the same trajectory: give it (--long) and the steps from "
          "it to the present frame (--lag 1 to {})",
          model.longest_lag());
    if (options.long_input.empty()) return;
    long_ = std::make_unique<InputArray>(options.long_input, frame_shape(model), "frames");
    require(long_->count() == count() || long_->count() == 1,
            "{} has {} frames for {} pairs; give one for all, or one for each", options.long_input,
            long_->count(), count());
  }
  std::int64_t count() const { return pairs_.count(); }

  /// (long, past, present) of pairs first..first+count-1, normalised [count, 3C, n, n].
  torch::Tensor read(std::int64_t first, std::int64_t count) const {
    const auto pairs = normalised(model_, pairs_.read(first, count), 2);
    torch::Tensor beside = pairs.narrow(1, 0, model_.config().field_channels);
    if (long_ && long_->count() == 1)
      beside = normalised(model_, long_->read(0, 1), 1).expand_as(beside);
    else if (long_)
      beside = normalised(model_, long_->read(first, count), 1);
    return torch::cat({beside, pairs}, 1);
  }

 private:
  const Sns& model_;
  InputArray pairs_;
  std::unique_ptr<InputArray> long_;
};

/// The pairs of a batch (long, past, present), physical.
torch::Tensor physical_pairs(const Sns& model, const torch::Tensor& x) {
  const std::int64_t channels = model.config().field_channels;
  return x.narrow(1, x.size(1) - 2 * channels, 2 * channels) * model.scale(2);
}

std::vector<int> lags_of(const PredictOptions& options) {
  return std::vector<int>(options.lag > 0 ? 1 : 0, options.lag);
}

void predict_refined(Sns& model, const PredictOptions& options, h5::File& out, PredictSummary& summary) {
  const PairInput input(model, options);
  summary.samples = input.count();
  const RefineOptions how = refine_options(options);
  const h5::Shape pair = frame_shape(model, 2);
  auto refined = out.create<float>("refined", rows_of(input.count(), pair));
  RefinementArrays record(out, input.count());
  for_batches(options, input.count(), [&](std::int64_t first, std::int64_t count) {
    const torch::Tensor x = input.read(first, count);
    const auto predicted = model.levels(x, lags_of(options));
    PhiloxNoise noise = noise_of(options, first, count);
    const Refined result = model.refine(x, predicted, how, noise, lags_of(options));
    write_rows(refined, first, rows_of(count, pair), physical_pairs(model, result.x));
    record.write(first, predicted, result);
  });
}

void predict_oracle(Sns& model, const PredictOptions& options, h5::File& out, PredictSummary& summary) {
  const PairInput input(model, options);
  summary.samples = input.count();
  const int levels = model.schedule().levels();
  for (const int s : options.oracle)
    if (options.oracle.size() != 2 || s < 0 || s >= levels)
      fail<ConfigError>("the oracle takes two levels, each 0 to {}", levels - 1);
  const Levels at{options.oracle[0], options.oracle[1]};
  const h5::Shape pair = frame_shape(model, 2), rows = rows_of(input.count(), pair);
  auto noised = out.create<float>("noised", rows), estimate = out.create<float>("estimate", rows);
  auto predicted = out.create<std::int32_t>("levels", {static_cast<std::uint64_t>(input.count()), 2});
  for_batches(options, input.count(), [&](std::int64_t first, std::int64_t count) {
    PhiloxNoise noise = noise_of(options, first, count);
    const torch::Tensor x = model.noised(input.read(first, count), at, noise);
    const torch::Tensor pairs_at = torch::tensor({at.past, at.present}, torch::kInt64).expand({count, 2});
    write_rows(noised, first, rows_of(count, pair), physical_pairs(model, x));
    write_rows(estimate, first, rows_of(count, pair),
               physical_pairs(model, model.clean_estimate(x, pairs_at.to(model.device()), lags_of(options))));
    write_levels(predicted, first, model.levels(x, lags_of(options)));
  });
}

}  // namespace

PredictSummary predict(const PredictOptions& options) {
  prepare_torch(options.threads);
  if (options.batch < 1) fail<ConfigError>("batch {} must be at least 1", options.batch);
  if (!options.overwrite && std::filesystem::exists(options.output))
    fail<ConfigError>("{} exists; give --overwrite to replace it or another -o", options.output.string());
  const auto which = parse_weights(options.which);
  const auto model = load_model(options.weights, which, pick_device(options.device));
  if (!options.oracle.empty() && model->config().kind != "sns")
    fail<ConfigError>("{} holds a model of kind '{}'; the oracle is SNS's", options.weights.string(),
                      model->config().kind);
  const c10::InferenceMode guard;
  PredictSummary summary;
  summary.kind = model->config().kind;
  write_atomically(options.output, [&](const std::filesystem::path& temporary) {
    auto out = h5::File::create(temporary);
    if (auto* gaussian = dynamic_cast<GaussianEmulator*>(model.get()))
      predict_next(*gaussian, options, out, summary);
    if (auto* sns = dynamic_cast<Sns*>(model.get()))
      options.oracle.empty() ? predict_refined(*sns, options, out, summary)
                             : predict_oracle(*sns, options, out, summary);
    if (auto* thermalizer = dynamic_cast<Thermalizer*>(model.get()))
      predict_thermalized(*thermalizer, options, out, summary);
    if (auto* acdm = dynamic_cast<Acdm*>(model.get())) predict_generated(*acdm, options, out, summary);
    out.set_attribute("kind", summary.kind);
    out.set_attribute("weights", options.weights.string());
    out.set_attribute("weights_sha256", sha256_file(options.weights / file_name(which)));
    out.set_attribute("weights_kind", options.which);
    out.set_attribute("input", options.input);
    out.set_attribute("seed", options.seed);
    out.set_attribute("command", options.command);
    out.set_attribute("sns_version", build_info().version);
    out.set_attribute("git_commit", build_info().git_commit);
    out.close();
  });
  return summary;
}

}  // namespace sns
