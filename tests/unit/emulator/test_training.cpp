#include "tests/support/torch_doctest.hpp"

#include "core/error.hpp"
#include "core/files.hpp"
#include "core/stop.hpp"
#include "emulator/models/gaussian.hpp"
#include "emulator/models/model.hpp"
#include "emulator/models/sns.hpp"
#include "emulator/safetensors.hpp"
#include "emulator/training/checkpoint.hpp"
#include "emulator/training/gaussian_task.hpp"
#include "emulator/training/one_level_task.hpp"
#include "emulator/training/precision.hpp"
#include "emulator/training/sns_task.hpp"
#include "emulator/training/trainer.hpp"
#include "emulator/training/unused_keys.hpp"
#include "tests/support/scratch.hpp"
#include "tests/support/small_training.hpp"
#include "tests/support/synthetic_dataset.hpp"

#include <ATen/Context.h>

#include <sstream>

using namespace sns;
using namespace sns::test;

TEST_CASE("training lowers the loss and leaves a loadable weights folder") {
  for (const std::string kind : {"gaussian", "sns", "thermalizer", "acdm"}) {
    CAPTURE(kind);
    ScratchFolder scratch;
    write_synthetic_dataset(scratch / "dataset");
    auto spec = small_spec(kind);
    spec.training.steps = 150;
    spec.training.ema = 0.9;
    const auto folder = scratch / "model";
    const auto result = train_model(spec, scratch / "dataset", folder, cpu_run());
    CHECK(result.steps == 150);
    CHECK(result.parameters > 0);
    CHECK(result.images_per_second > 0);
    if (kind == "gaussian") {
      CHECK(metric(result.validation, "ratio") < 0.7);  // persistence has ratio 1; an untrained net about 1.0
      CHECK(metric(result.validation, "residual_rms") > 0.05);
    } else if (kind != "sns") {
      CHECK(metric(result.validation, "eps_mse_11-19") < 0.95);
      if (kind == "thermalizer") CHECK(metric(result.validation, "head_error_0") >= 0);
    } else {
      CHECK(metric(result.validation, "eps_mse_past_11-19") < 0.95);  // 1: no knowledge of the noise
      CHECK(metric(result.validation, "head_error_present_0") >= 0);
    }
    const auto model = load_model(folder, Weights::raw, torch::kCPU),
               averaged = load_model(folder, Weights::ema, torch::kCPU);
    CHECK(model->field_std() == std::vector<double>{2.0});
    CHECK(model->config().image == 8);
    CHECK(model->config().frame_interval == test::relative(0.25));
    CHECK(model->config().data_hash.size() == 64);
    CHECK_FALSE(torch::equal(model->network().parameters()[0], averaged->network().parameters()[0]));
    CHECK(std::filesystem::exists(folder / fmt::format("best-{}", result.best_step) / "ema.safetensors"));
    const auto card = read_text(folder / "model_card.md");
    CHECK(contains(card, model->config().data_hash));
    CHECK(contains(card, fmt::format("| parameters | {} |", result.parameters)));
    CHECK(contains(card, "| seed | 7 |"));
    // A finished run is not trained again.
    const auto again = train_model(spec, scratch / "dataset", folder, cpu_run());
    CHECK(again.images_per_second == 0);
    CHECK(again.validation == result.validation);
    // Weights that were lost are written again from the last checkpoint.
    const std::string before = sha256_file(folder / "ema.safetensors");
    std::filesystem::remove(folder / "ema.safetensors");
    CHECK(train_model(spec, scratch / "dataset", folder, cpu_run()).images_per_second == 0);
    CHECK(sha256_file(folder / "ema.safetensors") == before);
    // What was said of other weights goes.
    std::filesystem::remove(folder / "ema.safetensors");
    std::filesystem::copy_file(folder / "model.safetensors", folder / "ema.safetensors");
    write_text(folder / "model_card.md", "of other weights");
    write_text(folder / "SHA256SUMS", "of other weights");
    CHECK(train_model(spec, scratch / "dataset", folder, cpu_run()).images_per_second == 0);
    CHECK(sha256_file(folder / "ema.safetensors") == before);
    CHECK(contains(read_text(folder / "model_card.md"), model->config().data_hash));
    CHECK_FALSE(std::filesystem::exists(folder / "SHA256SUMS"));
  }
}

