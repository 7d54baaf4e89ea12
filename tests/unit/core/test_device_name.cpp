#include "core/device_name.hpp"

#include <doctest/doctest.h>

using namespace sns;

TEST_CASE("devices by the words of run.device") {
  using Kind = DeviceName::Kind;
  REQUIRE(parse_device("auto").has_value());
  CHECK(parse_device("auto")->kind == Kind::automatic);
  CHECK(parse_device("cpu")->kind == Kind::cpu);
  CHECK(parse_device("cuda")->kind == Kind::cuda);
  CHECK(parse_device("cuda")->number == 0);
  CHECK(parse_device("cuda:0")->number == 0);
  CHECK(parse_device("cuda:13")->kind == Kind::cuda);
  CHECK(parse_device("cuda:13")->number == 13);
  CHECK(parse_device("cuda:2147483647")->number == 2147483647);
  for (const char* word : {"", "gpu", "CUDA", "cuda:", "cuda:x", "cuda:1x", "cuda:-1", "cuda:-0", "cuda:+1",
                           "cuda: 1", "cuda:2147483648", "cpu:0", "auto "})
    CHECK_MESSAGE(!parse_device(word).has_value(), word);
}
