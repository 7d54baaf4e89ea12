#pragma once
// Files of a weights folder that hold what was measured of the weights: one tensor for each of `ema` and `raw`
// that were measured, with the SHA-256 of what it is of.
#include "emulator/models/model_config.hpp"
#include "emulator/safetensors.hpp"

#include <torch/types.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace sns {

struct MeasuredFile {
  std::string name;         ///< of the file
  std::string what;         ///< in messages: "the error of its steps, which samples of a surrogate need"
  std::string beside = {};  ///< what `sns calibrate` needs beside weights and data: " --surrogate DIR"

  /// Writes the file (atomically), with `facts` beside the hashes and `others` beside the tensors of weights,
  /// and its line of the folder's SHA256SUMS where there is one.
  void save(const std::filesystem::path& folder, const std::map<Weights, torch::Tensor>& measured,
            const std::map<std::string, std::string>& facts = {}, const NamedTensors& others = {}) const;
  /// Whether the folder has the file, it can be read, is of all weights of the folder, and has the tensors
  /// `others`.
  bool complete(const std::filesystem::path& folder, const std::vector<std::string>& others = {}) const;

  struct Content {
    torch::Tensor tensor;
    std::map<std::string, std::string> facts;
    std::map<std::string, torch::Tensor> others;  ///< those of no weights
  };
  /// What the file has of these weights. Error, with advice, where the folder has none, or one of other
  /// weights.
  Content load(const std::filesystem::path& folder, Weights weights) const;
  /// The same advice: how to measure what a folder lacks.
  std::string advice(const std::filesystem::path& folder) const;
};

}  // namespace sns