TEST_CASE("a stopped and resumed run is bit-identical to an undisturbed one") {
  for (const std::string kind : {"gaussian", "sns", "thermalizer", "acdm"}) {
    CAPTURE(kind);
    ScratchFolder scratch;
    write_synthetic_dataset(scratch / "dataset");
    auto spec = small_spec(kind);
    spec.training.rollout = {.max_length = 2, .steps_per_length = 12, .noise = 0.01};
    spec.training.accumulate = 2;
    train_model(spec, scratch / "dataset", scratch / "whole", cpu_run());

    reset_stop();
    request_stop();
    CHECK_THROWS_AS(train_model(spec, scratch / "dataset", scratch / "parts", cpu_run()), Stopped);
    reset_stop();
    // Cut off in the middle: fewer steps are the same run as far as they go (constant identity), then go on.
    auto part = spec;
    part.training.steps = 17;
    train_model(part, scratch / "dataset", scratch / "parts", cpu_run());
    train_model(spec, scratch / "dataset", scratch / "parts", cpu_run());
    for (const char* file : {"model.safetensors", "ema.safetensors"}) {
      CHECK(sha256_file(scratch / "whole" / file) == sha256_file(scratch / "parts" / file));
    }
    // The short part validated at its own end, step 17; nothing else differs.
    std::istringstream lines(loss_curve(scratch / "parts"));
    std::string curve, line;
    while (std::getline(lines, line)) {
      if (!(contains(line, "validation") && contains(line, "\"step\":17"))) curve += line + "\n";
    }
    CHECK(curve == loss_curve(scratch / "whole"));
  }
}

TEST_CASE("another configuration does not continue a run") {
  ScratchFolder scratch;
  write_synthetic_dataset(scratch / "dataset");
  auto spec = small_spec("gaussian");
  spec.training.steps = 3;
  train_model(spec, scratch / "dataset", scratch / "model", cpu_run());
  auto other = spec;
  other.training.weight_decay = 0.2;
  const auto message =
      message_of<ConfigError>([&] { train_model(other, scratch / "dataset", scratch / "model", cpu_run()); });
  CHECK(contains(message, "another configuration"));
  CHECK(contains(message, "wd 0.2"));
  TrainOptions anew;
  anew.resume = false;
  CHECK(train_model(other, scratch / "dataset", scratch / "model", cpu_run(), anew).steps == 3);
}

TEST_CASE("the best weights need validation frames") {
  ScratchFolder scratch;
  write_synthetic_dataset(scratch / "dataset");
  std::filesystem::remove_all(scratch / "dataset" / "data" / "valid");
  auto spec = small_spec("gaussian");
  spec.training.select = "best";
  const auto message =
      message_of<ConfigError>([&] { train_model(spec, scratch / "dataset", scratch / "model", cpu_run()); });
  CHECK(contains(message, "training.select: best needs validation frames"));
}

TEST_CASE("a folder that was trained for longer is not taken for one that was trained as long as is asked") {
  ScratchFolder scratch;
  write_synthetic_dataset(scratch / "dataset");
  auto spec = small_spec("gaussian");
  spec.training.schedule.name = "step";  // the length of the run has no part in what is learned
  spec.training.steps = 5;
  train_model(spec, scratch / "dataset", scratch / "model", cpu_run());
  spec.training.steps = 3;
  const auto message =
      message_of<ConfigError>([&] { train_model(spec, scratch / "dataset", scratch / "model", cpu_run()); });
  CHECK(contains(message, "trained for 5 steps"));
  CHECK(contains(message, "--resume never"));
}

