#pragma once
// Whether a computation fits into memory, asked before anything is allocated.
#include <cstdint>
#include <string>

namespace sns {

/// Memory that this process can still get [bytes]: what the machine has left, or the control group if that is
/// less. The largest number where neither is known.
std::uint64_t available_memory();

/// Error with both numbers if `bytes` are more than available; `what` says who needs them ("200 members of a
/// 512 x 512 grid"). A double, so that no product of sizes overflows.
void require_memory(double bytes, const std::string& what);

/// "1.5 GB"
std::string human_bytes(double bytes);

}  // namespace sns
