#include "core/error.hpp"
#include "core/yaml_json.hpp"
#include "tests/support/scratch.hpp"

#include <doctest/doctest.h>

using sns::yaml_to_json;
using sns::test::contains;
using sns::test::message_of;

TEST_CASE("yaml as json: structure and order") {
  CHECK(yaml_to_json("b: {x: [1, 2, []], y: {}}\na:\n  - p: 1\n    q: two\n") ==
        R"({"b":{"x":[1,2,[]],"y":{}},"a":[{"p":1,"q":"two"}]})");
  CHECK(yaml_to_json("") == "null");
  CHECK(yaml_to_json("a:") == R"({"a":null})");
  CHECK(yaml_to_json("base: &b {n: 1}\nuse: *b\n") == R"({"base":{"n":1},"use":{"n":1}})");
}

TEST_CASE("yaml as json: plain scalars are what they look like, quoted ones are text") {
  for (const auto& [yaml, json] : {
           std::pair<std::string, std::string>{"12", "12"},
           {"-3", "-3"},
           {"+7", "7"},
           {"9223372036854775807", "9223372036854775807"},
           {"18446744073709551615", "18446744073709551615"},
           {"0.5", "0.5"},
           {"1e-3", "0.001"},
           {"2.5E+2", "250.0"},
           {"0.10000000000000001", "0.1"},
           {"true", "true"},
           {"False", "false"},
           {"null", "null"},
           {"~", "null"},
           {"yes", "\"yes\""},
           {"0x10", "\"0x10\""},
           {"inf", "\"inf\""},
           {"nan", "\"nan\""},
           {"1.2.3", "\"1.2.3\""},
           {"+", "\"+\""},
           {"2024-01-01", "\"2024-01-01\""},
           {"\"12\"", "\"12\""},
           {"'true'", "\"true\""},
           {"\"\"", "\"\""},
           {"\"a\\nb\"", "\"a\\nb\""},
       }) {
    CAPTURE(yaml);
    CHECK(yaml_to_json("v: " + yaml) == R"({"v":)" + json + "}");
  }
}

TEST_CASE("yaml as json: what has no counterpart is an error") {
  for (const std::string number : {".inf", "-.inf", "+.Inf", ".INF", ".nan", ".NaN", ".NAN", "1e999"}) {
    CAPTURE(number);
    CHECK(contains(message_of([&] { yaml_to_json("v: " + number); }), "no counterpart in JSON"));
  }
  CHECK(contains(message_of([] { yaml_to_json("a: [1"); }), "not YAML"));
}
