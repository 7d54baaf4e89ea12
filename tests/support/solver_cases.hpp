#pragma once
// What tests of all solvers share: overrides of their configuration, states, and distances between fields.
#include "core/config.hpp"
#include "solvers/solver.hpp"
#include "tests/support/tolerances.hpp"

#include <cmath>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace sns::test {

/// Keys of the solver block and their values ("stepper.name", "cn_rk2").
using Overrides = std::vector<std::pair<std::string, std::string>>;

/// The solver of a block with overrides.
inline std::unique_ptr<Solver> solver_of(const std::string& block, const Overrides& overrides, int members = 1,
                                         int threads = 1, std::uint64_t seed = 1,
                                         std::string_view device = "cpu") {
  std::vector<std::string> keys;
  for (const auto& [key, value] : overrides) keys.push_back("solver." + key + "=" + value);
  const Config config = Config::parse("solver: " + block, keys, "test.yaml");
  Section section = config.root().child("solver");
  auto solver = make_solver(section, seed, members, threads, device);
  config.finish();
  return solver;
}

inline std::vector<double> state_of(const Solver& solver, int member = 0) {
  std::vector<double> state(solver.state_size());
  solver.state(member, state);
  return state;
}

/// |a - b| / |b| in the Euclidean norm.
template <class A, class B>
double relative_error(const A& a, const B& b) {
  if (a.size() != b.size()) return INFINITY;
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
    difference += (x - y) * (x - y);
    norm += y * y;
  }
  return std::sqrt(difference / norm);
}
inline double relative_error(const std::vector<double>& a, const std::vector<double>& b) {
  return relative_error<std::vector<double>, std::vector<double>>(a, b);
}

}  // namespace sns::test