TEST_CASE("training that stays non-finite gives up with one line and keeps its checkpoint") {
  ScratchFolder scratch;
  write_synthetic_dataset(scratch / "dataset");
  auto spec = small_spec("gaussian");
  spec.training.learning_rate = 1e30;
  const auto message =
      message_of([&] { train_model(spec, scratch / "dataset", scratch / "model", cpu_run()); });
  CHECK(contains(message, "not finite"));
  CHECK(contains(message, "learning_rate"));
  CHECK(std::filesystem::exists(scratch / "model" / "checkpoints" / "last" / "state.json"));
}

TEST_CASE("SNS with a clean past learns the noise of the present frame only") {
  ScratchFolder scratch;
  write_synthetic_dataset(scratch / "dataset");
  auto spec = small_spec("sns");
  spec.training.levels.past = "clean";
  const auto info = describe_dataset(scratch / "dataset");
  const DataSplit training(info, "train", info.field_std);
  spec.model.image = 8;
  Sns model(spec.model, 1, torch::kCPU);
  SnsTask task(model, spec.training, training, nullptr, 7);
  auto batch = task.make_batch(2, 2, 0);
  CHECK(batch.levels.select(1, 0).eq(Levels::kClean).all().item<bool>());
  CHECK(batch.levels.select(1, 1).max().item<std::int64_t>() > 0);
  const auto loss = task.loss(batch);
  CHECK(loss.reported.size() == 2);
  CHECK(loss.reported[1].first == "ce_present");
  batch.noise.select(1, 0).fill_(5);
  CHECK(task.loss(batch).total.item<double>() == loss.total.item<double>());
  batch.noise.select(1, 1).mul_(2);
  CHECK(task.loss(batch).total.item<double>() != loss.total.item<double>());

  const auto result = train_model(spec, scratch / "dataset", scratch / "model", cpu_run());
  bool past = false, present = false;
  for (const auto& [name, value] : result.validation) {
    past |= contains(name, "past");
    present |= contains(name, "eps_mse_present");
  }
  CHECK_FALSE(past);
  CHECK(present);
  CHECK(contains(training_identity(spec.training, 0), "past clean"));
  CHECK(load_model_config(scratch / "model" / "config.yaml").trained_past == "clean");
}

TEST_CASE("SNS with mixed pasts sees a clean one in every second sample") {
  ScratchFolder scratch;
  write_synthetic_dataset(scratch / "dataset");
  auto spec = small_spec("sns");
  spec.training.levels.past = "mixed";
  spec.training.validation_samples = 64;
  const auto info = describe_dataset(scratch / "dataset");
  const DataSplit training(info, "train", info.field_std), validation(info, "valid", info.field_std);
  spec.model.image = 8;
  Sns model(spec.model, 1, torch::kCPU);
  SnsTask task(model, spec.training, training, &validation, 7);
  auto batch = task.make_batch(2, 2, 0);
  for (std::int64_t b = 0; b < spec.training.batch; ++b) {
    CAPTURE(b);
    CHECK((batch.levels[b][0].item<int>() == Levels::kClean) == (b % 2 == 1));
    CHECK(batch.levels[b][1].item<int>() >= 0);
  }
  const auto loss = [&] { return task.loss(batch).total.item<double>(); };
  const double before = loss();
  batch.noise[1][0].fill_(5);  // of a clean past: not used
  CHECK(loss() == before);
  batch.noise[0][0].mul_(2);
  CHECK(loss() != before);

  // Validation is that of noised pasts, and the same present frames beside clean ones; its loss has both kinds.
  const Metrics mixed = task.validate();
  spec.training.levels.past = "noised";
  const Metrics noised = SnsTask(model, spec.training, training, &validation, 7).validate();
  int compared = 0, of_their_own = 0;
  for (const auto& [name, value] : mixed) {
    CAPTURE(name);
    if (contains(name, "beside_clean")) {
      ++of_their_own;
      if (contains(name, "eps_mse"))
        CHECK(value != metric(noised, "eps_mse_present_" + name.substr(name.rfind('_') + 1)));
    } else if (contains(name, "eps_mse") || contains(name, "head_error")) {
      ++compared;
      CHECK(value == metric(noised, name));
    }
  }
  CHECK(compared == 20);  // five bands, two frames, error and head
  CHECK(of_their_own == 10);
  CHECK(metric(mixed, "loss") != metric(noised, "loss"));
  CHECK(metric(mixed, "ce_past") != metric(noised, "ce_past"));
  spec.training.levels.past = "mixed";

  const auto result = train_model(spec, scratch / "dataset", scratch / "model", cpu_run());
  CHECK(contains(training_identity(spec.training, 0), "past mixed"));
  const ModelConfig written = load_model_config(scratch / "model" / "config.yaml");
  CHECK(written.trained_past == "mixed");
  // Noised pasts are no error, as they are for a model that was trained beside clean ones alone.
  CHECK_NOTHROW(Sns(written, 1, torch::kCPU)
                    .clean_estimate(torch::zeros({1, 3, 8, 8}), torch::zeros({1, 2}, torch::kInt64)));
}

