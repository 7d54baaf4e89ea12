#pragma once
// Finished weights that a model's block names (`models.<name>.weights`): a folder with config.yaml and
// ema.safetensors, and model.safetensors where raw weights come along.
#include "datagen/plan.hpp"
#include "experiments/config.hpp"
#include "experiments/oracle_config.hpp"
#include "solvers/solver.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace sns {

/// The folder that the model's block names; a relative one is looked for from the working directory, then
/// beside `experiment_file` and above it. ConfigError where there is none with averaged weights.
std::filesystem::path shipped_folder(const ModelSpec& model, const std::filesystem::path& experiment_file);

/// Which weights a folder holds: the SHA-256 of each file of weights, one a line. Raw weights that do not come
/// along count with the hash that SHA256SUMS gives them, so that leaving them out makes no other weights of the
/// averaged ones. Error if a file is not the one that SHA256SUMS lists, where there is a SHA256SUMS.
std::string shipped_identity(const std::filesystem::path& folder);

/// A file of a weights folder with what was measured of the weights, which a method draws noise from.
struct NeededMeasurement {
  const char* file;
  const char* key;   ///< of the method, that asks for it
  const char* what;  ///< in words
  /// Error unless the folder holds it, of these weights.
  void (*check)(const std::filesystem::path& folder, Weights weights);
};
/// What the method needs of this model; none for most.
std::optional<NeededMeasurement> needed_measurement(const MethodConfig& method, const ModelSpec& model);

/// Where a method follows combined estimates, and folders are given for its refiner and its surrogate: the file
/// beside the refiner's weights that has to hold them. None otherwise. For experiments that use finished
/// weights.
std::optional<std::filesystem::path> shipped_combination(const MethodConfig& method,
                                                         const std::vector<ModelSpec>& models,
                                                         const std::filesystem::path& experiment_file);

/// Whether a network is trained here on a data set.
bool trains_on_dataset(const std::vector<ModelSpec>& models, bool retrain);

/// ConfigError for a network to be trained on windows that are longer than the trajectories, or chosen by
/// validation frames of which there will be none.
void require_trainable(const ModelSpec& model, const DatagenPlan& data, bool retrain);

/// ConfigError that names a method whose combined estimates, or the errors of whose network, are not there and
/// could not be measured: there is no data set, or it has no validation frames.
void require_measurable(const std::vector<ModelSpec>& models, const std::vector<MethodConfig>& methods,
                        const DatagenPlan& data, bool retrain, const std::filesystem::path& experiment_file);

/// ConfigError unless the weights in `folder` are of the network that the model's block describes, with the
/// same scales, and of frames of this flow: fields, points and, where the weights tell it, time between frames.
/// Returns shipped_identity(), and the hash of config.yaml where no list of hashes in the folder has it.
std::string check_shipped(const ModelSpec& model, const SolverInfo& solver, const DatagenPlan& data,
                          const std::filesystem::path& folder);

/// What to say where an experiment that takes finished weights has another flow than the file that names them,
/// on whose flow they were trained; else empty. A flow is what solver.scalars has.
std::string changed_flow(const std::vector<ModelSpec>& models, const SolverInfo& solver,
                         const SolverInfo& of_file);

/// ConfigError where a model's network sees another force than the solver's (network.forcing_wavenumber).
void require_same_force(const std::vector<ModelSpec>& models, const SolverInfo& solver);

/// ConfigError that names the method (or the oracle) and the folder where one asks for raw weights that its
/// folder does not hold, or where a folder is not there. For experiments that use finished weights.
void require_shipped_weights(const std::vector<ModelSpec>& models, const std::vector<MethodConfig>& methods,
                             const std::optional<OracleConfig>& oracle,
                             const std::filesystem::path& experiment_file);

}  // namespace sns
