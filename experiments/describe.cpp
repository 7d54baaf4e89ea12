#include "experiments/describe.hpp"

#include "core/error.hpp"
#include "core/memory.hpp"
#include "core/text.hpp"
#include "datagen/frame_log.hpp"
#include "datagen/generate.hpp"
#include "emulator/device.hpp"
#include "emulator/nets/acdm_net.hpp"
#include "emulator/nets/initialise.hpp"
#include "emulator/nets/sns_net.hpp"
#include "emulator/nets/thermalizer_net.hpp"
#include "emulator/runtime.hpp"
#include "emulator/training/precision.hpp"
#include "emulator/training/unused_keys.hpp"
#include "experiments/config.hpp"
#include "experiments/evaluate.hpp"
#include "experiments/experiment.hpp"
#include "experiments/rollout.hpp"
#include "experiments/shipped_weights.hpp"
#include "experiments/solver_stepper.hpp"
#include "experiments/solver_stream.hpp"
#include "experiments/training_memory.hpp"

#include <c10/core/InferenceMode.h>
#include <torch/cuda.h>
#include <torch/types.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <map>

namespace sns {

namespace {

/// Size of the frames that the networks will see.
struct FrameSize {
  int channels = 1;
  int points = 64;  ///< along one side
};

using Lines = std::vector<std::pair<std::string, std::string>>;

/// What one network is and takes.
struct NetworkCost {
  std::int64_t parameters = 0;
  double seconds = 0;  ///< one evaluation of one sample
};

/// A network as it comes from its constructor is uninitialised memory, whose denormals would be timed.
void fill(torch::nn::Module& net) {
  const torch::NoGradGuard guard;
  for (torch::Tensor& parameter : net.parameters()) parameter.fill_(0.01F);
}

/// Least time of an evaluation: of two, or of as many more as a quarter of a second has room for, since what
/// else the machine does may hold up any of them.
template <class Evaluate>
double least_time(const Evaluate& evaluate) {
  constexpr double kEnough = 0.25;
  constexpr int kMost = 20;
  const c10::InferenceMode guard;
  double least = std::numeric_limits<double>::infinity(), all = 0;
  for (int i = 0; i < 2 || (i < kMost && all < kEnough); ++i) {
    const auto start = std::chrono::steady_clock::now();
    evaluate();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    least = std::min(least, seconds);
    all += seconds;
  }
  return least;
}

/// One network on a device. Small ones are faster per sample in batches, which is how they are used; a sample
/// of a large one on the CPU takes long enough.
template <class Net, class Forward>
NetworkCost measure(Net& net, const torch::TensorOptions& place, std::int64_t channels,
                    const ModelConfig& config, const Forward& forward) {
  constexpr double kLarge = 0.02;  // seconds for a sample
  const torch::Device device = place.device();
  fill(net);
  net.to(device, at::typeMetaToScalarType(place.dtype()));
  const auto seconds_per_sample = [&](std::int64_t samples) {
    const torch::Tensor x = torch::zeros({samples, channels, config.image, config.image}, place);
    return least_time([&] {
             forward(x);
             if (device.is_cuda()) torch::cuda::synchronize(device.index());
           }) /
           static_cast<double>(samples);
  };
  double seconds = seconds_per_sample(device.is_cuda() ? 16 : 1);
  if (!device.is_cuda() && seconds < kLarge) seconds = seconds_per_sample(8);
  return {parameter_count(net), seconds};
}

NetworkCost measure(const ModelConfig& config, torch::Device device, const std::string& precision) {
  const std::int64_t channels = config.field_channels;
  const TensorFloat32 products(precision == "tf32");
  const auto place =
      torch::TensorOptions(device).dtype(precision == "bfloat16" ? torch::kBFloat16 : torch::kFloat32);
  const auto of_each = [](const torch::Tensor& x, std::int64_t value) {
    return torch::full({x.size(0)}, value, x.options().dtype(torch::kInt64));
  };
  if (config.kind == "thermalizer") {
    ThermalizerNetImpl net(thermalizer_network(config));
    return measure(net, place, channels, config, [&](const torch::Tensor& x) { net.forward(x); });
  }
  if (config.kind == "acdm") {
    AcdmNetImpl net(acdm_network(config));
    return measure(net, place, 2 * channels, config,
                   [&](const torch::Tensor& x) { net.forward(x, of_each(x, 0)); });
  }
  if (config.kind == "gaussian") {
    UNetImpl net(gaussian_network(config));
    return measure(net, place, channels, config, [&](const torch::Tensor& x) { net.forward(x); });
  }
  SnsNetImpl net(sns_network(config));
  return measure(net, place, 3 * channels, config, [&](const torch::Tensor& x) {
    net.forward(x, config.network.lag ? of_each(x, 1) : torch::Tensor());
  });
}

/// What a model's network costs in a precision, measured when it is first asked for.
class NetworkCosts {
 public:
  NetworkCosts(const std::vector<ModelSpec>& models, torch::Device device) : models_(models), device_(device) {}

