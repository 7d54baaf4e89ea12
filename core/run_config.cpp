#include "core/run_config.hpp"

#include "core/device_name.hpp"
#include "core/parallel.hpp"

#include <algorithm>

namespace sns {
namespace {

std::string file_name_rule(const std::string& name) {
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  };
  if (!name.empty() && name[0] != '.' && std::all_of(name.begin(), name.end(), good)) return {};
  return "must be made of letters, digits, '-', '_' and '.', as it names a folder";
}

std::string device_rule(const std::string& device) {
  return parse_device(device) ? "" : fmt::format("must be {}", kDeviceNames);
}

}  // namespace

RunConfig read_run(const Config& config) {
  RunConfig run;
  Section section = config.root().child("run");
  section.maybe("name", run.name, file_name_rule);
  section.maybe("seed", run.seed);
  std::string output = "runs/" + run.name;
  section.maybe("output", output,
                [](const std::string& v) { return v.empty() ? std::string("must name a folder") : ""; });
  run.output = output;
  section.maybe("device", run.device, device_rule);
  std::string threads = "auto";
  section.maybe("threads", threads);
  if (threads == "auto") {
    run.threads = default_threads();
  } else {
    const bool number =
        threads.find_first_not_of("0123456789") == std::string::npos && threads.size() <= 4 && !threads.empty();
    const int given = number ? std::stoi(threads) : 0;
    if (given < 1 || given > kMostThreads)
      section.reject("threads", fmt::format("must be auto or a whole number from 1 to {}, not '{}'",
                                            kMostThreads, threads));
    section.maybe("threads", run.threads);  // again, so that the resolved configuration holds a number
  }
  // Whether the named scales are for this file (experiments/overlay.hpp) is asked before there is a
  // configuration; here it is but a known key. Not among the resolved ones unless given: most files have
  // every size.
  if (bool one_size = false; section.has("one_size")) section.maybe("one_size", one_size);
  return run;
}

}  // namespace sns
