#include "experiments/report.hpp"

#include "core/error.hpp"
#include "core/files.hpp"
#include "core/log.hpp"
#include "core/stop.hpp"
#include "experiments/report_notes.hpp"

#include <fmt/ranges.h>
#include <sys/wait.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

namespace sns {
namespace {

namespace fs = std::filesystem;

const std::vector<std::string> kKinds = {"snapshots",  "dynamics", "stability", "levels", "temporal",
                                         "traversals", "forecast", "oracle",    "video"};
const std::vector<std::string> kRunFolders = {"dataset",     "truth",      "models", "rollouts", "data",
                                              "checkpoints", "evaluation", "oracle", "figures",  "video"};

/// Folders that may hold plot/ and .venv/: the source tree that the program was built from, and the folders
/// above the program, for one that was moved.
std::vector<fs::path> homes() {
  std::vector<fs::path> result;
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  for (fs::path folder = program.parent_path(); !error && !folder.empty() && folder != folder.root_path();
       folder = folder.parent_path())
    result.push_back(folder);
  result.emplace_back(SNS_SOURCE_DIR);
  return result;
}

/// Empty if no home holds it.
fs::path find_script(const std::string& name) {
  for (const auto& home : homes())
    if (fs::exists(home / "plot" / name)) return home / "plot" / name;
  return {};
}

std::string find_python() {
  if (const char* chosen = std::getenv("SNS_PYTHON"); chosen != nullptr && *chosen != '\0') return chosen;
  for (const auto& home : homes())
    if (fs::exists(home / ".venv/bin/python3")) return (home / ".venv/bin/python3").string();
  return "python3";
}

/// Runs a program without a shell; its exit code, 127 if it could not be started.
int run_program(const std::vector<std::string>& arguments) {
  std::vector<char*> pointers;
  for (const auto& argument : arguments) pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);
  // No signal reaches the child while it has this program's handler, which would swallow it.
  sigset_t stops, before;
  sigemptyset(&stops);
  for (const int one : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&stops, one);
  pthread_sigmask(SIG_BLOCK, &stops, &before);
  const pid_t child = fork();
  if (child == 0) {
    for (const int one : {SIGTERM, SIGINT, SIGHUP})
      if (std::signal(one, SIG_DFL) == SIG_IGN) std::signal(one, SIG_IGN);  // as under nohup
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    execvp(pointers[0], pointers.data());
    _exit(127);
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  require(child >= 0, "cannot start {}: {}", arguments[0], std::strerror(errno));
  int status = 0;
  bool told = false;  // that it should end
  for (pid_t ended = 0; ended != child;) {
    ended = waitpid(child, &status, WNOHANG);
    require(ended >= 0 || errno == EINTR, "lost {}: {}", arguments[0], std::strerror(errno));
    if (ended != 0) continue;
    // Who stops this program alone, stops it, too; at the end of a time budget it may end by itself.
    if (stop_requested_at_once() && !told) told = ::kill(child, SIGTERM) == 0;
    try {
      if (WhileDrawing::action()) WhileDrawing::action()();
    } catch (...) {  // nobody would wait for the child, which writes figures
      ::kill(child, SIGTERM);
      ::waitpid(child, &status, 0);
      throw;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/// Runs plot/<script>. The scripts print their own one-line error and exit with 3 where a Python package is
/// missing.
bool run_script(const std::string& script, std::vector<std::string> arguments, const std::string& product) {
  const fs::path path = find_script(script);
  if (path.empty()) {
    log::warn("{} not made: plot/{} is neither in {} nor above the program", product, script, SNS_SOURCE_DIR);
    return false;
  }
  const std::string python = find_python();
  arguments.insert(arguments.begin(), {python, path.string()});
  const int code = run_program(arguments);
  if (code == 0) return true;
  if (stop_requested()) fail<Stopped>("stopped while drawing; run the same command to continue");
  const char* why = code == 127 ? "Python 3 could not be started"
                    : code == 3 ? "a Python package is missing (see above)"
                                : "the script failed (see above)";
  log::warn(
      "{} not made: {} with {}; the numbers are written. scripts/setup installs what plotting needs, "
      "SNS_PYTHON names another Python",
      product, why, python);
  return false;
}

}  // namespace

WhileDrawing::WhileDrawing(std::function<void()> action) {
  WhileDrawing::action() = std::move(action);
}

WhileDrawing::~WhileDrawing() {
  action() = nullptr;
}

std::function<void()>& WhileDrawing::action() {
  static std::function<void()> current;
  return current;
}

void read(Section& figure, FigureConfig& config) {
  figure.maybe("kinds", config.kinds);
  for (const std::string& kind : config.kinds)
    if (const std::string wrong = one_of(kKinds)(kind); !wrong.empty())
      figure.reject("kinds", fmt::format("'{}' {}", kind, wrong));
  figure.maybe("columns", config.columns, between(2, 24));
  figure.maybe("steps", config.steps);
  if (config.steps && (config.steps->size() < 2 || config.steps->front() < 0 ||
                       std::adjacent_find(config.steps->begin(), config.steps->end(), std::greater_equal<>()) !=
                           config.steps->end()))
    figure.reject("steps", "must list two or more steps of a rollout, in rising order");
  figure.maybe("folder", config.folder, [](const std::string& name) -> std::string {
    const bool plain = !name.empty() && name.find_first_of("/\\") == std::string::npos && name.front() != '.';
    if (!plain) return "must be the name of a folder, without a path";
    // Those of a run's other results, which come and go with theirs.
    const bool taken = name.ends_with(".previous") || one_of(kRunFolders)(name).empty();
    return taken ? "is the name of another folder in a run" : "";
  });
  figure.maybe("member", config.member, non_negative);
  figure.maybe("color_limit", config.color_limit, positive);
  figure.maybe("band", config.band, one_of({"spread", "min_max"}));
  figure.maybe("dpi", config.dpi, between(30, 1200));
  figure.maybe("pdf", config.pdf);
}

bool draws(const FigureConfig& config, const std::string& kind) {
  return std::find(config.kinds.begin(), config.kinds.end(), kind) != config.kinds.end();
}

void read(Section& video, VideoConfig& config) {
  video.maybe("seconds", config.seconds, positive);
  video.maybe("fps", config.fps, between(1, 60));
  video.maybe("methods", config.methods);
  video.maybe("steps", config.steps, positive);
}

void require_drawable(const FigureConfig& figure, const std::vector<std::string>& methods, bool oracle,
                      const fs::path& experiment_file) {
  if (!methods.empty() && (oracle || !draws(figure, "oracle"))) return;
  const std::string file = experiment_file.string();
  if (draws(figure, "oracle") && !oracle)
    fail<ConfigError>("{}: figure.kinds has the oracle, but there is no block 'oracle' that names a model",
                      file);
  for (const std::string& kind : figure.kinds)
    if (kind != "oracle")
      fail<ConfigError>(
          "{}: rollout.methods names no method to compare with the solver; figure.kinds has '{}', which shows "
          "methods",
          file, kind);
}

void require_shown(Section& figure, const FigureConfig& figure_config, Section& video,
                   const VideoConfig& video_config, std::int64_t steps, int members,
                   const std::vector<std::string>& methods) {
  if (figure_config.steps && figure_config.steps->back() > steps)
    figure.reject("steps",
                  fmt::format("{} lies beyond the rollout's {} steps", figure_config.steps->back(), steps));
  if (figure_config.member >= members)
    figure.reject("member", fmt::format("{}: there are members 0 to {}", figure_config.member, members - 1));
  for (const std::string& name : video_config.methods.value_or(std::vector<std::string>()))
    if (std::find(methods.begin(), methods.end(), name) == methods.end())
      video.reject("methods", fmt::format("rollout.methods has no '{}'", name));
}

bool draw_figures(const fs::path& results, const FigureConfig& config) {
  make_writable_folder(results / "figures");
  std::vector<std::string> kinds = config.kinds;
  std::erase(kinds, "video");
  const std::vector<std::string> arguments{results.string(),
                                           "--kinds",
                                           fmt::format("{}", fmt::join(kinds, ",")),
                                           "--dpi",
                                           std::to_string(config.dpi),
                                           "--color-limit",
                                           fmt::format("{}", config.color_limit),
                                           "--band",
                                           config.band,
                                           config.pdf ? "--pdf" : "--no-pdf"};
  return run_script("figures.py", arguments, "the figures were");
}

std::vector<fs::path> figure_files(const fs::path& figures, const FigureConfig& config,
                                   const std::vector<std::string>& fields) {
  std::vector<std::string> names;
  for (const std::string& kind : config.kinds) {
    if (kind == "video") continue;
    const std::string name = kind == "snapshots" ? "figure1" : kind;
    if (fields.size() > 1 && (kind == "dynamics" || kind == "temporal" || kind == "forecast"))
      for (const std::string& field : fields) names.push_back(fmt::format("{}_{}", name, field));
    else
      names.push_back(name);
  }
  std::vector<fs::path> files;
  for (const std::string& name : names) {
    files.push_back(figures / (name + ".png"));
    if (config.pdf) files.push_back(figures / (name + ".pdf"));
  }
  return files;
}

bool draw_video(const VideoInputs& inputs) {
  make_writable_folder(inputs.output.parent_path());
  std::vector<std::string> arguments{inputs.truth.string(),
                                     inputs.output.string(),
                                     "--fields",
                                     fmt::format("{}", fmt::join(inputs.fields, ",")),
                                     "--first-axis",
                                     inputs.first_axis,
                                     "--time-units",
                                     inputs.time_units,
                                     "--seconds",
                                     fmt::format("{}", inputs.config.seconds),
                                     "--fps",
                                     std::to_string(inputs.config.fps),
                                     "--color-limit",
                                     fmt::format("{}", inputs.figure.color_limit),
                                     "--member",
                                     std::to_string(inputs.figure.member)};
  if (inputs.config.steps) arguments.insert(arguments.end(), {"--steps", std::to_string(*inputs.config.steps)});
  for (const auto& [method, file] : inputs.rollouts)
    arguments.insert(arguments.end(), {"--rollout", method, file.string()});
  return run_script("video.py", arguments, "the video was");
}

bool write_report(const ReportInputs& inputs) {
  nlohmann::ordered_json facts{{"title", inputs.title},
                               {"band", inputs.figure.band},
                               {"kinds", inputs.figure.kinds},
                               {"evaluated", inputs.evaluated},
                               {"oracle", inputs.oracle}};
  facts["models"] = nlohmann::ordered_json::array();
  for (const auto& model : inputs.models)
    facts["models"].push_back({{"name", model.name},
                               {"kind", model.kind},
                               {"shipped", model.shipped},
                               {"weights", model.weights},
                               {"retrain_command", model.retrain_command}});
  facts["stages"] = nlohmann::ordered_json::array();
  for (const auto& [name, seconds] : inputs.stages)
    facts["stages"].push_back(
        {{"name", name}, {"seconds", seconds ? nlohmann::ordered_json(*seconds) : nullptr}});
  std::vector<std::string> notes;
  const fs::path configuration = inputs.results / "config.yaml";
  if (fs::exists(configuration)) notes = deviations_from_paper(configuration);
  notes.insert(notes.end(), inputs.notes.begin(), inputs.notes.end());
  facts["notes"] = notes;
  const fs::path file = inputs.results / "figures" / "report_facts.json";
  make_writable_folder(file.parent_path());
  write_text(file, facts.dump(1) + "\n");
  return run_script("report.py", {inputs.results.string(), "--run", inputs.run.string()}, "the report was");
}

bool write_collection(const CollectionInputs& inputs) {
  make_writable_folder(inputs.output);
  std::vector<std::string> arguments{(inputs.output / "report.html").string(), "--title", inputs.title};
  for (const fs::path& results : inputs.results) arguments.push_back(results.string());
  return run_script("collection.py", arguments, "the page of all experiments was");
}

}  // namespace sns
