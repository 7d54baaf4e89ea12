#pragma once
#include "core/config.hpp"

namespace sns {

/// Reads all blocks of a configuration, whichever of them the present verb has a use for. ConfigError for an
/// invalid block or a key that nobody knows. Pass a configuration of its own: reading marks keys as known.
/// Blocks of experiments are left alone where the program is built without LibTorch, and files that blocks
/// name are left to the verbs that read them.
void check_whole_file(const Config& config);

}  // namespace sns
