// What a configuration is after its defaults, its base and its spelling.
#include "core/config.hpp"
#include "core/files.hpp"
#include "tests/support/scratch.hpp"

#include <doctest/doctest.h>

using namespace sns;
using sns::test::contains;
using sns::test::message_of;

namespace {

Config parse(const std::string& yaml) {
  return Config::parse(yaml, {}, "x.yaml");
}

/// Reads one of everything, as a verb would.
std::string resolve(const std::string& yaml) {
  const Config config = parse(yaml);
  Section root = config.root();
  bool flag = true;
  std::int64_t count = 3;
  double one = 1.0, small = 1e-5, third = 1.0 / 3.0, large = 1e22, endless = 1e300;
  std::string name = "plain-name", odd = "yes", number = "12", tricky = "a: \"b\"\\ #c\n\x01";
  std::optional<double> nothing, something = 2.0;
  std::vector<int> ints = {1, 2};
  std::vector<double> doubles;
  std::vector<std::string> texts = {"a", "", "null"};
  root.maybe("flag", flag);
  Section child = root.child("child");
  child.maybe("count", count);
  child.maybe("one", one);
  child.child("deeper").maybe("small", small);
  child.child("deeper").maybe("third", third);
  child.child("hollow");
  root.maybe("large", large);
  root.maybe("endless", endless);
  root.maybe("name", name);
  root.maybe("odd", odd);
  root.maybe("number", number);
  root.maybe("tricky", tricky);
  root.maybe("nothing", nothing);
  root.maybe("something", something);
  root.maybe("ints", ints);
  root.maybe("doubles", doubles);
  root.maybe("texts", texts);
  for (Section& item : root.list("items")) {
    int n = 4;
    item.maybe("n", n);
    item.child("inner").maybe("n", n);
  }
  root.list("no_items");
  root.maybe_child("block");
  config.finish();
  return config.resolved_yaml();
}

}  // namespace

TEST_CASE("config: keys that are set aside are no errors, have no part in the result, and hide none") {
  const Config config = parse("a: {x: 1, y: 2, z: 3}\n");
  Section a = config.root().child("a");
  int x = 0;
  a.maybe("x", x);
  CHECK_FALSE(a.set_aside("x"));  // it was read
  CHECK_FALSE(a.set_aside("absent"));
  CHECK(a.set_aside("y"));
  CHECK(message_of<ConfigError>([&] { config.finish(); }) == "a.z is unknown (known here: x, y)  x.yaml:1");
  CHECK(a.set_aside("z"));
  config.finish();
  CHECK(config.resolved_yaml() == "a:\n  x: 1\n");
}

TEST_CASE("config: a file changes keys of its base") {
  const sns::test::ScratchFolder folder;
  const auto write = [&](const char* name, const std::string& text) {
    std::filesystem::create_directories((folder / name).parent_path());
    write_text(folder / name, text);
  };
  write("base.yaml",
        "run: {name: a, seed: 3}\nmodels:\n  x: {kind: gaussian, steps: 5, schedule: {name: step, size: 10}}\n"
        "  y: {kind: sns}\nkeep: [1, 2]\n");
  write("below/child.yaml",
        "base: ../base.yaml\nrun: {name: b}\nmodels:\n  x: {steps: 6, schedule: {name: cosine}}\n  y: null\n"
        "keep: [3]\nnew: 4\n");
  const auto load = [&](const char* name, const std::vector<std::string>& overrides = {}) {
    return Config::load(folder / name, overrides);
  };
  const Config config = load("below/child.yaml", {"models.x.steps=7"});
  Section root = config.root();
  CHECK(root.keys() == std::vector<std::string>{"run", "models", "keep", "new"});
  CHECK(root.child("run").keys() ==
        std::vector<std::string>{"name", "seed"});  // a block, though it begins with name
  CHECK(root.child("models").keys() == std::vector<std::string>{"x"});
  Section x = root.child("models").child("x");
  CHECK(x.child("schedule").keys() == std::vector<std::string>{"name"});  // a choice is replaced
  int steps = 0;
  x.need("steps", steps);
  CHECK(steps == 7);
  std::vector<int> keep;
  root.need("keep", keep);
  CHECK(keep == std::vector<int>{3});

  // Errors name the file and the line that a value was written at.
  CHECK(contains(message_of<ConfigError>([&] { load("below/child.yaml").finish(); }), "base.yaml:1"));
  std::string text;
  CHECK(contains(message_of<ConfigError>([&] {
                   Section run = load("below/child.yaml").root().child("run");
                   run.need("name", text, one_of({"c"}));
                 }),
                 "child.yaml:2"));
  CHECK(contains(message_of<ConfigError>([&] {
                   Section run = load("below/child.yaml").root().child("run");
                   run.need("seed", text, one_of({"c"}));
                 }),
                 "base.yaml:1"));

  write("gone.yaml", "base: nowhere.yaml\n");
  CHECK(contains(message_of<ConfigError>([&] { load("gone.yaml"); }), "gone.yaml:1"));
  write("list.yaml", "base: [base.yaml]\n");
  CHECK(contains(message_of<ConfigError>([&] { load("list.yaml"); }), "must name a file"));
  write("one.yaml", "base: two.yaml\n");
  write("two.yaml", "base: ./one.yaml\n");
  CHECK(contains(message_of<ConfigError>([&] { load("one.yaml"); }), "two.yaml:1"));
}

TEST_CASE("config: the resolved configuration holds defaults and reads back the same") {
  const std::string text = resolve("items: [{n: 1}, {}]\nflag: false\n");
  CHECK(text ==
        "flag: false\n"
        "child:\n"
        "  count: 3\n"
        "  one: 1.0\n"
        "  deeper:\n"
        "    small: 1.0e-05\n"
        "    third: 0.3333333333333333\n"
        "  hollow: {}\n"
        "large: 1.0e+22\n"
        "endless: 1.0e+300\n"
        "name: plain-name\n"
        "odd: \"yes\"\n"
        "number: \"12\"\n"
        "tricky: \"a: \\\"b\\\"\\\\ #c\\n\\x01\"\n"
        "nothing: null\n"
        "something: 2.0\n"
        "ints: [1, 2]\n"
        "doubles: []\n"
        "texts: [a, \"\", \"null\"]\n"
        "items:\n"
        "  - n: 1\n"
        "    inner:\n"
        "      n: 1\n"
        "  - n: 4\n"
        "    inner:\n"
        "      n: 4\n"
        "no_items: []\n"
        "block: null\n");
  CHECK(resolve(text) == text);
}

TEST_CASE("config: a section's resolved text depends on values, not on spelling") {
  const auto text = [](const std::string& yaml) {
    const Config config = parse(yaml);
    double dt = 0.02;
    std::string name = "cn_rk4";
    Section stepper = config.root().child("solver").child("stepper");
    stepper.maybe("name", name);
    stepper.maybe("dt", dt);
    return stepper.resolved_yaml();
  };
  CHECK(text("") == "name: cn_rk4\ndt: 0.02\n");
  CHECK(text("solver: {stepper: {dt: 2e-2, name: 'cn_rk4'}}  # note") == text(""));
  CHECK(text("solver: {stepper: {dt: 0.03}}") != text(""));
}
