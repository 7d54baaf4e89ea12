#include "core/parallel.hpp"
#include "core/run_config.hpp"
#include "tests/support/scratch.hpp"

#include <doctest/doctest.h>

using namespace sns;
using sns::test::contains;
using sns::test::message_of;

namespace {

RunConfig run(const std::string& yaml) {
  return read_run(Config::parse(yaml, {}, "x.yaml"));
}
std::string refuse(const std::string& yaml) {
  return message_of<ConfigError>([&] { run(yaml); });
}

}  // namespace

TEST_CASE("run block: defaults") {
  const RunConfig config = run("");
  CHECK(config.name == "run");
  CHECK(config.seed == 0);
  CHECK(config.output == "runs/run");
  CHECK(config.device == "auto");
  CHECK(config.threads == default_threads());
  CHECK(run("run: {name: k64}").output == "runs/k64");
}

TEST_CASE("run block: values") {
  const RunConfig config =
      run("run: {name: a-1, seed: 18446744073709551615, output: /data/x, device: 'cuda:3', threads: 12}");
  CHECK(config.seed == ~std::uint64_t{0});
  CHECK(config.output == "/data/x");
  CHECK(config.device == "cuda:3");
  CHECK(config.threads == 12);
  CHECK(run("run: {threads: auto}").threads == default_threads());
}

TEST_CASE("run block: errors") {
  CHECK(refuse("run:\n  threads: 0\n") ==
        "run.threads: must be auto or a whole number from 1 to 1024, not '0'  x.yaml:2");
  CHECK(contains(refuse("run: {threads: -2}"), "not '-2'"));
  CHECK(contains(refuse("run: {threads: many}"), "not 'many'"));
  CHECK(contains(refuse("run: {threads: 1.5}"), "not '1.5'"));
  CHECK(contains(refuse("run: {threads: 99999}"), "not '99999'"));
  CHECK(contains(refuse("run: {threads: ''}"), "not ''"));
  for (const char* word : {"'cuda:'", "'cuda:x'", "'cuda:-1'", "'cuda:1x'", "CUDA", "''"})
    CHECK_MESSAGE(
        contains(refuse(fmt::format("run: {{device: {}}}", word)), "must be auto, cpu, cuda or cuda:N"), word);
  CHECK(refuse("run: {device: gpu}") == "run.device is gpu but must be auto, cpu, cuda or cuda:N  x.yaml:1");
  CHECK(contains(refuse("run: {name: a/b}"), "as it names a folder"));
  CHECK(contains(refuse("run: {name: ..}"), "as it names a folder"));
  CHECK(contains(refuse("run: {output: ''}"), "must name a folder"));
  CHECK(contains(refuse("run: {seed: -1}"), "run.seed must be a non-negative integer"));
}

TEST_CASE("run block: the resolved configuration keeps auto, and numbers as numbers") {
  const auto resolved = [](const std::string& yaml) {
    const Config config = Config::parse(yaml);
    read_run(config);
    config.finish();
    return config.resolved_yaml();
  };
  CHECK(resolved("") == "run:\n  name: run\n  seed: 0\n  output: runs/run\n  device: auto\n  threads: auto\n");
  CHECK(contains(resolved("run: {threads: 3}"), "  threads: 3\n"));
}
