#pragma once
// Figures and the HTML report, drawn by the Python scripts of plot/ from the files of a run folder.
#include "core/config.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace sns {

/// The `figure` block.
struct FigureConfig {
  int columns = 6;              ///< snapshots in time, frame 0 and the last one included
  int member = 0;               ///< which initial condition the snapshots show
  double color_limit = 4;       ///< colour range +- this many standard deviations of truth
  std::string band = "spread";  ///< of spectra over members: spread (exp(mean log +- std log)) | min_max
  int dpi = 160;
  bool pdf = true;  ///< vector copies beside the PNG files
};
void read(Section& figure, FigureConfig& config);

/// Draws figure1 and the dynamics figures from <evaluation>/metrics.json and curves.h5 into `figures`.
/// Returns false, after one clear warning, where Python or matplotlib is missing: numbers do not depend on it.
bool draw_figures(const std::filesystem::path& evaluation, const std::filesystem::path& figures,
                  const FigureConfig& config);

/// The files that draw_figures makes for data of these fields.
std::vector<std::filesystem::path> figure_files(const std::filesystem::path& figures,
                                                const FigureConfig& config,
                                                const std::vector<std::string>& fields);

/// How a model of the run came to be.
struct ReportModel {
  std::string name;
  std::string kind;             ///< gaussian | sns | ...
  bool shipped = false;         ///< weights came with the software (models.<name>.weights), not trained here
  std::string weights;          ///< folder the weights were taken from, where shipped
  std::string retrain_command;  ///< how to train them instead, where shipped
};

struct ReportInputs {
  std::filesystem::path run;  ///< run folder: config.yaml, models/, rollouts/, evaluation/, figures/
  std::string title;          ///< default: run.name of config.yaml
  std::vector<ReportModel> models;
  /// Wall-clock seconds per stage, in order of execution; nullopt: finished earlier and not run again.
  std::vector<std::pair<std::string, std::optional<double>>> stages;
  std::string band = "spread";     ///< figure.band, for the caption
  std::vector<std::string> notes;  ///< added to the section on limits, plain text
};

/// Writes <run>/report.html, one self-contained file. What the run's configuration changes of the paper's
/// set-up is stated in it without being asked. Returns false, after one clear warning, where Python
/// is missing.
bool write_report(const ReportInputs& inputs);

}  // namespace sns
