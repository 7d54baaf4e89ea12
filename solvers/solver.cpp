#include "solvers/solver.hpp"

#include "core/log.hpp"
#include "solvers/cuda_plugin.hpp"
#include "solvers/kolmogorov/kolmogorov.hpp"
#include "solvers/qg2layer/qg2layer.hpp"

namespace sns {

std::size_t Solver::state_size() const {
  return frame_size(1);
}

std::size_t Solver::frame_size(int factor) const {
  require(factor >= 1, "coarsening factor {} is not positive", factor);
  std::size_t size = info().fields.size();
  for (const Axis& axis : info().axes) size *= axis.coordinates.size() / static_cast<std::size_t>(factor);
  return size;
}

namespace {

std::string resolve_device(std::string_view device) {
  if (device == "auto") {
    std::string why;
    if (cuda_usable(why)) return "cuda";
    log::debug("device auto: cpu, because {}", why);
    return "cpu";
  }
  if (device != "cpu" && device != "cuda" && !device.starts_with("cuda:"))
    fail<ConfigError>("device '{}' is unknown: auto, cpu, cuda or cuda:N", device);
  return std::string(device);
}

}  // namespace

std::unique_ptr<Solver> make_solver(Section& solver, std::uint64_t seed, int members, int threads,
                                    std::string_view device) {
  if (members < 1) fail<ConfigError>("{} members: at least 1 is needed", members);
  if (threads < 1) fail<ConfigError>("{} threads: at least 1 is needed", threads);
  std::string system;
  solver.need("system", system, one_of({"kolmogorov", "qg2layer"}));
  if (system == "qg2layer")
    return qg2layer::make_qg2layer(qg2layer::read_config(solver), seed, members, threads, resolve_device(device));
  return kolmogorov::make_kolmogorov(kolmogorov::read_config(solver), seed, members, threads,
                                     resolve_device(device));
}

}  // namespace sns