TEST_CASE("a noise head has not learned above 0.6 of what one has that does not look") {
  using Names = std::vector<std::string>;
  CHECK(heads_that_have_not_learned({{"ce_past", 1.19}, {"ce_present", 1.21}, {"ce_blind", 2.0}}) ==
        Names{"ce_present"});
  CHECK(heads_that_have_not_learned({{"ce", 1.19}, {"ce_blind", 2.0}}).empty());
  CHECK(heads_that_have_not_learned({{"ce", std::nan("")}, {"ce_blind", 2.0}}) == Names{"ce"});
  CHECK(heads_that_have_not_learned({{"ce_present", 0.1}, {"ce_blind", 0.0}}).empty());  // a single level
  CHECK(heads_that_have_not_learned({{"ce_past", 5.0}, {"mse", 1.0}}).empty());
}

TEST_CASE("bands of the validation end at the highest level that is trained") {
  const LevelConfig uniform, but_last{.sampling = "but_last"}, low{.sampling = "low", .max_level = 7};
  CHECK(highest_level(uniform, 20) == 19);
  CHECK(highest_level(but_last, 20) == 18);
  CHECK(highest_level(low, 20) == 7);
  ScratchFolder scratch;
  write_synthetic_dataset(scratch / "dataset");
  for (const std::string kind : {"sns", "acdm"}) {
    auto spec = small_spec(kind);
    spec.training.steps = 1;
    spec.training.validation_samples = 64;
    spec.training.levels.sampling = "but_last";
    const auto result = train_model(spec, scratch / "dataset", scratch / kind, cpu_run());
    CHECK(contains(to_json(result.validation), "_11-18\""));
  }
}

