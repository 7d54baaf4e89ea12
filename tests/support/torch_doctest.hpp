#pragma once
// doctest beside LibTorch: c10's logging header defines CHECK and its relatives; drop them first.
#include <torch/types.h>
#undef CHECK
#undef CHECK_EQ
#undef CHECK_NE
#undef CHECK_LT
#undef CHECK_LE
#undef CHECK_GT
#undef CHECK_GE

#include "tests/support/relative.hpp"  // IWYU pragma: export
