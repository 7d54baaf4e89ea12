#pragma once
// Figures and the HTML report, drawn by the Python scripts of plot/ from the files of a run folder.
#include "core/config.hpp"

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace sns {

/// The `figure` block.
struct FigureConfig {
  /// What is drawn, in the report's order: snapshots, dynamics, stability, levels, temporal, traversals,
  /// forecast, oracle, video.
  std::vector<std::string> kinds = {"snapshots", "stability", "dynamics"};
  int columns = 6;  ///< snapshots in time, frame 0 and the last one included, evenly spaced
  std::optional<std::vector<int>> steps;  ///< or these steps
  std::optional<std::string> folder;  ///< of the run folder, for evaluation, figures and report; null: itself
  int member = 0;                     ///< which initial condition the snapshots show
  double color_limit = 4;             ///< colour range +- this many standard deviations of truth
  std::string band = "spread";        ///< of spectra over members: spread (exp(mean log +- std log)) | min_max
  int dpi = 160;
  bool pdf = true;  ///< vector copies beside the PNG files
};
void read(Section& figure, FigureConfig& config);
/// Whether `kind` is one of config.kinds.
bool draws(const FigureConfig& config, const std::string& kind);

/// The `video` block.
struct VideoConfig {
  double seconds = 10;
  int fps = 24;
  std::optional<std::vector<std::string>> methods;  ///< null: all
  std::optional<int> steps;                         ///< shown, from the first on; null: all
};
void read(Section& video, VideoConfig& config);
/// ConfigError where there is nothing to draw, or a kind of figure lacks what it is drawn from.
void require_drawable(const FigureConfig& figure, const std::vector<std::string>& methods, bool oracle,
                      const std::filesystem::path& experiment_file);
/// ConfigError where figures show steps or members that rollouts of so many do not have, or the video shows
/// other methods.
void require_shown(Section& figure, const FigureConfig& figure_config, Section& video,
                   const VideoConfig& video_config, std::int64_t steps, int members,
                   const std::vector<std::string>& methods);

/// While one lives `action` is called, many times a second, while a script draws: for who has more to do than
/// to wait for it.
class WhileDrawing {
 public:
  explicit WhileDrawing(std::function<void()> action);
  ~WhileDrawing();
  WhileDrawing(const WhileDrawing&) = delete;
  WhileDrawing& operator=(const WhileDrawing&) = delete;
  /// That of the one that lives; empty where there is none.
  static std::function<void()>& action();
};

/// Draws the figures of `config.kinds`, all but the video, from <results>/evaluation and <results>/oracle into
/// <results>/figures. Returns false, after one clear warning, where Python or matplotlib is missing: numbers do
/// not depend on it.
bool draw_figures(const std::filesystem::path& results, const FigureConfig& config);

/// The files that draw_figures makes in the folder `figures` for data of these fields.
std::vector<std::filesystem::path> figure_files(const std::filesystem::path& figures,
                                                const FigureConfig& config,
                                                const std::vector<std::string>& fields);

struct VideoInputs {
  std::filesystem::path truth;  ///< data-set folder of the solver's trajectories
  std::vector<std::pair<std::string, std::filesystem::path>> rollouts;  ///< methods, in the order shown
  std::vector<std::string> fields;                                      ///< rows, from above
  std::string first_axis;                                               ///< of the stored frames: x or y
  std::string time_units;
  std::filesystem::path output;  ///< MP4 file
  VideoConfig config;
  FigureConfig figure;  ///< member and color_limit
};
/// Films the solver and the rollouts side by side from one initial condition. Returns false, after one clear
/// warning, where Python, matplotlib or ffmpeg is missing.
bool draw_video(const VideoInputs& inputs);

/// How a model of the run came to be.
struct ReportModel {
  std::string name;
  std::string kind;             ///< gaussian | sns | ...
  bool shipped = false;         ///< weights came with the software (models.<name>.weights), not trained here
  std::string weights;          ///< folder the weights were taken from, where shipped
  std::string retrain_command;  ///< how to train them instead, where shipped
};

struct ReportInputs {
  std::filesystem::path run;      ///< run folder: models/
  std::filesystem::path results;  ///< config.yaml, evaluation/, oracle/, figures/, video/
  std::string title;              ///< default: run.name of config.yaml
  std::vector<ReportModel> models;
  /// Wall-clock seconds per stage, in order of execution; nullopt: finished earlier and not run again.
  std::vector<std::pair<std::string, std::optional<double>>> stages;
  FigureConfig figure;             ///< what was drawn
  bool evaluated = true;           ///< methods were compared with the solver
  bool oracle = false;             ///< the oracle was asked
  std::vector<std::string> notes;  ///< added to the section on limits, plain text
};

/// Writes <results>/report.html, one self-contained file. What the run's configuration changes of the paper's
/// set-up is stated in it without being asked. Returns false, after one clear warning, where Python
/// is missing.
bool write_report(const ReportInputs& inputs);

struct CollectionInputs {
  std::filesystem::path output;  ///< folder of the page; created
  std::string title;
  std::vector<std::filesystem::path> results;  ///< folders with a report each, in the page's order
};
/// Writes <output>/report.html: figures and main metrics of all these folders, with links to their reports.
/// Returns false, after one clear warning, where Python is missing.
bool write_collection(const CollectionInputs& inputs);

}  // namespace sns