TEST_CASE("the validation loss of an emulator is that of the longest rollout, penalty included") {
  ScratchFolder scratch;
  write_synthetic_dataset(scratch.path());
  const auto info = describe_dataset(scratch.path());
  const DataSplit training(info, "train", info.field_std), validation(info, "valid", info.field_std);
  auto spec = small_spec("gaussian");
  spec.model.image = 8;
  spec.training.validation_samples = 1000;
  spec.training.rollout = {.max_length = 3, .noise = 0.5, .rms_penalty = 2, .rms_limit = 0.1};
  GaussianEmulator model(spec.model, 1, torch::kCPU);
  GaussianTask task(model, spec.training, training, &validation, 7);
  const Metrics metrics = task.validate();

  const std::int64_t windows = validation.windows(4);
  torch::Tensor frames = torch::empty({windows, 4, 1, 8, 8});
  for (std::int64_t w = 0; w < windows; ++w)
    validation.read_window(w, 4, {frames.data_ptr<float>() + w * 4 * 64, 4 * 64});
  const torch::NoGradGuard no_grad;
  const GaussianLoss loss = model.loss(frames, 3, {}, {.penalty = {2, 0.1}, .whitening = 0});
  const auto near = [&](const char* name, double value) {
    CAPTURE(name);
    CHECK(metric(metrics, name) == test::relative(value).epsilon(1e-5));
  };
  near("loss", loss.total.item<double>());
  near("mse", loss.mse.item<double>() / 3);
  near("rms_penalty", loss.penalty.item<double>() / 3);
  CHECK(loss.penalty.item<double>() > 0);
  near("one_step_rms", std::sqrt(model.loss(frames.narrow(1, 0, 2), 1).mse.item<double>()));
  near("residual_rms", std::sqrt((frames.select(1, 1) - frames.select(1, 0)).square().mean().item<double>()));

  // Whitened, in one batch, since the weights are the batch's.
  CHECK_THROWS(metric(metrics, "whitened"));
  spec.training.batch = static_cast<int>(windows);
  spec.training.rollout.whitening = 0.5;
  const GaussianLoss white = model.loss(frames, 3, {}, {.penalty = {2, 0.1}, .whitening = 0.5});
  const Metrics whitened = GaussianTask(model, spec.training, training, &validation, 7).validate();
  CHECK(metric(whitened, "whitened") == test::relative(white.error.item<double>() / 3).epsilon(1e-5));
  CHECK(metric(whitened, "loss") == test::relative(white.total.item<double>()).epsilon(1e-5));
  CHECK(metric(whitened, "mse") == test::relative(loss.mse.item<double>() / 3).epsilon(1e-5));
  CHECK(metric(whitened, "whitened") != metric(whitened, "mse"));
}

TEST_CASE("the validation loss is taken at levels as training draws them; bands have their own") {
  ScratchFolder scratch;
  write_synthetic_dataset(scratch.path());
  const auto info = describe_dataset(scratch.path());
  const DataSplit training(info, "train", info.field_std), validation(info, "valid", info.field_std);
  auto spec = small_spec("thermalizer");
  spec.model.image = 8;
  spec.training.batch = 100;
  spec.training.validation_samples = 2000;
  // A head that says "level 0" of everything, so surely that each frame costs 0 or about kSure.
  constexpr double kSure = 30;
  const auto silence = [](torch::nn::Module& network, const std::string& head) {
    const torch::NoGradGuard no_grad;
    auto parameters = network.named_parameters();
    parameters[head + ".linear2.weight"].zero_();
    parameters[head + ".linear2.bias"].zero_()[0] = kSure;
  };
  const LevelConfig uniform, low{.sampling = "low", .max_level = 9, .log_fraction = 1};
  for (const auto& [levels, chance] :
       {std::pair{uniform, 1 / 20.0}, std::pair{low, std::log(2.0) / std::log(11.0)}}) {
    CAPTURE(levels.sampling);
    spec.training.levels = levels;
    // Five standard deviations of a fraction of 2000 draws.
    const double spread = 5 * std::sqrt(chance * (1 - chance) / 2000);
    Thermalizer thermalizer(spec.model, 1, torch::kCPU);
    silence(thermalizer.network(), "regressor_block");
    const Metrics one = ThermalizerTask(thermalizer, spec.training, training, &validation, 7).validate();
    CHECK(std::abs(1 - metric(one, "ce") / kSure - chance) < spread);
    CHECK(metric(one, "ce_blind") == level_entropy(levels, 20));
    CHECK(metric(one, "loss") ==
          test::relative(metric(one, "mse") + spec.training.cross_entropy_weight * metric(one, "ce")));
    CHECK(metric(one, "head_error_0") == 0);
    CHECK(metric(one, "head_error_1-2") == test::relative(1.5).epsilon(0.1));

    auto both = spec;
    both.model.kind = "sns";
    Sns sns(both.model, 1, torch::kCPU);
    silence(sns.network(), "regressor_block_1");
    silence(sns.network(), "regressor_block_2");
    const Metrics two = SnsTask(sns, both.training, training, &validation, 7).validate();
    for (const char* name : {"ce_past", "ce_present"})
      CHECK(std::abs(1 - metric(two, name) / kSure - chance) < spread);
    CHECK(metric(two, "ce_blind") == level_entropy(levels, 20));
    CHECK(metric(two, "head_error_past_1-2") == test::relative(1.5).epsilon(0.1));
    CHECK(metric(two, "head_error_present_0") == 0);
  }
}