  const NetworkCost& of(const std::string& model, const std::string& precision = "float32") {
    const auto [entry, is_new] = costs_.try_emplace({model, precision});
    if (is_new) entry->second = measure(find_model(models_, model).model, device_, precision);
    return entry->second;
  }

 private:
  const std::vector<ModelSpec>& models_;
  torch::Device device_;
  std::map<std::pair<std::string, std::string>, NetworkCost> costs_;
};

/// 73727522 -> "73,727,522"
std::string grouped(std::int64_t n) {
  const std::string digits = std::to_string(n);
  std::string text;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

/// Whether `sns reproduce` needs a model: others are left alone.
bool uses(const std::string& model, const std::optional<RolloutConfig>& rollout,
          const std::optional<OracleConfig>& oracle) {
  if (oracle && oracle->model == model) return true;
  return rollout &&
         std::any_of(rollout->methods.begin(), rollout->methods.end(), [&](const MethodConfig& method) {
           return method.emulator == model || method.diffusion_model() == model;
         });
}

/// Frames that a training holds: those of its rounds, or of its data set [bytes] as far as they may be in
/// memory.
double bytes_of_frames(const ModelSpec& model, const FrameSize& frames, double dataset) {
  if (model.training.data == "stream")
    return stream_bytes(model.training.stream,
                        static_cast<double>(frames.channels) * frames.points * frames.points * sizeof(float));
  return std::min(dataset, model.training.memory_budget_gib * 1024 * 1024 * 1024);
}

/// What the solver of a streamed model makes and holds.
void describe_stream(const StreamConfig& stream, double bytes, Lines& lines) {
  lines.emplace_back("  stream",
                     fmt::format("rounds of {} members, {} frames, up to {} ahead; at most {} of frames",
                                 stream.members, stream.frames, stream.queue, human_bytes(bytes)));
}

/// Why a training on the CPU will not do; empty where nothing is to be said.
std::string memory_doubt(const TrainingConfig& training, const TensorMemory& memory, double frames,
                         double available) {
  const double all = memory.bytes + frames;
  if (!memory.or_more && all <= available) return {};
  return fmt::format(
      "training takes {}{} of memory, {} of frames among them, and {} are available{}",
      memory.or_more ? "more than " : "", human_bytes(all), human_bytes(frames), human_bytes(available),
      training.batch > 1 ? "; a smaller training.batch with training.accumulate takes less" : "");
}

/// Memory of a training to come and, on the CPU, whether it fits.
struct MemoryText {
  std::string taken, doubt;
};

/// Returns the seconds of the training.
double describe_model(const ModelSpec& model, const NetworkCost& cost, const std::string& place,
                      const std::optional<MemoryText>& memory, Lines& lines) {
  const TrainingConfig& t = model.training;
  // A backward pass costs about two forward passes.
  const double seconds = 3 * static_cast<double>(t.steps) * t.batch * t.accumulate * cost.seconds;
  lines.emplace_back("models." + model.name,
                     fmt::format("{}, {} parameters", model.model.kind, grouped(cost.parameters)));
  lines.emplace_back(
      "  training",
      fmt::format("{} steps of {} samples, {}about {} on {}{}", t.steps, t.batch * t.accumulate,
                  memory ? memory->taken + " of tensors beside the frames, " : "", human_time(seconds), place,
                  memory ? "" : " if retrain=true; finished weights are given"));
  if (memory && !memory->doubt.empty()) lines.emplace_back("  doubtful", memory->doubt);
  return seconds;
}

/// What one member costs per step: network evaluations in words, and seconds.
std::pair<std::string, double> cost_of(const MethodConfig& method, const RolloutConfig& rollout,
                                       const std::vector<ModelSpec>& models, NetworkCosts& costs) {
  const auto seconds = [&](const std::string& model) {
    return costs.of(model, method.precision_in(rollout)).seconds;
  };
  constexpr double kClassification = 0.5;  // of a whole evaluation
  if (method.generator) {
    const ModelConfig& model = find_model(models, *method.generator).model;
    const bool classifies = model.kind == "sns" && parse_path(method.sampling.path).noises_past();
    const int denoiser = model.diffusion.levels;
    return {fmt::format("{}{} denoiser evaluations", classifies ? "1 classification, at least " : "", denoiser),
            (denoiser + (classifies ? kClassification : 0)) * seconds(*method.generator)};
  }
  const double surrogate = seconds(*method.emulator);
  const std::string once = "1 surrogate evaluation";
  if (!method.refiner) return {once, surrogate};
  const double diffusion = seconds(*method.refiner), every = static_cast<double>(method.every);
  const std::string in_steps = method.every == 1 ? ", " : fmt::format("; in one of {} steps ", method.every);
  if (find_model(models, *method.refiner).model.kind == "thermalizer") {
    if (method.sampling.start_level.value_or(0) >= 0)
      return {once + in_steps + "1 classification, denoiser evaluations where a frame looks noisy",
              surrogate + kClassification * diffusion / every};
    const int denoiser = method.sampling.rule == "inclusive" ? 1 : 0;  // of frames at level 0
    return {once + in_steps + fmt::format("1 classification, {} or more denoiser evaluations", denoiser),
            surrogate + (kClassification + denoiser) * diffusion / every};
  }
  // The reverse steps of frames at the floor: one more than its level under the inclusive rule; none where a
  // threshold or a gate may leave all frames alone.
  const bool always = method.sampling.threshold < 0 && method.sampling.gate == "either";
  const int step = method.sampling.rule == "inclusive" ? 0 : 1;
  Levels first = {method.sampling.level_floor, method.sampling.level_floor};
  if (const auto& fixed = method.sampling.fixed_levels;
      !fixed.empty() && method.sampling.fixed_share == 1)  // else level 0
    first = {fixed[0], fixed[1]};
  const int levels = find_model(models, *method.refiner).model.diffusion.levels;
  const auto denoiser =
      always ? std::ssize(
                   parse_path(method.sampling.path).moves({first.past - step, first.present - step}, levels, 0))
             : 0;
  return {once + in_steps + fmt::format("1 classification, {} or more denoiser evaluations", denoiser),
          surrogate + (kClassification + static_cast<double>(denoiser)) * diffusion / every};
}

/// The same of a method that is a solver, from the time that a few frames of a quiet state take.
std::pair<std::string, double> cost_of(const SolverMethod& method) {
  const auto solver = method.source.make(1);
  const std::vector<double> quiet(solver->state_size(), 0.0);
  const double seconds = least_time([&] {
    solver->set_state(
        0, quiet);  // the force would drive it until the time step is too long, and nothing is computed
    solver->advance(method.steps_per_frame);
    solver->check_members();  // a GPU may not have done the steps before
  });
  const SolverInfo& info = solver->info();
  return {fmt::format("{0} of {1} on {2} x {2} points", counted(method.steps_per_frame, "solver step"),
                      time_text(info.dt, info), info.axes.front().coordinates.size()),
          seconds};
}

/// The solver's runs that rollouts are compared with, and whose frames the oracle takes.
void cost_of_truth(const RolloutConfig& rollout, const FrameSize& frames, const DatagenPlan& data,
                   double solver_speed, ExperimentCost& cost) {
  const int runs = rollout.initial_conditions() + rollout.floor_members;
  const double steps = static_cast<double>(data.spinup_steps + rollout.steps * data.steps_per_frame) * runs;
  StageCost truth{"truth", steps / solver_speed,
                  static_cast<double>(rollout_bytes(rollout.steps, runs, frames.channels, frames.points))};
  cost.lines.emplace_back(
      "truth", fmt::format("{} of {} frames, about {}, {} on disk", counted(runs, "solver run"),
                           rollout.steps + 1, human_time(truth.seconds), human_bytes(truth.disk_bytes)));
  cost.stages.push_back(std::move(truth));
}

/// Of the frames of all methods, of truth, its floor and forecasts without dynamics.
double evaluation_seconds(const RolloutConfig& rollout, const FrameSize& frames, int threads) {
  constexpr double kPerValue = 5e-8;  // measured on one core, 32 x 32 points: spectra, distributions, C(tau)
  const double trajectories =
      static_cast<double>(rollout.methods.size() + 4) * rollout.members + rollout.floor_members;
  const double values = static_cast<double>(frames.channels) * frames.points * frames.points;
  return trajectories * static_cast<double>(rollout.steps) * values * kPerValue / threads;
}

}  // namespace

ExperimentBlocks read_experiment_blocks(const Config& config) {
  Section root = config.root();
  EvaluateConfig evaluate;
  Section evaluate_section = root.child("evaluate");
  read(evaluate_section, evaluate);
  FigureConfig figure;
  Section figure_section = root.child("figure");
  read(figure_section, figure);
  ExperimentBlocks blocks;
  root.maybe("retrain", blocks.retrain);
  if (root.has("models")) blocks.models = read_models(config);
  if (root.has("rollout"))
    blocks.rollout = read_rollout(root.child("rollout"), blocks.models, root.child("solver"));
  if (auto oracle = root.maybe_child("oracle")) blocks.oracle = read_oracle(*oracle, blocks.models);
  VideoConfig video;
  Section video_section = root.child("video");
  read(video_section, video);
  return blocks;
}

std::string human_time(double seconds) {
  if (seconds < 120) return fmt::format("{:.0f} s", seconds);
  if (seconds < 7200) return fmt::format("{:.0f} min", seconds / 60);
  if (seconds < 48 * 3600) return fmt::format("{:.1f} h", seconds / 3600);
  return fmt::format("{:.0f} days", seconds / 86400);
}

std::string total_text(const std::vector<StageCost>& stages) {
  static const std::vector<std::pair<std::string, std::string>> kinds = {
      {"dataset", "data set"},   {"truth", "truth"},   {"train", "training"},     {"rollout", "rollouts"},
      {"ensemble", "ensembles"}, {"oracle", "oracle"}, {"evaluate", "evaluation"}};
  double seconds = 0, disk = 0;
  std::map<std::string, double> of_kind;
  for (const StageCost& stage : stages) {
    seconds += stage.seconds;
    disk += stage.disk_bytes;
    of_kind[stage.stage.substr(0, stage.stage.find('/'))] += stage.seconds;
  }
  std::string parts;
  for (const auto& [kind, word] : kinds)
    if (const auto found = of_kind.find(kind); found != of_kind.end())
      parts += fmt::format("{}{} {}", parts.empty() ? ": " : ", ", word, human_time(found->second));
  return fmt::format("about {} and {}{}", human_time(seconds), human_bytes(disk), parts);
}

namespace {

/// ConfigError for figures and videos of what the rollouts do not have.
void require_shown(const Config& config, const RolloutConfig& rollout, bool oracle) {
  Section root = config.root(), figure_section = root.child("figure"), video_section = root.child("video");
  FigureConfig figure;
  read(figure_section, figure);
  VideoConfig video;
  read(video_section, video);
  require_shown(figure_section, figure, video_section, video, rollout.steps, rollout.members,
                method_names(rollout));
  require_drawable(figure, method_names(rollout), oracle, config.file());
}

}  // namespace

ExperimentCost describe_experiment(const Config& config, const RunConfig& run, const SolverInfo& solver,
                                   const DatagenPlan& data, double solver_speed, TrainingMemory& memory) {
  const FrameSize frames{static_cast<int>(solver.fields.size()),
                         static_cast<int>(coarse_axes(solver, data.coarsen).front().coordinates.size())};
  auto [models, rollout_block, oracle, retrain] = read_experiment_blocks(config);
  if (models.empty() && !rollout_block) return {};
  require_same_force(models, solver);
  if (rollout_block) {
    Experiment::require_unseen_truth(data);
    require_shown(config, *rollout_block, oracle.has_value());
  }
  const std::vector<MethodConfig> methods =
      rollout_block ? rollout_block->methods : std::vector<MethodConfig>();
  for (const ModelSpec& model : models)
    if (uses(model.name, rollout_block, oracle)) require_trainable(model, data, retrain);
  require_measurable(models, methods, data, retrain, config.file());
  if (!retrain) {
    require_shipped_weights(models, methods, oracle, config.file());
    for (const ModelSpec& model : models)
      if (model.weights) check_shipped(model, solver, data, shipped_folder(model, config.file()));
  }

  prepare_torch(run.threads);
  const torch::Device device = pick_device(run.device);
  const std::string place = device.is_cuda() ? device.str() : "this CPU";
  const std::string solver_place = solver.backend == "fftw" ? "this CPU" : place;
  ExperimentCost cost;
  Lines& lines = cost.lines;
  for (ModelSpec& model : models) {
    model.model.field_channels = frames.channels;
    model.model.image = frames.points;
  }
  NetworkCosts costs(models, device);
  const auto unused = model_keys_without_effect(config);
  bool reads_dataset = false;
  for (const ModelSpec& model : models) {
    const bool given = model.weights && !retrain;
    const double held = bytes_of_frames(model, frames, static_cast<double>(dataset_bytes(data, solver)));
    std::optional<MemoryText> memory_text;
    if (!given) {
      const TensorMemory taken = memory.of(model);
      memory_text = {(taken.or_more ? "more than " : "") + human_bytes(taken.bytes), {}};
      if (device.is_cpu()) memory_text->doubt = memory_doubt(model.training, taken, held, memory.available());
      if (taken.bytes > cost.training_bytes) {
        cost.training_bytes = taken.bytes;
        cost.training_memory = fmt::format("{} in the training of {}", memory_text->taken, model.name);
      }
      if (!memory_text->doubt.empty()) cost.doubts.push_back(model.name + ": " + memory_text->doubt);
    }
    const double seconds = describe_model(model, costs.of(model.name), place, memory_text, lines);
    const bool is_used = uses(model.name, rollout_block, oracle);
    if (given && is_used) cost.retrain_seconds.emplace(model.name, seconds);
    if (!given && is_used) {
      cost.stages.push_back({"train/" + model.name, seconds, 0});
      reads_dataset = reads_dataset || model.training.data == "dataset";
    }
    for (const auto& [name, keys] : unused)
      if (name == model.name) lines.emplace_back("  not used", keys);
    if (model.training.data == "stream") describe_stream(model.training.stream, held, lines);
  }
  if (oracle) {
    const int levels = std::min(oracle->past_levels, oracle->levels);
    const double evaluations = static_cast<double>(oracle->trajectories) * oracle->times * levels;
    const double seconds = evaluations * costs.of(oracle->model).seconds;
    lines.emplace_back("oracle", fmt::format("{:.0f} denoiser evaluations, about {} on {}", evaluations,
                                             human_time(seconds), place));
    cost.stages.push_back({"oracle", seconds, 0});
  }
  if (reads_dataset)
    cost.stages.push_back(
        {"dataset", static_cast<double>(data.step_of(data.records() - 1) * data.trajectories()) / solver_speed,
         static_cast<double>(dataset_bytes(data, solver))});
  const RolloutConfig rollout = rollout_block.value_or(RolloutConfig());
  for (const MethodConfig& method : rollout.methods) {
    const auto [evaluations, seconds] = method.solver ? cost_of(read_solver_method(method, run, solver, data))
                                                      : cost_of(method, rollout, models, costs);
    const double samples = static_cast<double>(rollout.steps) * rollout.members;
    StageCost stage{
        "rollout/" + method.name, samples * seconds,
        static_cast<double>(rollout_bytes(rollout.steps, rollout.members, frames.channels, frames.points))};
    lines.emplace_back(
        "rollout." + method.name,
        fmt::format("{} steps of {}, per step and member {}; about {} on {}, {} on disk", rollout.steps,
                    counted(rollout.members, "member"), evaluations, human_time(stage.seconds),
                    method.solver ? solver_place : place, human_bytes(stage.disk_bytes)));
    cost.stages.push_back(std::move(stage));
    if (rollout.ensemble) {
      const std::int64_t members = static_cast<std::int64_t>(rollout.members) * rollout.ensemble->members;
      StageCost ensemble{
          "ensemble/" + method.name, static_cast<double>(rollout.ensemble->steps * members) * seconds,
          static_cast<double>(rollout_bytes(rollout.ensemble->steps, members, frames.channels, frames.points))};
      lines.emplace_back(
          "  ensemble",
          fmt::format("{} steps of {} x {} members; about {} on {}, {} on disk", rollout.ensemble->steps,
                      rollout.members, rollout.ensemble->members, human_time(ensemble.seconds),
                      method.solver ? solver_place : place, human_bytes(ensemble.disk_bytes)));
      cost.stages.push_back(std::move(ensemble));
    }
    if (!method.without_effect.empty()) lines.emplace_back("  not used", method.without_effect);
    for (const std::string& doubt : {method.beyond_training, method.hardly_refines})
      if (!doubt.empty()) lines.emplace_back("  doubtful", doubt);
  }
  if (rollout_block || oracle) cost_of_truth(rollout, frames, data, solver_speed, cost);
  if (!rollout.methods.empty()) {
    cost.stages.push_back({"evaluate", evaluation_seconds(rollout, frames, run.threads), 0, false});
    lines.emplace_back("evaluation",
                       fmt::format("about {} on this CPU", human_time(cost.stages.back().seconds)));
  }
  double retraining = 0;
  for (const auto& [model, seconds] : cost.retrain_seconds) retraining += seconds;
  lines.emplace_back("in all", total_text(cost.stages));
  if (retraining > 0)
    lines.emplace_back("  retrain=true", fmt::format("adds about {}", human_time(retraining)));
  return cost;
}

}  // namespace sns
