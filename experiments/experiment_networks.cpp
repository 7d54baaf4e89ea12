// The stages of an experiment that run networks.
#include "core/error.hpp"
#include "core/files.hpp"
#include "core/log.hpp"
#include "core/random.hpp"
#include "core/stop.hpp"
#include "datagen/reader.hpp"
#include "datagen/statistics.hpp"
#include "emulator/dataset.hpp"
#include "emulator/device.hpp"
#include "emulator/models/gaussian.hpp"
#include "emulator/models/model.hpp"
#include "emulator/nets/unet.hpp"
#include "emulator/runtime.hpp"
#include "emulator/training/combination.hpp"
#include "emulator/training/estimate_error.hpp"
#include "emulator/training/precision.hpp"
#include "emulator/training/step_error.hpp"
#include "emulator/training/trainer.hpp"
#include "experiments/experiment.hpp"
#include "experiments/metrics/ensemble.hpp"
#include "experiments/oracle.hpp"
#include "experiments/shipped_weights.hpp"
#include "experiments/solver_stepper.hpp"
#include "experiments/surrogate_stepper.hpp"

#include <chrono>
#include <cmath>
#include <functional>
#include <optional>
#include <thread>
#include <utility>

namespace sns {

namespace {

namespace fs = std::filesystem;

/// First frames of those trajectories of a data set whose number, counted from `first`, `wanted` says yes to:
/// ids, and [member][field][x][y].
struct InitialStates {
  std::vector<std::int64_t> ids;
  std::vector<float> values;
};
InitialStates read_initial_states(const DatasetReader& reader, std::int64_t first,
                                  const std::function<bool(std::int64_t)>& wanted) {
  InitialStates out;
  const std::vector<std::int64_t> ids = reader.trajectories();
  const std::size_t points = h5::element_count(reader.grid());
  std::vector<float> frame(points);
  for (std::size_t s = 0; s < ids.size(); ++s) {
    if (!wanted(ids[s] - first)) continue;
    out.ids.push_back(ids[s]);
    for (const std::string& field : reader.fields()) {
      reader.read(field, static_cast<std::int64_t>(s), 1, 0, 1, frame);
      out.values.insert(out.values.end(), frame.begin(), frame.end());
    }
  }
  return out;
}

}  // namespace

fs::path Experiment::weights_folder(const ModelSpec& model) const {
  return shipped(model) ? folder().model(model.name) / "shipped" : folder().model(model.name);
}

StageFacts Experiment::take_shipped_weights(const ModelSpec& model) const {
  const fs::path from = shipped_folder(model, config_.file()), to = weights_folder(model);
  for (const char* name : {"model.safetensors", "ema.safetensors", "config.yaml", "model_card.md",
                           "metrics.jsonl", kStepErrorFile, kEstimateErrorFile})
    if (fs::exists(from / name))
      write_atomically(to / name, [&](const fs::path& target) {
        fs::copy_file(from / name, target, fs::copy_options::overwrite_existing);
      });
  log::info("{}: weights of {} are used; retrain=true trains them instead", model.name, from.string());
  return {{"weights", "shipped"},
          {"folder", from.string()},
          {"sha256", sha256_file(to / file_name(Weights::ema))},
          {"data_hash", load_model_config(to / "config.yaml").data_hash}};
}

namespace {

/// First frame of the first trajectory of a data set, [1, C, x, y] in the units of `model`: a fixed sample of
/// the flow's invariant measure, the same in every run of an experiment.
torch::Tensor first_frame(const DatasetReader& reader, const Model& model) {
  InitialStates state = read_initial_states(reader, reader.trajectories().front(),
                                            [](std::int64_t number) { return number == 0; });
  const std::int64_t n = model.config().image, channels = model.config().field_channels;
  require(state.values.size() == static_cast<std::size_t>(channels * n * n),
          "the frames of the truth do not fit the model's {} fields of {} x {} points", channels, n, n);
  return torch::tensor(state.values, torch::kFloat32).view({1, channels, n, n}).to(model.device()) /
         model.scale();
}

/// What was measured of a method's networks; null where it needs nothing.
struct Measured {
  std::shared_ptr<const EstimateErrors> errors;  ///< those that a refiner draws its noise from
  std::shared_ptr<const CombinedEstimate> combination;
};

/// What the method's refiner or generator, with weights in `folder`, does in each step.
std::unique_ptr<DiffusionStage> load_stage(const MethodConfig& method, const std::string& kind,
                                           const fs::path& folder, const Measured& measured,
                                           const DatasetReader& truth, torch::Device device,
                                           std::uint64_t seed) {
  const Weights weights = parse_weights(method.weights);
  const SamplingConfig& sampling = method.sampling;
  if (kind == "acdm")
    return make_acdm_generator(load_model_as<Acdm>(folder, weights, device), acdm_generation(sampling), seed);
  if (kind == "thermalizer") {
    auto model = load_model_as<Thermalizer>(folder, weights, device);
    const ThermalizerLevels levels = thermalizer_levels(sampling, model->schedule());
    model->use_errors(measured.errors);
    return make_thermalizer_refiner(std::move(model), thermalizer_refinement(sampling, levels), levels.limit,
                                    seed);
  }
  auto model = load_model_as<Sns>(folder, weights, device);
  model->use_errors(measured.errors);
  model->use_combination(measured.combination);
  SnsConduct conduct{
      .seed = seed, .write_back = sampling.write_back == "always", .fixed_share = sampling.fixed_share};
  if (sampling.long_frame == "first_initial") conduct.long_frame = first_frame(truth, *model);
  if (method.generator) return make_sns_generator(std::move(model), sns_generation(sampling), conduct);
  return make_sns_refiner(std::move(model), sns_refinement(sampling), conduct);
}

}  // namespace

StageFacts Experiment::ask_oracle() const {
  prepare_torch(run_.threads);
  const fs::path folder_of_weights = weights_folder(find_model(models_, oracle_->model));
  const Weights weights = parse_weights(oracle_->weights);
  const auto model = load_model_as<Sns>(folder_of_weights, weights, pick_device(run_.device));
  run_oracle(*model, {.frames = folder().truth(),
                      .output = folder().oracle(),
                      .config = *oracle_,
                      .evaluate = evaluate_,
                      .weights_sha256 = sha256_file(folder_of_weights / file_name(weights)),
                      .seed = run_.seed});
  return {};
}

void Experiment::measure_combined_estimates(const MethodConfig& method) const {
  const ModelSpec& refiner = find_model(models_, *method.refiner);
  const fs::path at = weights_folder(refiner),
                 surrogate = weights_folder(find_model(models_, *method.emulator));
  const Weights weights = parse_weights(method.weights);
  const DatasetInfo info = describe_dataset(folder().dataset());
  const auto measured = [&] { return has_combination(at, surrogate, weights, info.hash); };
  // Methods that are made side by side may want the same: one measures, the others wait for it.
  std::optional<FolderLock> lock;
  while (!lock && !measured()) {
    throw_if_stopped("while waiting for combined estimates");
    try {
      lock.emplace(at);
    } catch (const FolderBusy&) {
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
  }
  if (measured()) return;
  log::info("{}: combined estimates of {} and {} are measured", method.name, refiner.name, *method.emulator);
  const DataSplit frames(info, "valid",
                         scales_per_field(load_model_config(at / "config.yaml").field_std, info));
  const int highest = highest_level(refiner.training.levels, refiner.model.diffusion.levels);
  save_combination(at, surrogate, weights,
                   measure_combination(at, surrogate, weights, frames, measured_levels(highest),
                                       kCombinationSamples, pick_device(run_.device))
                       .estimate,
                   info.hash);
}

namespace {

/// "q_upper: 13-24; q_lower: none": shells of each field.
std::string text_of(const UnpredictedScales& scales, const std::vector<std::string>& fields) {
  std::string text;
  for (std::size_t f = 0; f < fields.size(); ++f) {
    const auto& shells = scales.shells().at(f);
    std::string runs;
    for (std::size_t i = 0; i < shells.size(); ++i) {
      const std::size_t first = i;
      while (i + 1 < shells.size() && shells[i + 1] == shells[i] + 1) ++i;
      runs += runs.empty() ? "" : ", ";
      runs += i > first ? fmt::format("{}-{}", shells[first], shells[i]) : fmt::format("{}", shells[i]);
    }
    text += fmt::format("{}{}: {}", f > 0 ? "; " : "", fields[f], runs.empty() ? "none" : runs);
  }
  return text;
}

}  // namespace

std::unique_ptr<RolloutStepper> Experiment::make_networks(const MethodConfig& method, RolloutJob& job) const {
  const Weights weights = parse_weights(method.weights);
  SurrogateOptions options;
  options.first_step = method.first_step;
  options.every = method.every;
  options.conserve_mean = method.conserve_mean;
  options.noise = {.white = method.noise, .seed = run_.seed};
  options.inference = {
      .one_by_one = rollout_.deterministic,
      .precision = method.precision_in(rollout_) == "bfloat16" ? torch::kBFloat16 : torch::kFloat32,
      .graphs = rollout_.graphs};
  const auto folder_of = [&](const std::string& name) { return weights_folder(find_model(models_, name)); };
  // What was measured of shipped weights from where they are shipped: the copy in the run may be older than it.
  const auto measured_of = [&](const std::string& name, const char* file) {
    const ModelSpec& model = find_model(models_, name);
    const fs::path folder = shipped(model) ? shipped_folder(model, config_.file()) : weights_folder(model);
    job.attributes.emplace_back(fs::path(file).stem().string() + "_sha256", sha256_file(folder / file));
    return folder;
  };
  const auto hash = [&](const std::string& name) { return sha256_file(folder_of(name) / file_name(weights)); };

  job.device = pick_device(run_.device);
  job.attributes.emplace_back("device", job.device.str());
  job.attributes.emplace_back("precision", method.precision_in(rollout_));
  job.attributes.emplace_back("weights", method.weights);
  std::unique_ptr<GaussianEmulator> emulator;
  if (method.emulator) {
    emulator = load_model_as<GaussianEmulator>(folder_of(*method.emulator), weights, job.device);
    job.attributes.emplace_back("weights_emulator_sha256", hash(*method.emulator));
    if (method.sampled || method.holds_scales()) {
      const fs::path measured = measured_of(*method.emulator, kStepErrorFile);
      if (method.sampled) options.noise.error.emplace(load_step_error(measured, weights));
      if (method.holds_scales()) {
        const UnpredictedScales scales = load_unpredicted_scales(measured, weights);
        options.unpredicted = (method.empties_scales() ? scales.emptied() : scales).to(job.device);
      }
    }
    if (options.unpredicted) {
      job.attributes.emplace_back("unpredicted_scales", text_of(*options.unpredicted, job.fields));
      log::info("{}: scales {}: {}", method.name,
                method.empties_scales() ? "without power" : "with the power of the data",
                job.attributes.back().second);
    }
  }
  std::unique_ptr<DiffusionStage> stage;
  if (const auto& name = method.diffusion_model()) {
    Measured measured;
    if (method.draws_from_errors())
      measured.errors = std::make_shared<EstimateErrors>(
          load_estimate_errors(measured_of(*name, kEstimateErrorFile), weights));
    if (method.combines()) {
      const fs::path surrogate = folder_of(*method.emulator);
      const auto finished = finished_combination(method);
      const fs::path at = finished ? finished->parent_path() : folder_of(*name);
      measured.combination = std::make_shared<CombinedEstimate>(load_combination(at, surrogate, weights));
      job.attributes.emplace_back("combined_estimate_sha256",
                                  sha256_file(at / combination_file(surrogate, weights)));
    }
    stage = load_stage(method, find_model(models_, *name).model.kind, folder_of(*name), measured,
                       DatasetReader(folder().truth(), "test"), job.device, run_.seed);
    job.attributes.emplace_back(method.generator ? "weights_generator_sha256" : "weights_refiner_sha256",
                                hash(*name));
  }
  auto stepper = std::make_unique<SurrogateStepper>(std::move(emulator), std::move(stage), options);
  job.field_std = stepper->field_std();
  return stepper;
}

namespace {

/// Of each field, over the initial conditions.
std::vector<double> standard_deviations(const RolloutJob& job) {
  const std::size_t fields = job.fields.size(), frames = job.trajectories.size() * fields;
  const std::size_t cells = job.initial.size() / frames;
  std::vector<Moments> moments(fields);
  for (std::size_t i = 0; i < frames; ++i)
    moments[i % fields].add(std::span<const float>(job.initial).subspan(i * cells, cells));
  std::vector<double> deviations;
  for (const Moments& field : moments) deviations.push_back(field.standard_deviation());
  return deviations;
}

}  // namespace

std::unique_ptr<RolloutStepper> Experiment::make_solver_stepper(const MethodConfig& method,
                                                                RolloutJob& job) const {
  const auto& [source, steps_per_frame] = solver_methods_.at(method.name);
  // The scales say when a member counts as lost, and nothing else: those of the initial conditions will do. As
  // powers of two they leave every bit of the frames alone.
  job.field_std = standard_deviations(job);
  for (double& scale : job.field_std) scale = std::exp2(std::round(std::log2(scale)));
  const SolverInfo& info = source.info();
  job.attributes.emplace_back("device", info.backend == "cufft" ? "cuda" : "cpu");
  job.attributes.emplace_back("precision", info.precision);
  return std::make_unique<SolverStepper>(
      source.make(static_cast<int>(job.trajectories.size())),
      FrameTransfer(coarse_axes(solver_.info(), data_plan_.coarsen), data_plan_.coarsen, info), steps_per_frame,
      job.trajectories, job.field_std);
}

RolloutJob Experiment::rollout_job(const MethodConfig& method, const std::string& identity) const {
  const SolverInfo& info = solver_.info();
  const DatasetReader truth(folder().truth(), "test");
  InitialStates initial =
      read_initial_states(truth, static_cast<std::int64_t>(kFirstTruthTrajectory),
                          [this](std::int64_t number) { return rollout_.rolls_out(number); });
  require(!initial.ids.empty(), "{} holds no trajectory to start from", folder().truth().string());
  if (static_cast<int>(initial.ids.size()) < rollout_.members)
    log::warn("{} of {} initial conditions are there: the solver lost the others", initial.ids.size(),
              rollout_.members);

  RolloutJob job;
  job.output = folder().rollout(method.name);
  job.steps = rollout_.steps;
  job.trajectories = std::move(initial.ids);
  job.initial = std::move(initial.values);
  job.fields = truth.fields();
  job.units.clear();
  for (const FieldInfo& field : info.fields) job.units.push_back(field.units);
  for (const std::string& axis : truth.files().front().axis_names())
    job.axes.emplace_back(axis, truth.files().front().coordinates(axis));
  job.frame_interval = info.dt * static_cast<double>(data_plan_.steps_per_frame);
  job.time_units = info.time_units;
  job.seed = run_.seed;
  job.threads = run_.threads;
  job.identity = identity;
  job.limit = rollout_.limit;
  job.attributes = {
      {"method", method.name}, {"method_yaml", method.text}, {"config_yaml", config_.resolved_yaml()}};
  return job;
}

void Experiment::make_ensemble(RolloutJob& job, const MethodConfig& method) const {
  const EnsembleConfig& ensemble = *rollout_.ensemble;
  const std::vector<double> scales = standard_deviations(job);
  const std::vector<std::int64_t> ids = std::exchange(job.trajectories, {});
  const std::vector<float> initial = std::exchange(job.initial, {});
  const std::size_t size = initial.size() / ids.size(), cells = size / scales.size();
  std::vector<float> noise(size);
  for (int e = 1; e <= ensemble.members; ++e)
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const std::int64_t id = metrics::kEnsembleStride * e + ids[i];
      // Step 1: step 0 of this purpose belongs to the solvers' initial states.
      RandomStream(run_.seed, Purpose::initial_condition, static_cast<std::uint64_t>(id), 1).fill_normal(noise);
      for (std::size_t p = 0; p < size; ++p)
        job.initial.push_back(
            static_cast<float>(static_cast<double>(initial[i * size + p]) +
                               ensemble.perturbation * scales[p / cells] * static_cast<double>(noise[p])));
      job.trajectories.push_back(id);
    }
  job.output = folder().ensemble(method.name);
  job.steps = ensemble.steps;
  job.attributes.emplace_back("ensemble", std::to_string(ensemble.members));
}

StageFacts Experiment::roll_out(const MethodConfig& method, const std::string& identity, bool ensemble) const {
  prepare_torch(run_.threads);
  // In float32 and the usual order of memory, whatever the rollout has.
  if (method.combines() && !finished_combination(method)) measure_combined_estimates(method);
  const TensorFloat32 products(method.precision_in(rollout_) == "tf32");
  const ChannelsLast order(rollout_.channels_last);
  if (!method.solver) {
    const std::string key =
        method.precision ? "rollout.methods." + method.name + ".precision" : "rollout.precision";
    const std::string warning = precision_warning(key, method.precision_in(rollout_), pick_device(run_.device));
    if (!warning.empty()) log::warn("{}", warning);
  }
  RolloutJob job = rollout_job(method, identity);
  if (ensemble) make_ensemble(job, method);
  const auto stepper = method.solver ? make_solver_stepper(method, job) : make_networks(method, job);
  const RolloutSummary summary = run_rollout(job, *stepper);
  int failed = 0;
  for (const std::int64_t step : summary.failed_step) failed += step >= 0 ? 1 : 0;
  return {{"failed_members", std::to_string(failed)},
          {"steps_per_second", fmt::format("{:.2f}", summary.steps_per_second)}};
}

}  // namespace sns