TEST_CASE("TF32 is off unless it is asked for, and what it was before afterwards") {
  const bool before = at::globalContext().allowTF32CuDNN();
  {
    const TensorFloat32 on(true);
    CHECK(at::globalContext().allowTF32CuDNN());
    CHECK(at::globalContext().allowTF32CuBLAS());
    const TensorFloat32 off(false);
    CHECK_FALSE(at::globalContext().allowTF32CuDNN());
    CHECK_FALSE(at::globalContext().allowTF32CuBLAS());
  }
  CHECK(at::globalContext().allowTF32CuDNN() == before);
  CHECK(precision_warning("training.precision", "float32", torch::kCPU).empty());
  CHECK(contains(precision_warning("rollout.precision", "tf32", torch::kCPU),
                 "rollout.precision: tf32 is float32 on the CPU"));
}

TEST_CASE("on the CPU tf32 gives the weights of float32, and the card says what was asked for") {
  ScratchFolder scratch;
  write_synthetic_dataset(scratch / "dataset");
  auto spec = small_spec("gaussian");
  spec.training.steps = 5;
  train_model(spec, scratch / "dataset", scratch / "float32", cpu_run());
  spec.training.precision = "tf32";
  train_model(spec, scratch / "dataset", scratch / "tf32", cpu_run());
  CHECK(sha256_file(scratch / "float32/model.safetensors") == sha256_file(scratch / "tf32/model.safetensors"));
  CHECK(contains(read_text(scratch / "tf32/model_card.md"), "| precision | tf32 |"));
}

TEST_CASE("the best weights that a checkpoint counts on outlive better ones that are lost with a restart") {
  bool lost = false;
  for (const std::uint64_t seed : {1, 2, 3, 4}) {
    CAPTURE(seed);
    ScratchFolder scratch;
    write_synthetic_dataset(scratch / "dataset");
    {
      // The square of the error overflows. The last frame is in few windows: every epoch comes upon it,
      // wherever it restarts.
      h5::File file = h5::File::open_edit(scratch / "dataset/data/train/waves_0.h5");
      const float huge = 1e38F;
      file.dataset("t0_fields/vorticity").write_slab<float>({0, 11, 0, 0}, {1, 1, 1, 1}, std::span(&huge, 1));
      file.close();
    }
    auto spec = small_spec("gaussian");
    spec.training.steps = 1000;
    spec.training.validate_every = 1;
    spec.training.checkpoint_every = 4;
    const auto folder = scratch / "model";
    CHECK(contains(message_of([&] { train_model(spec, scratch / "dataset", folder, cpu_run(seed)); }),
                   "not finite at step"));
    const auto last = read_training_state(folder / "checkpoints" / "last");
    if (last.best_step < 0) continue;  // it met the frame before anything could be best
    CHECK(std::filesystem::exists(folder / fmt::format("best-{}", last.best_step) / "ema.safetensors"));
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      const std::string name = entry.path().filename().string();
      lost |= name.starts_with("best-") && std::stoll(name.substr(5)) > last.step;
    }
  }
  CHECK(lost);  // otherwise nothing was tested
}

