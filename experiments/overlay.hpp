#pragma once
// Scales: a YAML file of values that replace those of an experiment's file, so that one experiment can be run
// at several sizes.
#include <filesystem>
#include <string>
#include <vector>

namespace sns {

/// Whether the file, with its bases, says run.one_size: true: its numbers belong together.
bool has_one_size(const std::filesystem::path& experiment);

/// File of a scale: `name` itself if it is the path of a file, with a "/" or ".yaml" in it, else
/// <folder>/<name>.yaml of the first folder `scales` found beside `experiment` or above it. ConfigError that
/// lists the known scales otherwise, or where the experiment has one size.
std::filesystem::path find_scale(const std::filesystem::path& experiment, const std::string& name);

/// The overlay as `key.path=value` overrides. Maps are merged key by key, except those that begin with `name`,
/// `kind` or `sampling`, which replace the experiment's as a whole. Values below models.<name> and
/// rollout.methods.<name> are left out where `experiment` has no model or method of that name, and so are the
/// blocks oracle and video: one overlay serves several experiments. The run gets a folder of its own,
/// run.output + "-" + scale, so that no scale overwrites another's results. typed: overrides that come after
/// these; a run.name among them names that folder where the experiment has no run.output.
std::vector<std::string> scale_overrides(const std::filesystem::path& experiment,
                                         const std::filesystem::path& overlay,
                                         const std::vector<std::string>& typed = {});

}  // namespace sns
