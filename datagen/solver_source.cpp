#include "datagen/solver_source.hpp"

#include "core/stop.hpp"

#include <utility>

namespace sns {

SolverSource::SolverSource(const Config& config, const RunConfig& run) {
  make_ = [config, run](int members) {
    Section section = config.root().child("solver");
    return make_solver(section, run.seed, members, run.threads, run.device);
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