TEST_CASE("bfloat16 trains to nearly the same loss as float32") {
  ScratchFolder scratch;
  write_synthetic_dataset(scratch / "dataset");
  auto spec = small_spec("gaussian");
  const auto exact = train_model(spec, scratch / "dataset", scratch / "float32", cpu_run());
  spec.training.precision = "bfloat16";
  const auto trained = [&](double fraction) {
    spec.training.bf16_fraction = fraction;
    return train_model(spec, scratch / "dataset", scratch / fmt::format("bfloat16-{}", fraction), cpu_run());
  };
  const auto rough = trained(0.5);
  CHECK(metric(exact.validation, "loss") != metric(rough.validation, "loss"));
  // The rest of the steps is in float32.
  CHECK(metric(exact.validation, "loss") == metric(trained(0).validation, "loss"));
  CHECK(metric(trained(1).validation, "loss") != metric(rough.validation, "loss"));
  // bfloat16 keeps 8 bits: a per cent or so per layer.
  CHECK(metric(rough.validation, "loss") == test::relative(metric(exact.validation, "loss")).epsilon(0.1));
}

TEST_CASE("the training block is read strictly") {
  const auto models = [](const std::string& training) {
    return read_models(
        Config::parse("models: {m: {kind: sns, diffusion: {levels: 100}, training: " + training + "}}"));
  };
  const auto spec =
      models("{batch: 3, schedule: {name: cosine}, levels: {sampling: low, max_level: 30}, clip_norm: null}");
  REQUIRE(spec.size() == 1);
  CHECK(spec[0].training.batch == 3);
  CHECK(spec[0].training.ema == 0.999);
  CHECK(spec[0].training.levels.max_level == 30);
  CHECK_FALSE(spec[0].training.clip_norm.has_value());
  CHECK(contains(message_of<ConfigError>([&] { models("{levels: {sampling: low, max_level: 100}}"); }),
                 "max_level"));
  const auto gaussian = [](const std::string& rollout) {
    return read_models(Config::parse("models: {m: {kind: gaussian, training: {rollout: " + rollout + "}}}"))[0]
        .training.rollout;
  };
  CHECK(gaussian("{rms_penalty: 1, rms_limit: 1.5}").rms_penalty == 1);
  CHECK(gaussian("{rms_penalty: 1, rms_limit: 1.5}").rms_limit == 1.5);
  CHECK(gaussian("{}").rms_penalty == 0);
  CHECK(contains(message_of<ConfigError>([&] { gaussian("{rms_penalty: -1}"); }), "rms_penalty"));
  CHECK(contains(message_of<ConfigError>([&] { gaussian("{rms_limit: 0}"); }), "rms_limit"));
  CHECK(contains(message_of<ConfigError>([&] { gaussian("{whitening: 1.5}"); }), "whitening"));
  CHECK(gaussian("{whitening: 0.5}").whitening == 0.5);
  CHECK(contains(message_of<ConfigError>([&] { models("{schedule: {name: cosin}}"); }), "cosine"));
  CHECK(contains(message_of<ConfigError>([&] { models("{clip_norm: -1}"); }), "clip_norm"));
  CHECK(contains(message_of<ConfigError>([&] { find_model(spec, "n"); }), "have: m"));
  const auto stream = models("{data: stream, stream: {members: 5, frames: 7}}")[0].training;
  CHECK(stream.data == "stream");
  CHECK(stream.stream.members == 5);
  CHECK(stream.stream.frames == 7);
  CHECK(stream.stream.queue == 2);
  CHECK(contains(training_identity(stream, 0), "; stream 5 7 4"));
  CHECK_FALSE(contains(training_identity(spec[0].training, 0), "stream"));
  TrainingConfig white = spec[0].training;
  white.rollout.whitening = 0.5;
  CHECK(training_identity(white, 0) != training_identity(spec[0].training, 0));
  CHECK(contains(message_of<ConfigError>([&] { models("{data: strem}"); }), "stream"));
  CHECK(contains(message_of<ConfigError>([&] { models("{data: stream, stream: {members: 0}}"); }), "members"));
  CHECK(contains(message_of<ConfigError>([&] { models("{data: stream, stream: {frames: 1}}"); }), "frames"));
  CHECK(contains(message_of<ConfigError>([&] { models("{data: stream, stream: {queue: 0}}"); }), "queue"));
  CHECK(contains(message_of<ConfigError>([&] { models("{precision: float16}"); }), "tf32"));
  CHECK(contains(message_of<ConfigError>([&] { models("{levels: {past: dirty}}"); }), "clean"));
}

