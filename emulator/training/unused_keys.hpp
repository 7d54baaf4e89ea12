#pragma once
// Keys of a model's block that only other kinds of models have: changing `kind` alone makes another model of
// it.
#include "core/config.hpp"

#include <string>
#include <utility>
#include <vector>

namespace sns {

/// Of each entry of `models` that holds such keys: its name, and the keys with what the model is. They count as
/// known from then on, although they say nothing (Section::set_aside); keys that no kind knows do not. To be
/// called when the models have been read; read_models() does so.
std::vector<std::pair<std::string, std::string>> model_keys_without_effect(const Config& config);

}  // namespace sns
