// How steps are dealt out to workers, and that neither their number nor where groups are cut shows in the
// numbers.
#include "solvers/spectral/ensemble.hpp"
#include "solvers/spectral/slices.hpp"
#include "tests/support/kolmogorov_cases.hpp"
#include "tests/support/qg2layer_cases.hpp"
#include "tests/support/same_bits.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

using namespace sns;
using namespace sns::spectral;
using namespace sns::test;

namespace {

/// What a worker that takes `pace` units of time for a step did until when.
struct Worker {
  double pace, now = 0;
  std::optional<Slice> slice;
};

struct Played {
  std::vector<std::vector<Slice>> of_group;
  double longest_wait = 0;  ///< from the first worker's end to the last one's
};

/// Plays a call: whoever is done first asks next.
Played play(Slices& slices, int groups, const std::vector<double>& paces) {
  Played played{std::vector<std::vector<Slice>>(static_cast<std::size_t>(groups))};
  std::vector<Worker> workers;
  for (const double pace : paces) workers.push_back({pace, 0, {}});
  std::vector<bool> gone(paces.size(), false);
  while (std::count(gone.begin(), gone.end(), true) < std::ssize(gone)) {
    std::size_t next = paces.size();
    for (std::size_t w = 0; w < workers.size(); ++w)
      if (!gone[w] && (next == paces.size() || workers[w].now < workers[next].now)) next = w;
    Worker& worker = workers[next];
    worker.slice = slices.next(static_cast<int>(next));
    if (!worker.slice) {
      gone[next] = true;
      continue;
    }
    for (std::size_t w = 0; w < workers.size(); ++w)
      if (w != next && workers[w].slice) CHECK(workers[w].slice->group != worker.slice->group);
    played.of_group[static_cast<std::size_t>(worker.slice->group)].push_back(*worker.slice);
    worker.now += worker.pace * static_cast<double>(worker.slice->end - worker.slice->begin);
  }
  const auto by_time = [](const Worker& a, const Worker& b) { return a.now < b.now; };
  const auto [first, last] = std::minmax_element(workers.begin(), workers.end(), by_time);
  played.longest_wait = last->now - first->now;
  return played;
}

}  // namespace

TEST_CASE("slices: every step of a group once and in order, cut where the group is looked at") {
  for (const int workers : {2, 3})
    for (const std::int64_t steps : {1, 8, 57, 400}) {
      CAPTURE(workers);
      CAPTURE(steps);
      const std::vector<std::int64_t> to_look{20, 13, 1, 20, 7};
      Slices slices(workers, steps, 20, to_look);
      const Played played = play(slices, 5, std::vector<double>(static_cast<std::size_t>(workers), 1.0));
      for (std::size_t g = 0; g < to_look.size(); ++g) {
        std::int64_t at = 0;
        for (const Slice& slice : played.of_group[g]) {
          CHECK(slice.begin == at);
          REQUIRE(slice.end > at);
          for (std::int64_t look = to_look[g]; look < steps; look += 20)
            CHECK_FALSE((slice.begin < look && look < slice.end));
          at = slice.end;
        }
        CHECK(at == steps);
      }
    }
}

TEST_CASE("slices: workers of any speed end together, however many groups there are") {
  for (const int groups : {3, 4, 5})
    for (const double pace : {1.0, 1.3, 2.0}) {
      CAPTURE(groups);
      CAPTURE(pace);
      Slices slices(2, 200, 20, std::vector<std::int64_t>(static_cast<std::size_t>(groups), 20));
      const Played played = play(slices, groups, {1.0, pace});
      // By whole groups it would be 200 steps of one worker.
      CHECK(played.longest_wait <= 20 * pace);
      if (pace == 1.0) CHECK(played.longest_wait <= Slices::kLeast);
    }
}

TEST_CASE("slices: a worker stays with its group while the others keep up, and alone takes groups whole") {
  Slices shared(2, 100, 20, {20, 20});
  const Played both = play(shared, 2, {1.0, 1.0});
  CHECK(both.of_group[0].size() >= 5);
  Slices stay(2, 100, 20, {20, 20, 20, 20});
  const Slice first = *stay.next(0), other = *stay.next(1);
  CHECK(stay.next(0)->group == first.group);
  CHECK(stay.next(1)->group == other.group);
  Slices alone(1, 100, 20, {20, 3});
  CHECK(alone.next(0)->end == 100);
  CHECK(alone.next(0)->group == 1);
  CHECK_FALSE(alone.next(0));
}

TEST_CASE("slices: the rest of a group can be taken at once") {
  Slices slices(2, 100, 20, {20, 20});
  Slice slice = *slices.next(0);
  slices.take_rest(slice);
  CHECK(slice.begin == 0);
  CHECK(slice.end == 100);
  const Slice other = *slices.next(1);
  CHECK(other.group != slice.group);
  CHECK_FALSE(slices.next(0));
}

