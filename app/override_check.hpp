#pragma once
#include "core/config.hpp"

namespace sns {

/// ConfigError for an override that no block knows, also in blocks that the present verb does not read. Pass a
/// configuration of its own: reading marks keys as known. Blocks of experiments are left alone where the
/// program is built without LibTorch, and faults of the file itself are left to the verb that reads the block.
void check_overrides(const Config& config);

}  // namespace sns
