#include "datagen/simulate.hpp"

#include "core/error.hpp"
#include "core/files.hpp"
#include "core/hdf5.hpp"
#include "datagen/solver_source.hpp"
#include "tests/support/child.hpp"
#include "tests/support/scratch.hpp"
#include "tests/unit/datagen/toy_data.hpp"

#include <doctest/doctest.h>

#include <sys/resource.h>

#include <cmath>
#include <csignal>
#include <cstring>

using namespace sns;
namespace fs = std::filesystem;

namespace {

SimulatePlan toy_simulation() {
  SimulatePlan plan;
  plan.seed = 3;
  plan.members = 3;
  plan.steps = 100;
  plan.every = 7;
  plan.diagnostics_every = 5;
  plan.coarsen = {2, Coarsening::spectral};
  return plan;
}

void run(const fs::path& output, ToySettings& settings, const SimulatePlan& plan, bool resume = false,
         double checkpoint_seconds = 0) {
  const SolverSource source = toy_source(settings);
  simulate(plan, source, "a: 1\n", {output, resume, false, checkpoint_seconds});
}

template <class T>
std::vector<T> read(const fs::path& file, const std::string& path) {
  return h5::File::open_read(file).dataset(path).read<T>();
}

bool same_results(const fs::path& a, const fs::path& b) {
  // Bits, so that NaN equals NaN.
  const auto equal = [](const auto& x, const auto& y) {
    return x.size() == y.size() && std::memcmp(x.data(), y.data(), x.size() * sizeof(x[0])) == 0;
  };
  return equal(read<float>(a, "field_0"), read<float>(b, "field_0")) &&
         equal(read<double>(a, "diagnostics/mean"), read<double>(b, "diagnostics/mean")) &&
         equal(read<double>(a, "time"), read<double>(b, "time"));
}

h5::Dataset write_states(const fs::path& path, const h5::Shape& shape, const std::vector<double>& values) {
  h5::File file = h5::File::create(path);
  return file.write<double>("state", shape, values);
}

}  // namespace

TEST_CASE("frames, diagnostics and times are those of the solver") {
  ScratchFolder scratch;
  ToySettings settings;
  const SimulatePlan plan = toy_simulation();
  run(scratch.path / "a.h5", settings, plan);
  const auto frames = read<float>(scratch.path / "a.h5", "field_0");
  const auto mean = read<double>(scratch.path / "a.h5", "diagnostics/mean");
  CHECK(h5::File::open_read(scratch.path / "a.h5").dataset("field_0").shape() == h5::Shape{3, 15, 4, 4});
  CHECK(h5::File::open_read(scratch.path / "a.h5").dataset("diagnostics/mean").shape() == h5::Shape{3, 21});
  CHECK(read<double>(scratch.path / "a.h5", "time")[2] == 14 * 0.25);
  CHECK(read<double>(scratch.path / "a.h5", "diagnostics/time")[2] == 10 * 0.25);
  ToySolver solver(settings, 3);
  for (int m = 0; m < 3; ++m) solver.initialise(m, static_cast<std::uint64_t>(m));
  std::vector<float> frame(16);
  for (std::size_t step = 0; step <= 100; ++step) {
    for (std::size_t m = 0; m < 3; ++m) {
      if (step % 7 == 0) {
        solver.frame(static_cast<int>(m), {2, Coarsening::spectral}, frame);
        CHECK(std::equal(frame.begin(), frame.end(),
                         frames.begin() + static_cast<std::ptrdiff_t>((m * 15 + step / 7) * 16)));
      }
      if (step % 5 == 0) CHECK(solver.diagnostics(static_cast<int>(m))[0] == mean[m * 21 + step / 5]);
    }
    solver.advance(1);
  }
  CHECK(!fs::exists(scratch.path / "a.h5.partial"));
}

TEST_CASE("stopped, crashed and lengthened runs equal an uninterrupted one") {
  ScratchFolder scratch;
  ToySettings settings;
  settings.fails = {{1, 44}};
  const SimulatePlan plan = toy_simulation();
  run(scratch.path / "whole.h5", settings, plan);

  for (const bool crash : {false, true}) {
    const fs::path output = scratch.path / (crash ? "crash.h5" : "stop.h5");
    int calls = 0, runs = 0;
    settings.on_advance = [&] {
      if (++calls % 3 != 0) return;
      if (crash) throw std::runtime_error("crash");
      request_stop();
    };
    for (bool complete = false; !complete;) {
      REQUIRE(++runs < 100);
      try {
        run(output, settings, plan, true);
        complete = true;
      } catch (const Stopped&) {
        reset_stop();
        CHECK(!fs::exists(output));
      } catch (const std::runtime_error& error) {
        REQUIRE(std::string(error.what()) == "crash");
      }
    }
    settings.on_advance = nullptr;
    CHECK(runs > 3);
    CHECK(same_results(output, scratch.path / "whole.h5"));
  }

  const fs::path longer = scratch.path / "longer.h5";
  SimulatePlan part = plan;
  part.steps = 51;
  run(longer, settings, part);
  CHECK_THROWS_AS(run(longer, settings, plan), ConfigError);
  run(longer, settings, plan, true);
  CHECK(same_results(longer, scratch.path / "whole.h5"));
  part.every = 10;
  CHECK_THROWS_AS(run(longer, settings, part, true), ConfigError);
}