namespace {

/// Members at different steps, one retired; records, advances and records in place, on so many threads.
template <class Params>
std::vector<float> eventful(const Params& p, const Overrides& overrides, int threads,
                            std::vector<std::vector<std::byte>>& saved) {
  constexpr int kMembers = 5;
  const auto solver = make_case(p, overrides, kMembers, threads);
  for (int m = 0; m < kMembers; ++m) {
    for (int other = 0; other < kMembers; ++other) solver->retire(other, {false, 0, "later"});
    solver->initialise(m, static_cast<std::uint64_t>(m));
    solver->advance(7 * m);
    saved.push_back(solver->save(m));
  }
  for (int m = 0; m < kMembers; ++m) solver->restore(m, saved[static_cast<std::size_t>(m)]);
  solver->retire(3, {false, 21, "told to"});
  const FrameRequest request{5, 9, {2, Coarsening::spectral}}, still{2, 0, {2, Coarsening::spectral}};
  const std::size_t values = solver->frame_size(2);
  std::vector<float> all;
  for (const FrameRequest& each : {request, still}) {
    std::vector<float> frames(kMembers * static_cast<std::size_t>(each.frames) * values);
    solver->record(each, frames);
    all.insert(all.end(), frames.begin(), frames.end());
    solver->advance(31);
    solver->record_in_place(each, frames.data(), static_cast<std::size_t>(each.frames) * values);
    all.insert(all.end(), frames.begin(), frames.end());
  }
  saved.clear();
  for (int m = 0; m < kMembers; ++m) {
    CHECK(solver->step(m) == (m == 3 ? 21 : 7 * m + 2 * (45 + 31)));
    saved.push_back(solver->save(m));
  }
  return all;
}

template <class Params>
void check_threads(const Params& p, const Overrides& overrides) {
  std::vector<std::vector<std::byte>> expected_states;
  const std::vector<float> expected = eventful(p, overrides, 1, expected_states);
  CHECK(std::any_of(expected.begin(), expected.end(), [](float x) { return std::isnan(x); }));
  CHECK(std::isfinite(expected[0]));
  for (const int threads : {2, 3, 5}) {
    CAPTURE(threads);
    std::vector<std::vector<std::byte>> states;
    CHECK(same_bits(eventful(p, overrides, threads, states), expected));
    CHECK(states == expected_states);
  }
}

}  // namespace

TEST_CASE("members at different steps have the same frames and states on any number of threads") {
  kolmogorov::Params flow;
  flow.grid.n = 32;
  flow.dt = 0.01;
  for (const char* precision : {"float64", "float32"}) check_threads(flow, {{"precision", precision}});
  check_threads(eddy_case(32), {});
}

TEST_CASE("members that fail between slices fail at the same step on any number of threads") {
  // Forced from rest or nearly so, members pass the limit one after another.
  kolmogorov::Params p;
  p.grid.n = 32;
  p.dt = 0.01;
  const auto run = [&](int threads, std::vector<MemberStatus>& statuses) {
    const auto solver = make_case(p, {{"max_courant", "0.1"}, {"forcing.amplitude", "4"}}, 4, threads);
    std::vector<float> frames(4 * 30 * solver->frame_size(1));
    for (int m = 0; m < 4; ++m) {
      std::vector<double> w(solver->state_size());
      for (std::size_t at = 0; at < w.size(); ++at)
        w[at] = -0.8 * m * std::cos(4 * static_cast<double>(at % 32) * p.grid.spacing());
      solver->set_state(m, w);
    }
    solver->record({30, 7, {}}, frames);
    for (int m = 0; m < 4; ++m) statuses.push_back(solver->status(m));
    return frames;
  };
  std::vector<MemberStatus> expected;
  const auto frames = run(1, expected);
  CHECK_FALSE(expected[3].alive);
  CHECK(expected[3].failed_step % kGuardInterval == 0);
  CHECK(expected[0].failed_step != expected[3].failed_step);
  for (const int threads : {2, 3}) {
    std::vector<MemberStatus> statuses;
    CHECK(same_bits(run(threads, statuses), frames));
    for (std::size_t m = 0; m < 4; ++m) {
      CHECK(statuses[m].alive == expected[m].alive);
      CHECK(statuses[m].failed_step == expected[m].failed_step);
      CHECK(statuses[m].reason == expected[m].reason);
    }
  }
}

TEST_CASE("an ensemble that has failed is not stepped on, on several threads either") {
  kolmogorov::Params p;
  p.grid.n = 32;
  const auto solver = make_case(p, {}, 3, 2);
  for (int m = 0; m < 3; ++m) {
    solver->initialise(m, static_cast<std::uint64_t>(m));
    solver->retire(m, {false, 0, "told to"});
  }
  solver->advance(std::int64_t{1} << 50);
  for (int m = 0; m < 3; ++m) CHECK(solver->step(m) == 0);
}
