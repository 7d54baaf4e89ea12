#pragma once
// The one line at the bottom of a terminal that progress rewrites and log lines step around.
// Internal to sns_core.
#include <string>
#include <string_view>

namespace sns::detail {

bool stderr_is_terminal();
/// Shows `text` as the live line (cut to the width of the terminal), replacing the one there.
void show_live_line(std::string_view text);
/// Removes the live line.
void clear_live_line();

}  // namespace sns::detail
