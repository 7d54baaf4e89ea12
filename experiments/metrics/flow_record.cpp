#include "experiments/metrics/flow_record.hpp"

#include "experiments/metrics/frame_diagnostics.hpp"

#include "solvers/kolmogorov/diagnostics.hpp"
#include "solvers/qg2layer/diagnostics.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

namespace sns::metrics {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

}  // namespace

std::string no_budget(const Flow& flow) {
  if (flow.zonal_mean_removed) return "the frames leave the zonal mean out, and with it part of the energy";
  if (flow.layers ? !flow.shear.has_value() : !flow.force.has_value())
    return "the data set does not say what drives and damps the flow";
  return "";
}

std::string no_jets(const Flow& flow) {
  if (!flow.layers) return "jets are those of two-layer flow";
  return flow.zonal_mean_removed ? "the frames leave the zonal mean out" : "";
}

int count_jets(std::span<const double> profile) {
  const double largest = *std::max_element(profile.begin(), profile.end());
  if (!(largest > 0)) return 0;
  int jets = 0;
  double before = profile.back();
  for (const double u : profile) {
    jets += u > largest / 2 && before <= largest / 2 ? 1 : 0;
    before = u;
  }
  return jets;
}

struct FlowDiagnostics::Workspace {
  explicit Workspace(const Flow& flow) {
    if (flow.layers)
      layers.emplace(layer_params(flow));
    else
      single.emplace(spectral::Grid{flow.points, flow.length});
  }
  std::optional<kolmogorov::FieldDiagnostics> single;
  std::optional<qg2layer::FieldDiagnostics> layers;
};

FlowDiagnostics::FlowDiagnostics(const Flow& flow)
    : flow_(flow), workspace_(std::make_unique<Workspace>(flow)) {}
FlowDiagnostics::~FlowDiagnostics() = default;
FlowDiagnostics::FlowDiagnostics(FlowDiagnostics&&) noexcept = default;

EnergyTerms FlowDiagnostics::energy(std::span<const float> frame) {
  const std::vector<double> state(frame.begin(), frame.end());
  if (flow_.layers) {
    const qg2layer::Integrals all = workspace_->layers->integrals(state);
    return {all.energy(), all.ape_generation, all.bottom_drag};
  }
  const BodyForce& force = *flow_.force;
  const kolmogorov::Integrals all = workspace_->single->integrals(state, 1, 0);
  // Only the mean of u over x, of which w is -d/dy, meets the force: <u A sin(k y)> = -(A / k) <w cos(k y)>.
  // Points are taken where the frames have them.
  const auto n = static_cast<std::size_t>(flow_.points);
  const double spacing = flow_.length / flow_.points;
  double work = 0;
  for (std::size_t i = 0; i < state.size(); ++i)
    work += state[i] * std::cos(force.wavenumber * (flow_.first[1] + static_cast<double>(i % n) * spacing));
  return {all.energy, -force.amplitude / force.wavenumber * work / static_cast<double>(state.size()),
          2 * force.viscosity * all.enstrophy + 2 * force.drag * all.energy};
}

std::vector<double> FlowDiagnostics::zonal_flow(std::span<const float> frame) {
  return workspace_->layers->jets(std::vector<double>(frame.begin(), frame.end())).u[0];
}

FlowRecorder::FlowRecorder(FlowDiagnostics diagnostics, std::int64_t frames, std::int64_t window,
                           double interval)
    : diagnostics_(std::move(diagnostics)),
      budget_(no_budget(diagnostics_.flow()).empty()),
      jets_(no_jets(diagnostics_.flow()).empty()),
      frames_(frames),
      interval_(interval),
      windows_(make_windows(frames, window)),
      terms_(3) {
  record_.windows.resize(windows_.size());
  const auto points = static_cast<std::size_t>(diagnostics_.flow().points);
  if (jets_)
    for (FlowWindow& one : record_.windows) one.profile.assign(points, 0.0);
}

std::int64_t FlowRecorder::sampled_in(std::int64_t frame) const {
  if (frame < 1 || frame >= frames_) return -1;
  const std::int64_t length = windows_.front().last;  // frames 1.. of the first window
  const std::int64_t w = std::min((frame - 1) / length, static_cast<std::int64_t>(windows_.size()) - 1);
  const Window& window = windows_[static_cast<std::size_t>(w)];
  return stands_for(window, frame, kFlowSamples) ? w : -1;
}

void FlowRecorder::look_at_jets(FlowWindow& window, std::span<const float> frame) {
  const std::vector<double> profile = diagnostics_.zonal_flow(frame);
  double squares = 0;
  for (std::size_t y = 0; y < profile.size(); ++y) {
    window.profile[y] += profile[y];
    squares += profile[y] * profile[y];
  }
  window.strength += std::sqrt(squares / static_cast<double>(profile.size()));
  window.jets += count_jets(profile);
  ++window.jet_frames;
}

void FlowRecorder::add(std::span<const float> frame) {
  const std::int64_t t = frame_++;
  const auto at = [this](std::int64_t of) -> EnergyTerms& { return terms_[static_cast<std::size_t>(of % 3)]; };
  const std::int64_t now = sampled_in(t), before = sampled_in(t - 1);
  if (jets_ && now >= 0 && !frame.empty()) look_at_jets(record_.windows[static_cast<std::size_t>(now)], frame);
  if (!budget_) return;
  const bool wanted = now >= 0 || before >= 0 || sampled_in(t + 1) >= 0;
  at(t) = wanted && !frame.empty() ? diagnostics_.energy(frame) : EnergyTerms{kNone, kNone, kNone};
  if (before < 0) return;
  const EnergyTerms& centre = at(t - 1);
  const double residual =
      (at(t).energy - at(t - 2).energy) / (2 * interval_) - centre.injection + centre.dissipation;
  if (std::isnan(residual)) return;
  FlowWindow& window = record_.windows[static_cast<std::size_t>(before)];
  window.residual += residual;
  window.squares += residual * residual;
  window.injection += centre.injection;
  ++window.budgets;
}

}  // namespace sns::metrics
