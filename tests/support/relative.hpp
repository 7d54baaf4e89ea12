#pragma once
#include <doctest/doctest.h>

namespace sns::test {

/// For CHECK(a == relative(b).epsilon(e)): |a - b| < e max(|a|, |b|), whatever their size; never holds for two
/// zeros. doctest::Approx alone adds 1 to what it is relative to, so that any two numbers below e agree.
inline doctest::Approx relative(double value) {
  return doctest::Approx(value).scale(0);
}

}  // namespace sns::test
