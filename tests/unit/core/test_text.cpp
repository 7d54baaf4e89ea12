#include "core/text.hpp"

#include <doctest/doctest.h>

using namespace sns;
using Lines = std::pair<std::string, std::string>;

TEST_CASE("text: the first lines in which two texts differ") {
  CHECK(first_difference("a: 1\n  b: 2\n", "a: 1\n  b: 3\n") == Lines{"b: 2", "b: 3"});
  CHECK(first_difference("a: 1\n\nb: 2", "a: 1\n  b: 2\n") == Lines{"nothing", "nothing"});
  CHECK(first_difference("a: 1\nb: 2\n", "a: 1\n") == Lines{"b: 2", "nothing"});
  CHECK(first_difference("", "a") == Lines{"nothing", "a"});
  CHECK(first_difference("a\nsteps 3; rate 2; seed 1", "a\nsteps 3; rate 4; seed 1") ==
        Lines{"rate 2", "rate 4"});
}

TEST_CASE("text: words as a shell takes them") {
  CHECK(shell_word("run.threads=2") == "run.threads=2");
  CHECK(shell_word("a b") == "'a b'");
  CHECK(shell_word("it's") == "'it'\\''s'");
  CHECK(shell_word("") == "''");
}

TEST_CASE("text: shapes") {
  CHECK(shape_text({}) == "()");
  CHECK(shape_text({5}) == "(5)");
  CHECK(shape_text({2, 64, 64}) == "(2, 64, 64)");
}

TEST_CASE("one of a thing, and several") {
  CHECK(counted(1, "member") == "1 member");
  CHECK(counted(0, "member") == "0 members");
  CHECK(counted(2, "solver step") == "2 solver steps");
}
