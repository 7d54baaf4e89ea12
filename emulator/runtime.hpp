#pragma once

namespace sns {

/// Settings of the process that LibTorch work wants, made once at the start of a verb: the number of threads,
/// an allocator that keeps freed memory, and no TF32. Safe to call again.
void prepare_torch(int threads);

}  // namespace sns
