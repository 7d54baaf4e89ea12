#pragma once

namespace sns {

/// Settings of the process that LibTorch work wants, made once at the start of a verb: the number of threads,
/// and an allocator that keeps freed memory. Safe to call again.
void prepare_torch(int threads);

}  // namespace sns
