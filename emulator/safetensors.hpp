#pragma once
// Reader and writer of the safetensors format: 8-byte little-endian header length, JSON header, raw tensors.
// Files are byte for byte what Python's safetensors writes for the same tensors and metadata.
#include <torch/types.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace sns {

using NamedTensors = std::vector<std::pair<std::string, torch::Tensor>>;

/// Writes atomically. Types: float64/32/16, bfloat16, int64/32/16/8, uint8, bool; any device, any strides.
void save_safetensors(const std::filesystem::path& file, const NamedTensors& tensors,
                      const std::map<std::string, std::string>& metadata = {});

/// A memory-mapped file, fully checked when it is opened: Error on truncation, a header over 100 MB, malformed
/// JSON, unknown types, duplicate names, offsets that overlap, leave holes, exceed the file or disagree with
/// the shape.
class SafeTensors {
 public:
  explicit SafeTensors(const std::filesystem::path& file);
  ~SafeTensors();
  SafeTensors(const SafeTensors&) = delete;
  SafeTensors& operator=(const SafeTensors&) = delete;

  /// In the order of the file's bytes.
  const std::vector<std::string>& names() const;
  bool contains(const std::string& name) const;
  std::vector<std::int64_t> shape(const std::string& name) const;
  /// A copy on the CPU. Error if there is no such tensor.
  torch::Tensor tensor(const std::string& name) const;
  const std::map<std::string, std::string>& metadata() const;
  const std::filesystem::path& path() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// All tensors of a file.
NamedTensors load_safetensors(const std::filesystem::path& file);

}  // namespace sns
