#include "solvers/solver.hpp"

#include "core/device_name.hpp"
#include "core/log.hpp"
#include "core/memory.hpp"
#include "solvers/cuda_plugin.hpp"
#include "solvers/kolmogorov/kolmogorov.hpp"
#include "solvers/qg2layer/qg2layer.hpp"

#include <algorithm>

namespace sns {

std::string time_text(double time, const SolverInfo& info) {
  return info.time_units == "1" ? fmt::format("{:g}", time) : fmt::format("{:g} {}", time, info.time_units);
}

std::optional<double> scalar(const SolverInfo& info, std::string_view name) {
  for (const auto& [known, value] : info.scalars)
    if (known == name) return value;
  return std::nullopt;
}

std::size_t value_count(const DiagnosticInfo& diagnostic, const SolverInfo& info) {
  std::size_t count = 1;
  for (const std::string& name : diagnostic.axes) {
    const auto axis = std::find_if(info.diagnostic_axes.begin(), info.diagnostic_axes.end(),
                                   [&](const Axis& a) { return a.name == name; });
    require(axis != info.diagnostic_axes.end(), "diagnostic {}: there is no axis {}", diagnostic.name, name);
    count *= axis->coordinates.size();
  }
  return count;
}

std::size_t Solver::state_size() const {
  return frame_size(1);
}

std::size_t Solver::frame_size(int factor) const {
  require(factor >= 1, "coarsening factor {} is not positive", factor);
  std::size_t size = info().fields.size();
  for (const Axis& axis : info().axes) size *= axis.coordinates.size() / static_cast<std::size_t>(factor);
  return size;
}

std::shared_ptr<float> Solver::frame_memory(std::size_t count) const {
  const auto memory = std::make_shared<std::vector<float>>(count);
  return {memory, memory->data()};
}

void Solver::record_in_place(const FrameRequest& request, float* out, std::size_t stride) {
  record_on_host(request, out, stride);
}

void Solver::record_on_host(const FrameRequest& request, float* out, std::size_t stride) {
  const std::size_t values = static_cast<std::size_t>(request.frames) * frame_size(request.coarsen.factor);
  std::vector<float> recorded(static_cast<std::size_t>(members()) * values);
  record(request, recorded);
  for (std::size_t m = 0; m < static_cast<std::size_t>(members()); ++m)
    std::copy_n(&recorded[m * values], values, out + m * stride);
}

namespace {

std::string resolve_device(std::string_view device) {
  const auto name = parse_device(device);
  if (!name) fail<ConfigError>("device '{}' is unknown: {}", device, kDeviceNames);
  if (name->kind != DeviceName::Kind::automatic) return std::string(device);
  std::string why;
  if (cuda_usable(why)) return "cuda";
  log::debug("device auto: cpu, because {}", why);
  return "cpu";
}

/// Refuses what cannot fit, before it is allocated.
void require_room(const spectral::Grid& grid, std::size_t fields, bool single, int members, int threads,
                  const std::string& device) {
  if (device != "cpu") return;  // the device says so itself
  require_memory(least_solver_bytes(grid.points() * fields, single, members, threads),
                 fmt::format("{0} members of a {1} x {1} grid", members, grid.n));
}

}  // namespace

double least_solver_bytes(std::size_t state_values, bool single, int members, int threads) {
  // Measured: of a member state, frame and copies for a checkpoint; of a thread and of the whole room to work
  // in.
  constexpr double kMemberArrays = 4, kThreadArrays = 6, kWorkArrays = 12;
  const double array = static_cast<double>(state_values) * (single ? sizeof(float) : sizeof(double));
  return array * (kMemberArrays * members + kThreadArrays * std::min(members, threads) + kWorkArrays);
}

std::unique_ptr<Solver> make_solver(Section& solver, std::uint64_t seed, int members, int threads,
                                    std::string_view device) {
  if (members < 1) fail<ConfigError>("{} members: at least 1 is needed", members);
  if (threads < 1) fail<ConfigError>("{} threads: at least 1 is needed", threads);
  std::string system;
  solver.need("system", system, one_of({"kolmogorov", "qg2layer"}));
  const std::string where = resolve_device(device);
  if (system == "qg2layer") {
    const qg2layer::Qg2LayerConfig config = qg2layer::read_config(solver);
    require_room(config.params.grid, 2, config.params.single_precision, members, threads, where);
    return qg2layer::make_qg2layer(config, seed, members, threads, where);
  }
  const kolmogorov::KolmogorovConfig config = kolmogorov::read_config(solver);
  require_room(config.params.grid, 1, config.params.single_precision, members, threads, where);
  return kolmogorov::make_kolmogorov(config, seed, members, threads, where);
}

}  // namespace sns
