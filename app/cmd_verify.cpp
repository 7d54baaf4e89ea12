#include "app/commands.hpp"
#include "core/error.hpp"
#include "datagen/frame_log.hpp"
#include "datagen/verify.hpp"

#include <filesystem>
#include <memory>

namespace sns {
namespace {

void run_verify(const std::filesystem::path& folder) {
  const auto inside = folder / "dataset";
  require(std::filesystem::exists(folder / "MANIFEST.jsonl") || !std::filesystem::exists(inside),
          "{} is a run's folder; its data set is {}", folder.string(), inside.string());
  const VerifyReport report = verify_dataset(folder);
  for (const Problem& problem : report.problems) fmt::print("{}: {}\n", problem.file, problem.what);
  if (!report.problems.empty()) {
    const Problem& first = report.problems.front();
    fail("{}: {} problems, the first: {} {}; delete damaged files and run 'sns datagen' to make them again",
         folder.string(), report.problems.size(), first.file, first.what);
  }
  fmt::print("{}: intact, {} files, {} samples, {} frames, {}\n", folder.string(), report.files, report.samples,
             report.frames, human_bytes(static_cast<double>(report.bytes)));
}

}  // namespace

void add_verify(CLI::App& app) {
  CLI::App* verb = app.add_subcommand("verify", "check every file of a data set against its manifest");
  auto folder = std::make_shared<std::filesystem::path>();
  verb->add_option("DIR", *folder, "data set folder")->required();
  verb->footer(
      "Hashes every file, and checks structure, completeness and every frame; problems go to stdout, one a "
      "line.\n"
      "Example:\n"
      "  sns verify runs/kolmogorov-quickstart/dataset");
  verb->callback([folder] { run_verify(*folder); });
}

}  // namespace sns
