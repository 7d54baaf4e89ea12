#include "core/hdf5.hpp"
#include "emulator/diffusion/schedule.hpp"
#include "tests/support/emulator_tolerances.hpp"
#include "tests/support/golden_network.hpp"
#include "tests/support/torch_doctest.hpp"
#include "tests/support/worst_of.hpp"

#include <cmath>

TEST_CASE("schedules agree with the recorded tables") {
  const auto file = sns::h5::File::open_read(sns::test::golden_file("emulator_schedules.h5"));
  const auto names = file.names();
  REQUIRE(names.size() == 7);
  for (const std::string& name : names) {
    CAPTURE(name);
    if (name.starts_with("reference")) continue;  // below
    const auto digits = name.find_first_of("0123456789");
    const auto schedule = sns::Schedule::make(name.substr(0, digits), std::stoi(name.substr(digits)));
    const auto compare = [&](const char* table, const std::vector<double>& ours) {
      CAPTURE(table);
      const auto golden = file.dataset(name + "/" + table).read<double>();
      REQUIRE(golden.size() == ours.size());
      double worst = 0;
      for (std::size_t s = 0; s < ours.size(); ++s)
        worst = sns::test::worst_of({worst, std::abs(ours[s] - golden[s])});
      CHECK(worst < sns::tolerance::kSchedule);
    };
    compare("beta", schedule.beta);
    compare("alpha", schedule.alpha);
    compare("alpha_bar", schedule.alpha_bar);
    compare("posterior_std", schedule.posterior_std);
  }
}

TEST_CASE("the tables of the reference are ours in single precision") {
  const auto file = sns::h5::File::open_read(sns::test::golden_file("emulator_schedules.h5"));
  const auto schedule = sns::Schedule::cosine(1000);
  const auto compare = [&](const char* table, double tolerance, auto value) {
    CAPTURE(table);
    const auto golden = file.dataset(std::string("reference_float32_cosine1000/") + table).read<float>();
    REQUIRE(golden.size() == 1000);
    double worst = 0;
    for (int s = 0; s < 1000; ++s)
      worst = sns::test::worst_of(
          {worst, std::abs(value(s) - static_cast<double>(golden[static_cast<std::size_t>(s)]))});
    CHECK(worst < tolerance);
  };
  const auto at = [](const std::vector<double>& values) {
    return [&values](int s) { return values[static_cast<std::size_t>(s)]; };
  };
  compare("betas", sns::tolerance::kSchedule32Beta, at(schedule.beta));
  compare("alphas", sns::tolerance::kSchedule32Beta, at(schedule.alpha));
  compare("alphas_cumprod", sns::tolerance::kSchedule32, at(schedule.alpha_bar));
  compare("sqrt_alphas_cumprod", sns::tolerance::kSchedule32, [&](int s) { return schedule.signal(s); });
  compare("sqrt_one_minus_alphas_cumprod", sns::tolerance::kSchedule32Cancels,
          [&](int s) { return schedule.noise_std(s); });
}
