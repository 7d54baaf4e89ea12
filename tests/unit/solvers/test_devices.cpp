// Devices by name, as far as they can be told without one.
#include "core/error.hpp"
#include "solvers/cuda_plugin.hpp"
#include "tests/support/solver_cases.hpp"

#include <doctest/doctest.h>

using namespace sns;
using namespace sns::test;

namespace {

std::unique_ptr<Solver> solver_on(std::string_view device) {
  return solver_of(
      "{system: kolmogorov, grid: {points: 16}, viscosity: 1.0e-2, drag: 0.1, stepper: {dt: 0.01}}", {}, 1, 1,
      1, device);
}

}  // namespace

TEST_CASE("a word that names no device is a mistake in the configuration") {
  for (const char* word : {"gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", "CUDA", ""})
    CHECK_THROWS_WITH_AS(solver_on(word), doctest::Contains("is unknown: auto, cpu, cuda or cuda:N"),
                         ConfigError);
}

TEST_CASE("a device that is not there is told from a mistake, with the reason and the way out") {
  for (const char* absent : {"cuda:99", "cuda:2147483647"}) {
    std::string message;
    try {
      solver_on(absent);
    } catch (const ConfigError&) {
      message = "taken for a mistake";
    } catch (const Error& error) {
      message = error.what();
    }
    CAPTURE(message);
    CHECK(message.starts_with(fmt::format("device {} cannot be used: ", absent)));
    CHECK(message.find("run.device=") != std::string::npos);
    CHECK(message.find('\n') == std::string::npos);
  }
}

TEST_CASE("auto takes a device where there is one, and cores otherwise") {
  std::string why;
  const bool usable = cuda_usable(why);
  const auto solver = solver_on("auto");
  CHECK(solver->info().backend == (usable ? "cufft" : "fftw"));
  CHECK(solver->device() == (usable ? 0 : -1));
  CHECK(usable == why.empty());
  CHECK(solver_on("cpu")->device() == -1);
}
