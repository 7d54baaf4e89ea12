#include "app/commands.hpp"
#include "app/failures.hpp"
#include "core/config.hpp"
#include "core/error.hpp"
#include "core/text.hpp"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <iostream>
#include <new>
#include <string>
#include <vector>

namespace sns {
namespace {

int report(const char* kind, std::string message, int code) {
  for (char& c : message) {
    if (c == '\n') c = ' ';
  }
  std::fflush(stdout);
  fmt::print(stderr, "sns: {}: {}\n", kind, message);
  return code;
}

/// What a usage error says; for a verb that does not exist, with the nearest one that does.
std::string usage_message(const CLI::App& app, const CLI::ParseError& error, int argc, char** argv) {
  const std::string first = argc > 1 ? argv[1] : "";
  if (first.empty() || first.front() == '-' || !app.get_subcommands().empty()) return error.what();
  std::vector<std::string> verbs;
  for (const CLI::App* verb : app.get_subcommands(nullptr)) verbs.push_back(verb->get_name());
  const std::string near = nearest(first, verbs);
  return fmt::format("there is no verb '{}'{}", first,
                     near.empty() ? "" : fmt::format("; did you mean '{}'?", near));
}

/// The verb that was asked for, for the hint after a usage error.
std::string help_hint(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? "sns --help" : "sns " + chosen.front()->get_name() + " --help";
}

std::string& typed() {
  static std::string line;
  return line;
}

}  // namespace

const std::string& typed_command() {
  return typed();
}

void let_idle_threads_sleep(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr || setenv("OMP_WAIT_POLICY", "passive", 0) != 0) return;
  execv("/proc/self/exe", argv);  // returns only where it fails, and then the program is merely slower
}

int run_program(CLI::App& app, int argc, char** argv) {
  typed() = "sns";
  for (int i = 1; i < argc; ++i) typed() += " " + shell_word(argv[i]);
  try {
    if (argc == 1) throw CLI::CallForHelp();
    app.parse(argc, argv);
    if (std::fflush(stdout) != 0) return report("error", "cannot write to standard output", kExitFailure);
    return kExitSuccess;
  } catch (const CLI::Success& request) {  // --help, --version
    const int code = app.exit(request);
    if (!std::cout.flush()) return report("error", "cannot write to standard output", kExitFailure);
    return code;
  } catch (const CLI::ParseError& error) {
    return report("error", fmt::format("{} (see '{}')", usage_message(app, error, argc, argv), help_hint(app)),
                  kExitUsage);
  } catch (const Stopped& stop) {
    return report("stopped", stop.what(), kExitStopped);
  } catch (const ConfigError& error) {
    return report("error", error.what(), kExitUsage);
  } catch (const std::bad_alloc&) {
    return report("error", "out of memory; use fewer members or a smaller grid", kExitFailure);
  } catch (const std::exception& error) {
    return report("error", last_words(error), kExitFailure);
  }
}

}  // namespace sns
