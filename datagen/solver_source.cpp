#include "datagen/solver_source.hpp"

#include "core/error.hpp"
#include "core/stop.hpp"
#include "core/text.hpp"

#include <utility>

namespace sns {

SolverSource::SolverSource(const Config& config, const RunConfig& run) {
  const auto first = std::make_shared<std::string>();  // the block as the first solver read it
  make_ = [config, run, first](int members) {
    Section section = config.root().child("solver");
    auto solver = make_solver(section, run.seed, members, run.threads, run.device);
    const std::string yaml = section.resolved_yaml();
    if (first->empty()) *first = yaml;
    const auto [before, now] = first_difference(*first, yaml);
    require(*first == yaml, "the file of initial states changed while it was in use (before: {}; now: {})",
            before, now);
    return solver;
  };
  look_at(*make(1));
  yaml_ = config.root().child("solver").resolved_yaml();
}

SolverSource::SolverSource(std::function<std::unique_ptr<Solver>(int members)> make, std::string yaml)
    : make_(std::move(make)), yaml_(std::move(yaml)) {
  look_at(*this->make(1));
}

std::unique_ptr<Solver> SolverSource::make(int members) const {
  const EndAtOnce planning;  // of transforms, and allocation
  return make_(members);
}

void SolverSource::look_at(const Solver& solver) {
  info_ = solver.info();
  device_ = solver.device();
}

}  // namespace sns
