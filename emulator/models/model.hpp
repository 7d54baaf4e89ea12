#pragma once
#include "emulator/graphs.hpp"
#include "emulator/models/model_config.hpp"

#include <torch/nn/module.h>
#include <torch/types.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace sns {

/// How networks are evaluated where nothing is trained.
struct Inference {
  /// The samples of a batch one after the other: what a sample gets is then the same, bit for bit, in every
  /// batch, since kernels add up in an order that depends on the shape.
  bool one_by_one = false;
  /// Of weights and activations: float32 or bfloat16. Input and output are float32.
  torch::ScalarType precision = torch::kFloat32;
  /// On a CUDA device, every evaluation as one launch of a CUDA graph, recorded once for each size of batch
  /// (RecordedNetworks). Elsewhere, and where none can be recorded, which is said once: as always.
  bool graphs = false;
};

/// A trainable model: network + configuration + losses. Fields in and out are normalised (divided by
/// config().field_std).
class Model {
 public:
  virtual ~Model() = default;
  virtual torch::nn::Module& network() = 0;
  const ModelConfig& config() const { return config_; }
  torch::Device device() const { return device_; }
  /// Physical units -> network units: division by these, one per channel.
  const std::vector<double>& field_std() const;
  /// The same as a float32 tensor [1, frames * C, 1, 1] on the model's device, for `frames` frames side by
  /// side.
  torch::Tensor scale(std::int64_t frames = 1) const;
  /// From here on the model is not trained any more, and evaluated like this. Error where the device has no
  /// bfloat16 arithmetic.
  void use_for(const Inference& inference);

 protected:
  Model(ModelConfig config, torch::Device device);

  using Network = RecordedNetworks::Network;
  /// network(x, condition), as use_for() says: what every evaluation of a trained model goes through. x [B,
  /// ...]; condition [B] or undefined. `name` tells the networks of a model apart.
  torch::Tensor evaluate(const std::string& name, const Network& network, const torch::Tensor& x,
                         const torch::Tensor& condition = {}) const;

  ModelConfig config_;
  torch::Device device_;

 private:
  Inference inference_;
  std::shared_ptr<RecordedNetworks> recorded_;  ///< null: evaluations are not recorded
};

/// A new model with initial weights from `seed`, or without values: memory that is not even touched.
std::unique_ptr<Model> make_model(const ModelConfig& config, std::optional<std::uint64_t> seed,
                                  torch::Device device);
/// From a weights folder (config.yaml beside model.safetensors / ema.safetensors).
std::unique_ptr<Model> load_model(const std::filesystem::path& folder, Weights weights, torch::Device device);
/// As load_model, for a folder that must hold this kind: load_model<Sns>(folder, ...). Error otherwise.
template <class T>
std::unique_ptr<T> load_model_as(const std::filesystem::path& folder, Weights weights, torch::Device device);

/// Error unless the averaged weights of a folder, and the raw ones where it has them, fit its config.yaml as
/// load_weights demands. Reads their headers only.
void check_model(const std::filesystem::path& folder);

/// Whether no value is infinite or NaN.
bool all_finite(const torch::Tensor& tensor);
/// Copies a safetensors file into the module's parameters. Names and shapes must agree exactly: missing,
/// unexpected or mis-shaped tensors, and such as are not of finite floating-point numbers, give one Error line
/// that names the first few.
void load_weights(torch::nn::Module& module, const std::filesystem::path& file);
/// Writes the parameters (float32, CPU) atomically.
void save_weights(const torch::nn::Module& module, const std::filesystem::path& file);
/// Writes config.yaml of a weights folder atomically.
void save_model_config(const ModelConfig& config, const std::filesystem::path& folder);

}  // namespace sns