TEST_CASE("arrays among the diagnostics: values, axes, resuming") {
  ScratchFolder scratch;
  ToySettings settings;
  SimulatePlan plan = toy_simulation();
  plan.arrays = true;
  run(scratch.path / "whole.h5", settings, plan);
  const auto rows = read<double>(scratch.path / "whole.h5", "diagnostics/rows");
  const auto points = static_cast<std::size_t>(settings.points);
  REQUIRE(rows.size() == 3 * 21 * points);
  ToySolver solver(settings, 3);
  for (int m = 0; m < 3; ++m) {
    solver.initialise(m, static_cast<std::uint64_t>(m));
  }
  for (std::size_t time = 0; time < 21; ++time) {
    for (std::size_t m = 0; m < 3; ++m) {
      const auto first = rows.begin() + static_cast<std::ptrdiff_t>((m * 21 + time) * points);
      CHECK(solver.array_diagnostics(static_cast<int>(m)) ==
            std::vector<double>(first, first + static_cast<std::ptrdiff_t>(points)));
    }
    solver.advance(5);
  }
  const h5::File file = h5::File::open_read(scratch.path / "whole.h5");
  CHECK(file.dataset("diagnostics/row").shape() == h5::Shape{points});
  CHECK(file.dataset("diagnostics/rows").attribute<std::string>("long_name") ==
        "mean of each row of the first field");

  SimulatePlan part = plan;
  part.steps = 51;
  run(scratch.path / "longer.h5", settings, part);
  run(scratch.path / "longer.h5", settings, plan, true);
  CHECK(same_results(scratch.path / "longer.h5", scratch.path / "whole.h5"));
  CHECK(read<double>(scratch.path / "longer.h5", "diagnostics/rows") == rows);
  // A run without them is another run.
  part.arrays = false;
  CHECK_THROWS_AS(run(scratch.path / "longer.h5", settings, part, true), ConfigError);
}

TEST_CASE("members that fail are NaN from then on; the run ends when all have failed") {
  ScratchFolder scratch;
  ToySettings settings;
  settings.fails = {{1, 44}};
  SimulatePlan plan = toy_simulation();
  run(scratch.path / "a.h5", settings, plan);
  const auto frames = read<float>(scratch.path / "a.h5", "field_0");
  CHECK(std::isfinite(frames[(15 + 6) * 16]));
  CHECK(std::isnan(frames[(15 + 7) * 16]));
  CHECK(std::isfinite(frames[(30 + 14) * 16]));
  CHECK(read<std::int64_t>(scratch.path / "a.h5", "provenance/failed_step") ==
        std::vector<std::int64_t>{-1, 44, -1});

  settings.fails = {{0, 20}, {1, 44}, {2, 30}};
  CHECK_THROWS_WITH_AS(run(scratch.path / "b.h5", settings, plan),
                       doctest::Contains("member 0 failed at step 20 (time 5): told to fail"), Error);
  CHECK(read<double>(scratch.path / "b.h5", "time").size() < 15);
  CHECK_THROWS_AS(run(scratch.path / "b.h5", settings, plan, true), Error);
}

TEST_CASE("full output stacks the fields of systems that ask for it, and is lengthened like any other") {
  ScratchFolder scratch;
  ToySettings settings;
  settings.fields = 2;
  SimulatePlan plan = toy_simulation();
  plan.full = true;
  run(scratch.path / "apart.h5", settings, plan);
  settings.stacked = true;
  const fs::path path = scratch.path / "stacked.h5";
  SimulatePlan begun = plan;
  begun.steps = 40;
  run(path, settings, begun);
  run(path, settings, plan, true);
  const auto file = h5::File::open_read(path);
  const auto all = file.dataset("all");
  CHECK(all.shape() == h5::Shape{3, 15, 2, 8, 8});
  CHECK(file.dataset("level").read<std::int64_t>() == std::vector<std::int64_t>{1, 2});
  CHECK(!file.exists("field_0"));
  const auto values = all.read<double>();
  for (std::size_t f = 0; f < 2; ++f) {
    const auto apart = read<double>(scratch.path / "apart.h5", "field_" + std::to_string(f));
    bool equal = true;
    for (std::size_t frame = 0; frame < 3 * 15; ++frame)
      equal &= std::equal(&apart[frame * 64], &apart[frame * 64] + 64, &values[(2 * frame + f) * 64]);
    CHECK(equal);
  }
  // Coarse frames stay apart.
  plan.full = false;
  run(scratch.path / "coarse.h5", settings, plan);
  CHECK(h5::File::open_read(scratch.path / "coarse.h5").exists("field_1"));
}

