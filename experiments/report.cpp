#include "experiments/report.hpp"

#include "core/error.hpp"
#include "core/files.hpp"
#include "core/log.hpp"
#include "experiments/report_notes.hpp"

#include <sys/wait.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace sns {
namespace {

namespace fs = std::filesystem;

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
  const pid_t child = fork();
  require(child >= 0, "cannot start {}: {}", arguments[0], std::strerror(errno));
  if (child == 0) {
    execvp(pointers[0], pointers.data());
    _exit(127);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    require(errno == EINTR, "lost {}: {}", arguments[0], std::strerror(errno));
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/// Runs plot/<script>. The scripts print their own one-line error and exit with 3 where a Python package is
/// missing.
bool run_script(const std::string& script, std::vector<std::string> arguments, const std::string& product) {
  const fs::path path = find_script(script);
  if (path.empty()) {
    log::warn("{} was not made: plot/{} is neither in {} nor above the program", product, script,
              SNS_SOURCE_DIR);
    return false;
  }
  const std::string python = find_python();
  arguments.insert(arguments.begin(), {python, path.string()});
  const int code = run_program(arguments);
  if (code == 0) return true;
  const char* why = code == 127 ? "Python 3 could not be started"
                    : code == 3 ? "a Python package is missing (see above)"
                                : "the script failed (see above)";
  log::warn(
      "{} was not made: {} with {}; the numbers are written. scripts/setup installs what plotting needs, "
      "SNS_PYTHON names another Python",
      product, why, python);
  return false;
}

}  // namespace

void read(Section& figure, FigureConfig& config) {
  figure.maybe("columns", config.columns, between(2, 24));
  figure.maybe("member", config.member, non_negative);
  figure.maybe("color_limit", config.color_limit, positive);
  figure.maybe("band", config.band, one_of({"spread", "min_max"}));
  figure.maybe("dpi", config.dpi, between(30, 1200));
  figure.maybe("pdf", config.pdf);
}

bool draw_figures(const fs::path& evaluation, const fs::path& figures, const FigureConfig& config) {
  make_writable_folder(figures);
  const std::vector<std::string> arguments{evaluation.string(),
                                           figures.string(),
                                           "--dpi",
                                           std::to_string(config.dpi),
                                           "--color-limit",
                                           fmt::format("{}", config.color_limit),
                                           "--band",
                                           config.band,
                                           config.pdf ? "--pdf" : "--no-pdf"};
  return run_script("figure1.py", arguments, "figure 1") &&
         run_script("dynamics.py", arguments, "the dynamics figures");
}

std::vector<fs::path> figure_files(const fs::path& figures, const FigureConfig& config,
                                   const std::vector<std::string>& fields) {
  std::vector<std::string> names = {"figure1", "stability"};
  for (const std::string& field : fields)
    names.push_back(fields.size() > 1 ? "dynamics_" + field : std::string("dynamics"));
  std::vector<fs::path> files;
  for (const std::string& name : names) {
    files.push_back(figures / (name + ".png"));
    if (config.pdf) files.push_back(figures / (name + ".pdf"));
  }
  return files;
}

bool write_report(const ReportInputs& inputs) {
  nlohmann::ordered_json facts{{"title", inputs.title}, {"band", inputs.band}};
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
  if (fs::exists(inputs.run / "config.yaml")) notes = deviations_from_paper(inputs.run / "config.yaml");
  notes.insert(notes.end(), inputs.notes.begin(), inputs.notes.end());
  facts["notes"] = notes;
  const fs::path file = inputs.run / "figures" / "report_facts.json";
  make_writable_folder(file.parent_path());
  write_text(file, facts.dump(1) + "\n");
  return run_script("report.py", {inputs.run.string(), "--facts", file.string()}, "the report");
}

}  // namespace sns
