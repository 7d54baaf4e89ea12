#include "emulator/training/measured_file.hpp"

#include "core/error.hpp"
#include "core/files.hpp"
#include "emulator/safetensors.hpp"

#include <algorithm>

namespace sns {
namespace {

namespace fs = std::filesystem;

std::string tensor_name(Weights weights) {
  return weights == Weights::ema ? "ema" : "raw";
}
/// Metadata key of the file: SHA-256 of the weights.
std::string hash_key(Weights weights) {
  return tensor_name(weights) + "_sha256";
}

/// Whether the file is of these weights of its folder.
bool holds(const SafeTensors& stored, Weights weights) {
  const auto hash = stored.metadata().find(hash_key(weights));
  return stored.contains(tensor_name(weights)) && hash != stored.metadata().end() &&
         hash->second == sha256_file(stored.path().parent_path() / file_name(weights));
}

/// Gives `file` its line of the folder's SHA256SUMS.
void list_hash(const fs::path& folder, const std::string& file) {
  std::map<std::string, std::string> listed = read_sums(folder);
  if (listed.empty()) return;
  listed[file] = sha256_file(folder / file);
  write_sums(folder, listed);
}

}  // namespace

void MeasuredFile::save(const fs::path& folder, const std::map<Weights, torch::Tensor>& measured,
                        const std::map<std::string, std::string>& facts, const NamedTensors& others) const {
  NamedTensors tensors;
  std::map<std::string, std::string> metadata = facts;
  for (const Weights weights : {Weights::ema, Weights::raw}) {
    const auto found = measured.find(weights);
    if (found == measured.end()) continue;
    tensors.emplace_back(tensor_name(weights), found->second.to(torch::kFloat32));
    metadata.emplace(hash_key(weights), sha256_file(folder / file_name(weights)));
  }
  for (const auto& [other, tensor] : others) tensors.emplace_back(other, tensor.to(torch::kFloat32));
  save_safetensors(folder / name, tensors, metadata);
  list_hash(folder, name);
}

bool MeasuredFile::complete(const fs::path& folder, const std::vector<std::string>& others) const {
  if (!fs::exists(folder / name)) return false;
  try {
    const SafeTensors stored(folder / name);
    for (const Weights weights : {Weights::ema, Weights::raw})
      if (fs::exists(folder / file_name(weights)) && !holds(stored, weights)) return false;
    return std::all_of(others.begin(), others.end(), [&](const auto& other) { return stored.contains(other); });
  } catch (const Error&) {  // a damaged file
    return false;
  }
}

MeasuredFile::Content MeasuredFile::load(const fs::path& folder, Weights weights) const {
  const fs::path file = folder / name;
  require(fs::exists(file), "{} does not hold {}; {}", folder.string(), what, advice(folder));
  require_as_listed(folder, name);
  const SafeTensors stored(file);
  require(holds(stored, weights), "{} is not of the folder's {}; {}", file.string(), file_name(weights),
          advice(folder));
  Content content{stored.tensor(tensor_name(weights)), stored.metadata(), {}};
  for (const std::string& stored_name : stored.names())
    if (stored_name != tensor_name(Weights::ema) && stored_name != tensor_name(Weights::raw))
      content.others.emplace(stored_name, stored.tensor(stored_name));
  return content;
}

std::string MeasuredFile::advice(const fs::path& folder) const {
  return fmt::format("measure it: sns calibrate --weights {}{} --data DATASET", folder.string(), beside);
}

}  // namespace sns
