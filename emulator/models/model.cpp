#include "emulator/models/model.hpp"

#include "core/error.hpp"
#include "core/files.hpp"
#include "core/log.hpp"
#include "emulator/device.hpp"
#include "emulator/models/acdm.hpp"
#include "emulator/models/gaussian.hpp"
#include "emulator/models/sns.hpp"
#include "emulator/models/thermalizer.hpp"
#include "emulator/safetensors.hpp"

#include <ATen/Functions.h>
#include <c10/core/GradMode.h>

#include <set>

namespace sns {
namespace {

std::string text(at::IntArrayRef shape) {
  std::string out;
  for (const auto n : shape) out += (out.empty() ? "" : ", ") + std::to_string(n);
  return "[" + out + "]";
}

/// "a, b, c and 4 more"
std::string first_few(const std::vector<std::string>& items) {
  constexpr std::size_t kShown = 3;
  std::string out;
  for (std::size_t i = 0; i < std::min(kShown, items.size()); ++i) out += (i ? ", " : "") + items[i];
  if (items.size() > kShown) out += fmt::format(" and {} more", items.size() - kShown);
  return out;
}

/// Error unless the file holds exactly the module's parameters, by name and shape.
void require_same_parameters(const torch::nn::Module& module, const SafeTensors& tensors) {
  std::vector<std::string> missing, misshapen, unexpected;
  std::set<std::string> known;
  for (const auto& item : module.named_parameters()) {
    known.insert(item.key());
    if (!tensors.contains(item.key())) {
      missing.push_back(item.key());
    } else if (const auto shape = tensors.shape(item.key()); item.value().sizes() != at::IntArrayRef(shape)) {
      misshapen.push_back(
          fmt::format("{} is {}, the network has {}", item.key(), text(shape), text(item.value().sizes())));
    }
  }
  for (const auto& name : tensors.names())
    if (!known.contains(name)) unexpected.push_back(name);
  std::string problems;
  const auto report = [&](const char* what, const std::vector<std::string>& items) {
    if (!items.empty()) problems += fmt::format("; {} {}: {}", items.size(), what, first_few(items));
  };
  report("mis-shaped", misshapen);
  report("missing", missing);
  report("unexpected", unexpected);
  require(problems.empty(), "{}: weights of another architecture{}", tensors.path().string(), problems);
}

/// A file of a weights folder; Error if it is missing.
std::filesystem::path file_of(const std::filesystem::path& folder, const char* name) {
  require(std::filesystem::exists(folder / name), "{}: not a folder of weights, {} is missing", folder.string(),
          name);
  return folder / name;
}

/// The file of one set of a folder's weights; Error if it is missing, which says so where the other set is
/// there.
std::filesystem::path weights_file(const std::filesystem::path& folder, Weights which) {
  const bool raw = which == Weights::raw;
  const char* const other = file_name(raw ? Weights::ema : Weights::raw);
  if (!std::filesystem::exists(folder / file_name(which)) && std::filesystem::exists(folder / other))
    fail("{}: {} is missing, {} is there: use the {} weights", folder.string(), file_name(which), other,
         raw ? "ema" : "raw");
  return file_of(folder, file_name(which));
}

}  // namespace

Model::Model(ModelConfig config, torch::Device device) : config_(std::move(config)), device_(device) {
  config_.field_std = field_std_per_channel(config_);
}

const std::vector<double>& Model::field_std() const {
  require(!config_.field_std.empty(),
          "the model's field_std is not known; train it, or set models.<name>.field_std");
  return config_.field_std;
}

torch::Tensor Model::scale(std::int64_t frames) const {
  return at::tensor(field_std(), torch::kFloat64)
      .to(torch::kFloat32)
      .repeat({frames})
      .view({1, -1, 1, 1})
      .to(device_);
}

void Model::use_for(const Inference& inference) {
  if (inference.precision == torch::kBFloat16) require_bfloat16(device_);
  inference_ = inference;
  network().eval();
  network().to(inference.precision);
  recorded_.reset();  // with the weights of before
  if (!inference.graphs || !device_.is_cuda()) return;
  std::string why;
  if (GraphRecorder* const recorder = cuda_graph_recorder(why))
    recorded_ = std::make_shared<RecordedNetworks>(*recorder);
  else
    log::warn("networks run without CUDA graphs: {}", why);
}

torch::Tensor Model::evaluate(const std::string& name, const Network& network, const torch::Tensor& x,
                              const torch::Tensor& condition) const {
  // In a frame that is rounded to bfloat16, empty scales are not empty any more: what whitens it rounds later.
  const auto of_input = config_.network.whitened ? torch::kFloat32 : inference_.precision;
  const Network in_precision = [&](const torch::Tensor& rows, const torch::Tensor& of_rows) {
    return network(rows.to(of_input), of_rows).to(torch::kFloat32);
  };
  const auto once = [&](const torch::Tensor& rows, const torch::Tensor& of_rows) {
    return recorded_ ? (*recorded_)(name, in_precision, rows, of_rows) : in_precision(rows, of_rows);
  };
  if (!inference_.one_by_one) return once(x, condition);
  std::vector<torch::Tensor> out;
  for (std::int64_t b = 0; b < x.size(0); ++b)
    out.push_back(once(x.narrow(0, b, 1), condition.defined() ? condition.narrow(0, b, 1) : condition));
  return at::cat(out);
}

std::unique_ptr<Model> make_model(const ModelConfig& config, std::optional<std::uint64_t> seed,
                                  torch::Device device) {
  if (config.kind == "gaussian") return std::make_unique<GaussianEmulator>(config, seed, device);
  if (config.kind == "sns") return std::make_unique<Sns>(config, seed, device);
  if (config.kind == "thermalizer") return std::make_unique<Thermalizer>(config, seed, device);
  if (config.kind == "acdm") return std::make_unique<Acdm>(config, seed, device);
  fail<ConfigError>("model kind is '{}'; allowed are gaussian, sns, thermalizer, acdm", config.kind);
}

std::unique_ptr<Model> load_model(const std::filesystem::path& folder, Weights weights, torch::Device device) {
  const auto config = file_of(folder, "config.yaml"), file = weights_file(folder, weights);
  for (const auto& used : {config, file}) require_as_listed(folder, used.filename().string());
  auto model = make_model(load_model_config(config), std::nullopt, device);
  load_weights(model->network(), file);
  return model;
}

void check_model(const std::filesystem::path& folder) {
  const auto model = make_model(load_model_config(file_of(folder, "config.yaml")), std::nullopt, torch::kCPU);
  require_same_parameters(model->network(), SafeTensors(file_of(folder, file_name(Weights::ema))));
  if (const auto raw = folder / file_name(Weights::raw); std::filesystem::exists(raw))
    require_same_parameters(model->network(), SafeTensors(raw));
}

template <class T>
std::unique_ptr<T> load_model_as(const std::filesystem::path& folder, Weights weights, torch::Device device) {
  std::unique_ptr<Model> model = load_model(folder, weights, device);
  T* const typed = dynamic_cast<T*>(model.get());
  require(typed != nullptr, "{}: holds a model of kind '{}', which cannot be used here", folder.string(),
          model->config().kind);
  model.release();
  return std::unique_ptr<T>(typed);
}
template std::unique_ptr<GaussianEmulator> load_model_as<GaussianEmulator>(const std::filesystem::path&,
                                                                           Weights, torch::Device);
template std::unique_ptr<Sns> load_model_as<Sns>(const std::filesystem::path&, Weights, torch::Device);
template std::unique_ptr<Thermalizer> load_model_as<Thermalizer>(const std::filesystem::path&, Weights,
                                                                 torch::Device);
template std::unique_ptr<DiffusionModel> load_model_as<DiffusionModel>(const std::filesystem::path&, Weights,
                                                                       torch::Device);
template std::unique_ptr<Acdm> load_model_as<Acdm>(const std::filesystem::path&, Weights, torch::Device);

bool all_finite(const torch::Tensor& tensor) {
  return tensor.isfinite().all().item<bool>();
}

void load_weights(torch::nn::Module& module, const std::filesystem::path& file) {
  const SafeTensors tensors(file);
  require_same_parameters(module, tensors);
  std::vector<std::string> not_numbers;
  for (const auto& name : tensors.names())
    if (const auto tensor = tensors.tensor(name);
        !tensor.is_floating_point() || !all_finite(tensor.to(torch::kFloat32)))
      not_numbers.push_back(name);
  require(not_numbers.empty(), "{}: {} of {} tensors are not of finite floating-point numbers: {}",
          file.string(), not_numbers.size(), tensors.names().size(), first_few(not_numbers));
  c10::AutoGradMode no_grad(false);
  for (auto& item : module.named_parameters()) item.value().copy_(tensors.tensor(item.key()));
}

void save_weights(const torch::nn::Module& module, const std::filesystem::path& file) {
  NamedTensors tensors;
  for (const auto& item : module.named_parameters()) tensors.emplace_back(item.key(), item.value().detach());
  save_safetensors(file, tensors);
}

void save_model_config(const ModelConfig& config, const std::filesystem::path& folder) {
  write_text(folder / "config.yaml", to_yaml(config));
}

}  // namespace sns
