#include "core/hdf5.hpp"
#include "emulator/diffusion/schedule.hpp"
#include "tests/support/emulator_tolerances.hpp"
#include "tests/support/torch_doctest.hpp"

#include <cmath>

TEST_CASE("schedules agree with the recorded tables") {
  const auto file = sns::h5::File::open_read(SNS_SOURCE_DIR "/tests/golden/data/emulator_schedules.h5");
  const auto names = file.names();
  REQUIRE(names.size() == 6);
  for (const std::string& name : names) {
    CAPTURE(name);
    const auto digits = name.find_first_of("0123456789");
    const auto schedule = sns::Schedule::make(name.substr(0, digits), std::stoi(name.substr(digits)));
    const auto compare = [&](const char* table, const std::vector<double>& ours) {
      CAPTURE(table);
      const auto golden = file.dataset(name + "/" + table).read<double>();
      REQUIRE(golden.size() == ours.size());
      double worst = 0;
      for (std::size_t s = 0; s < ours.size(); ++s) worst = std::max(worst, std::abs(ours[s] - golden[s]));
      CHECK(worst < sns::tolerance::kSchedule);
    };
    compare("beta", schedule.beta);
    compare("alpha", schedule.alpha);
    compare("alpha_bar", schedule.alpha_bar);
    compare("posterior_std", schedule.posterior_std);
  }
}
