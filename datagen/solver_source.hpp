#pragma once
// Makes solvers of one configuration, as many as a stage needs.
#include "core/config.hpp"
#include "core/run_config.hpp"
#include "solvers/solver.hpp"

#include <functional>
#include <memory>
#include <string>

namespace sns {

class SolverSource {
 public:
  /// Reads and checks the `solver` block of `config`.
  SolverSource(const Config& config, const RunConfig& run);
  /// From a function, with the text that identifies what it makes (used by tests).
  SolverSource(std::function<std::unique_ptr<Solver>(int members)> make, std::string yaml);

  /// For where nothing is under way that could be lost: a stop ends the program while the solver is planned.
  std::unique_ptr<Solver> make(int members) const;
  /// For where there is: a stop is left to whoever polls next.
  std::unique_ptr<Solver> make_beside_work(int members) const { return make_(members); }
  const SolverInfo& info() const { return info_; }
  /// The resolved `solver` block.
  const std::string& yaml() const { return yaml_; }

 private:
  std::function<std::unique_ptr<Solver>(int members)> make_;
  std::string yaml_;
  SolverInfo info_;
};

}  // namespace sns