TEST_CASE("initial states are checked") {
  ScratchFolder scratch;
  ToySettings settings;
  const SolverInfo info = toy_source(settings).info();
  const auto address = [&](const char* name) { return (scratch.path / name).string() + ":/state"; };
  std::vector<double> values(2 * 64);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = 0.001 * static_cast<double>(i);

  write_states(scratch.path / "good.h5", {2, 8, 8}, values);
  SimulatePlan plan = toy_simulation();
  plan.initial = read_initial_states(address("good.h5"), info);
  plan.members = plan.initial->members;
  CHECK(plan.members == 2);
  plan.full = true;
  run(scratch.path / "a.h5", settings, plan);
  const auto full = read<double>(scratch.path / "a.h5", "field_0");
  CHECK(std::equal(values.begin(), values.begin() + 64, full.begin()));
  CHECK(h5::File::open_read(scratch.path / "a.h5").dataset("field_0").kind() == h5::Kind::float64);

  write_states(scratch.path / "single.h5", {8, 8}, {values.begin(), values.begin() + 64});
  CHECK(read_initial_states(address("single.h5"), info).members == 1);
  write_states(scratch.path / "wrong.h5", {2, 64}, values);
  CHECK_THROWS_WITH_AS(read_initial_states(address("wrong.h5"), info), doctest::Contains("has shape (2, 64)"),
                       Error);
  values[64 + 11] = std::nan("");
  write_states(scratch.path / "nan.h5", {2, 8, 8}, values);
  CHECK_THROWS_WITH_AS(read_initial_states(address("nan.h5"), info), doctest::Contains("at (1, 1, 3)"), Error);
  CHECK_THROWS_AS(read_initial_states(address("absent.h5"), info), Error);
  CHECK_THROWS_AS(read_initial_states((scratch.path / "good.h5").string() + ":/other", info), Error);
  CHECK_THROWS_AS(read_initial_states((scratch.path / "good.h5").string(), info), ConfigError);
  fs::resize_file(scratch.path / "good.h5", 600);
  CHECK_THROWS_AS(read_initial_states(address("good.h5"), info), Error);
}

TEST_CASE("a run that is killed while its output is written leaves nothing beside the output") {
  ScratchFolder scratch;
  const fs::path output = scratch.path / "a.h5";
  ToySettings settings;
  settings.points = 32;
  SimulatePlan plan = toy_simulation();
  plan.coarsen = {};
  const std::uint64_t frames = simulate_bytes(plan, toy_source(settings).info());
  const test::ChildResult child = test::in_child([&] {
    // The output is larger than the log of its frames, by what HDF5 adds.
    const rlimit limit{frames + 1000, frames + 1000}, no_core{0, 0};
    require(::setrlimit(RLIMIT_FSIZE, &limit) == 0 && ::setrlimit(RLIMIT_CORE, &no_core) == 0, "no limit");
    run(output, settings, plan);
    return 0;
  });
  REQUIRE_MESSAGE(child.signal == SIGXFSZ, child.err);
  REQUIRE(!fs::exists(output));
  run(output, settings, plan, true);
  CHECK(std::distance(fs::directory_iterator(scratch.path), fs::directory_iterator()) == 1);
  CHECK(fs::exists(output));
}

TEST_CASE("a source of solvers notices that its file of initial states was replaced") {
  const test::ScratchFolder scratch;
  const auto write = [&](double value) {
    const auto path = scratch / fmt::format("{}.h5", value);
    h5::File::create(path).write<double>("w", {16, 16}, std::vector<double>(256, value));
    fs::rename(path, scratch / "start.h5");
  };
  write(0);
  const Config config = Config::parse(
      fmt::format("solver: {{system: kolmogorov, grid: {{points: 16}}, viscosity: 0.01, stepper: {{dt: 0.01}}, "
                  "initial: {{kind: file, path: '{}:/w'}}}}",
                  (scratch / "start.h5").string()));
  RunConfig run;
  run.threads = 1;
  const SolverSource source(config, run);
  CHECK_NOTHROW(source.make(1));
  write(1);
  CHECK_THROWS_WITH_AS(source.make(1), doctest::Contains("changed while it was in use"), Error);
  CHECK_THROWS_WITH_AS(source.make_beside_work(2), doctest::Contains("sha256"), Error);
}
