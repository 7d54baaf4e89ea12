#include "emulator/failures.hpp"

#include <c10/util/Exception.h>

#include <string_view>

namespace sns {
namespace {

/// Of the many ways to run out of memory the allocator's own has a class; libraries' and the host's have words.
bool out_of_memory(const c10::Error& error, std::string_view text) {
  if (dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr) return true;
  for (const std::string_view words : {"out of memory", "can't allocate memory", "STATUS_ALLOC_FAILED"})
    if (text.find(words) != std::string_view::npos) return true;
  return false;
}

}  // namespace

std::string failure_text(const std::exception& error) {
  const auto* const torch = dynamic_cast<const c10::Error*>(&error);
  if (torch == nullptr) return error.what();
  const std::string whole = torch->what_without_backtrace();
  const std::string line = whole.substr(0, whole.find('\n'));
  if (!out_of_memory(*torch, whole)) return "LibTorch: " + line;
  std::string cause = line.substr(0, line.find(" If reserved but unallocated memory is large"));
  while (!cause.empty() && (cause.back() == '.' || cause.back() == ' ')) cause.pop_back();
  return "not enough memory for the networks: " + cause +
         "; take a smaller training.batch (training.accumulate makes up for it), fewer rollout.members, a "
         "smaller "
         "training.memory_budget_gib, or precision bfloat16";
}

}  // namespace sns