TEST_CASE("one key makes another kind of a model: keys of its former kind may stay and are named") {
  // Every key that some kind has and another has not.
  const std::string keys =
      "network: {hidden: 4, embedding: 16, head_features: 64, predicts: present, lag: {window: 5, embedding: "
      "8}}, "
      "diffusion: {levels: 20, schedule: geometric, noise_range: [0.01, 0.9], prediction: eps}, training: "
      "{steps: 3, cross_entropy_weight: "
      "0.2, "
      "rollout: {max_length: 2, steps_per_length: 5, noise: 0.1, rms_penalty: 1, rms_limit: 2, whitening: 1}, "
      "levels: {sampling: low, max_level: 9, log_fraction: 0.1, past: clean}}";
  const auto unused = [&](const std::string& kind, const std::string& more = "") {
    const Config config = Config::parse("models: {m: {kind: " + kind + ", " + keys + more + "}}");
    const auto specs = read_models(config);
    CHECK(specs.at(0).model.network.hidden == 4);
    CHECK(specs.at(0).training.steps == 3);
    const auto found = model_keys_without_effect(config);
    config.finish();
    REQUIRE(found.size() == 1);
    CHECK(found[0].first == "m");
    return found[0].second;
  };
  const std::string rollout =
      "training.rollout.max_length, training.rollout.steps_per_length, training.rollout.noise, "
      "training.rollout.rms_penalty, training.rollout.rms_limit, training.rollout.whitening";
  const std::string lag = "network.lag.window, network.lag.embedding";
  CHECK(unused("sns") == "network.predicts, " + rollout + " (no effect on a model of kind sns)");
  CHECK(unused("thermalizer") == "network.embedding, network.predicts, " + lag + ", " + rollout +
                                     ", training.levels.past (no effect on a model of kind thermalizer)");
  CHECK(unused("acdm") == "network.head_features, " + lag + ", training.cross_entropy_weight, " + rollout +
                              ", training.levels.past (no effect on a model of kind acdm)");
  CHECK(unused("gaussian") ==
        "network.embedding, network.head_features, network.predicts, " + lag +
            ", diffusion.levels, diffusion.schedule, diffusion.noise_range, diffusion.prediction, "
            "training.cross_entropy_weight, "
            "training.levels.sampling, training.levels.max_level, training.levels.log_fraction, "
            "training.levels.past (no effect on a model of kind gaussian)");
  // What no kind knows is refused, also beside keys that are set aside.
  const auto problem = [](const std::string& block) {
    return message_of<ConfigError>([&] {
      const Config config = Config::parse("models: {m: {kind: gaussian, " + block + "}}");
      read_models(config);
      config.finish();
    });
  };
  CHECK(contains(problem("network: {embeding: 16}"), "network.embeding is unknown"));
  CHECK(contains(problem("diffusion: {levels: 20, levelz: 3}"), "diffusion.levelz is unknown"));
  CHECK(contains(problem("network: {lag: {windows: 3}}"), "network.lag.windows is unknown"));
  CHECK(contains(problem("training: {levels: {past: clean, pst: clean}}"), "training.levels.pst is unknown"));
  CHECK(model_keys_without_effect(Config::parse("models: {m: {kind: gaussian}}")).empty());
  // An average that never leaves the initial weights.
  CHECK(contains(problem("training: {ema: 1}"), "below 1"));
}
