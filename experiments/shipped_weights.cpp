#include "experiments/shipped_weights.hpp"

#include "core/error.hpp"
#include "core/files.hpp"
#include "emulator/models/model_config.hpp"

#include <map>
#include <sstream>

namespace sns {

namespace {

namespace fs = std::filesystem;

/// Hash by file name, as a folder's SHA256SUMS lists them; empty where there is none.
std::map<std::string, std::string> listed_hashes(const fs::path& folder) {
  std::map<std::string, std::string> listed;
  const fs::path sums = folder / "SHA256SUMS";
  if (!fs::exists(sums)) return listed;
  std::istringstream in(read_text(sums));
  for (std::string hash, name; in >> hash >> name;) listed[name] = hash;
  return listed;
}

bool has_raw_weights(const fs::path& folder) {
  return fs::exists(folder / file_name(Weights::raw));
}

/// ConfigError if `user`, a key of the file, takes raw weights of a model whose folder holds none.
void require_raw_weights(const std::string& user, const std::string& weights, const fs::path& folder) {
  if (parse_weights(weights) == Weights::raw && !has_raw_weights(folder))
    fail<ConfigError>(
        "{}.weights is raw, but {} holds averaged weights only: give weights: ema, or train with retrain=true",
        user, folder.string());
}

}  // namespace

fs::path shipped_folder(const ModelSpec& model, const fs::path& experiment_file) {
  const fs::path given = *model.weights;
  const char* const needed = file_name(Weights::ema);
  if (fs::exists(given / needed)) return given;
  // The program runs from anywhere.
  for (fs::path above = fs::absolute(experiment_file).parent_path(); given.is_relative();
       above = above.parent_path()) {
    if (fs::exists(above / given / needed)) return above / given;
    if (above == above.parent_path()) break;
  }
  fail<ConfigError>("models.{}.weights: there is no {}; give a folder of weights, or train with retrain=true",
                    model.name, (given / needed).string());
}

std::string shipped_identity(const fs::path& folder) {
  const std::map<std::string, std::string> listed = listed_hashes(folder);
  const std::string raw = file_name(Weights::raw), averaged = file_name(Weights::ema);
  std::map<std::string, std::string> hashes{{averaged, sha256_file(folder / averaged)}};
  if (has_raw_weights(folder))
    hashes[raw] = sha256_file(folder / raw);
  else if (const auto left_out = listed.find(raw); left_out != listed.end())
    hashes[raw] = left_out->second;
  for (const auto& [name, hash] : listed) {
    const auto known = hashes.find(name);
    require((known == hashes.end() ? sha256_file(folder / name) : known->second) == hash,
            "{} does not have the SHA-256 that {} lists: fetch it again", (folder / name).string(),
            (folder / "SHA256SUMS").string());
  }
  const auto of_raw = hashes.find(raw);
  return (of_raw == hashes.end() ? "" : fmt::format("model: {}\n", of_raw->second)) +
         fmt::format("ema: {}", hashes.at(averaged));
}

void require_shipped_weights(const std::vector<ModelSpec>& models, const std::vector<MethodConfig>& methods,
                             const std::optional<OracleConfig>& oracle, const fs::path& experiment_file) {
  for (const ModelSpec& model : models) {
    if (!model.weights) continue;
    const fs::path folder = shipped_folder(model, experiment_file);
    for (const MethodConfig& method : methods)
      if (method.emulator == model.name || method.diffusion_model() == model.name)
        require_raw_weights("rollout.methods." + method.name, method.weights, folder);
    if (oracle && oracle->model == model.name) require_raw_weights("oracle", oracle->weights, folder);
  }
}

}  // namespace sns
