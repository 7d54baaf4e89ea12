#include "experiments/frame_transfer.hpp"

#include "core/error.hpp"
#include "solvers/spectral/resample_kernels.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace sns {

namespace {

using spectral::Complex;

/// Where a grid lies along an axis.
struct Side {
  int points;
  double first, length;
};

Side side(const Axis& axis) {
  const auto& x = axis.coordinates;
  require(x.size() >= 2, "the axis {} has {} points", axis.name, x.size());
  return {static_cast<int>(x.size()), x[0], (x[1] - x[0]) * static_cast<double>(x.size())};
}

/// Both axes alike.
Side square(const std::vector<Axis>& axes) {
  require(axes.size() == 2, "frames of {} axes are not of a square", axes.size());
  const Side a = side(axes[0]), b = side(axes[1]);
  require(a.points == b.points && std::abs(a.first - b.first) < 1e-9 * a.length &&
              std::abs(a.length - b.length) < 1e-9 * a.length,
          "the axes {} and {} differ: a square grid is needed", axes[0].name, axes[1].name);
  return a;
}

int axis_named(const std::vector<Axis>& axes, const std::string& name) {
  const auto found = std::find_if(axes.begin(), axes.end(), [&](const Axis& a) { return a.name == name; });
  return found == axes.end() ? -1 : static_cast<int>(found - axes.begin());
}

/// What the mean over `cells` points does to wavenumber k of n points.
double mean_gain(int cells, int k, int n) {
  const double angle = std::numbers::pi * k / n;
  return k == 0 ? 1.0 : std::sin(cells * angle) / (cells * std::sin(angle));
}

}  // namespace

FrameTransfer::FrameTransfer(const std::vector<Axis>& frames, const CoarsenConfig& coarsen,
                             const SolverInfo& info)
    : fields_(static_cast<int>(info.fields.size())), coarsen_(coarsen), zonal_axis_(axis_named(frames, "x")) {
  const Side to = square(frames), from = square(info.axes);
  require(std::abs(to.length - from.length) < 1e-9 * to.length,
          "frames of a square of side {} cannot come from a solver of side {}", to.length, from.length);
  frame_points_ = to.points;
  solver_points_ = from.points;
  const bool block = coarsen.kind == Coarsening::block_mean;
  // Cells hold a whole number of points each; other coarsenings cut modes off, which needs no such grid.
  fine_points_ = frame_points_ * ((solver_points_ + frame_points_ - 1) / frame_points_);
  coarsen_.factor = block ? fine_points_ / frame_points_ : 1;
  if (!block) fine_points_ = frame_points_;
  // A resampled grid keeps the first point; a cell's mean is that of its centre.
  const double centre = (coarsen_.factor - 1) / 2.0 * from.length / fine_points_;
  // From the first point of the frames that the fine grid gives to that of the experiment's.
  const double shift = to.first - (from.first + centre);
  const bool shifted = std::abs(shift) > 1e-9 * to.length;
  trivial_ = !shifted && solver_points_ == frame_points_ && coarsen_.remove == Removal::none;
  if (!shifted && solver_points_ % frame_points_ == 0) {
    native_ = coarsen;
    native_->factor = solver_points_ / frame_points_;
    if (native_->kind == Coarsening::none) native_->kind = Coarsening::spectral;
  }
  const double unit = 2 * std::numbers::pi / to.length;
  // A single Nyquist mode cannot be moved, nor told from what the means over cells alias onto it.
  for (int k = 0; k <= solver_points_ / 2; ++k)
    to_fine_.push_back(shifted && 2 * k == solver_points_ ? 0.0 : std::polar(1.0, unit * k * shift));
  for (int k = 0; k <= frame_points_ / 2; ++k)
    to_state_.push_back(
        (shifted || block) && 2 * k == frame_points_
            ? 0.0
            : std::polar(1 / mean_gain(coarsen_.factor, k, fine_points_), -unit * k * (shift + centre)));
  if (trivial_) return;
  of_frame_ = std::make_unique<spectral::RealTransform>(frame_points_);
  of_solver_ = std::make_unique<spectral::RealTransform>(solver_points_);
  of_fine_ = std::make_unique<spectral::RealTransform>(fine_points_);
}

std::vector<double> FrameTransfer::carry(std::span<const double> field, spectral::RealTransform& from,
                                         spectral::RealTransform& to, const Modes& gains, bool filtered,
                                         int without_mean) {
  const int n = from.n(), m = to.n();
  const auto gain = [&](int k) {
    const std::complex<double> value = gains[static_cast<std::size_t>(std::abs(k))];
    return k < 0 ? std::conj(value) : value;
  };
  const auto spectrum = from.forward(field);
  std::vector<Complex<double>> modes(spectrum.size());
  for (int i = 0; i < n; ++i)
    for (int j = 0; j <= n / 2; ++j) {
      const auto at =
          static_cast<std::size_t>(i) * static_cast<std::size_t>(n / 2 + 1) + static_cast<std::size_t>(j);
      // The inverse transform of the other grid divides by its own number of points.
      const std::complex<double> value = spectrum[at] * gain(spectral::row_wavenumber(i, n)) * gain(j) *
                                         (static_cast<double>(m) * static_cast<double>(m));
      modes[at] = {value.real(), value.imag()};
    }
  const auto size = static_cast<std::size_t>(m) * static_cast<std::size_t>(m / 2 + 1);
  std::vector<Complex<double>> copied(size);
  const spectral::CopyModes<double> copy{modes.data(), copied.data(), n, m, filtered, without_mean};
  for (int i = 0; i < m; ++i)
    for (int j = 0; j <= m / 2; ++j) copy(0, i, j);
  std::vector<double> out(static_cast<std::size_t>(m) * static_cast<std::size_t>(m));
  to.inverse({reinterpret_cast<const std::complex<double>*>(copied.data()), size}, out);
  return out;
}

std::vector<double> FrameTransfer::state(std::span<const float> frame) {
  std::vector<double> given(frame.begin(), frame.end());
  if (trivial_) return given;
  const std::size_t pixels = given.size() / static_cast<std::size_t>(fields_);
  std::vector<double> out;
  for (int f = 0; f < fields_; ++f) {
    const auto field = std::span<const double>(given).subspan(static_cast<std::size_t>(f) * pixels, pixels);
    const auto carried = carry(field, *of_frame_, *of_solver_, to_state_, solver_points_ < frame_points_, -1);
    out.insert(out.end(), carried.begin(), carried.end());
  }
  return out;
}

void FrameTransfer::frame(std::span<const double> state, std::span<float> out) {
  if (trivial_) {
    std::copy(state.begin(), state.end(), out.begin());
    return;
  }
  const std::size_t pixels = state.size() / static_cast<std::size_t>(fields_),
                    cells = out.size() / static_cast<std::size_t>(fields_);
  const bool filtered = coarsen_.kind == Coarsening::spectral_filtered && solver_points_ > frame_points_;
  for (int f = 0; f < fields_; ++f) {
    const auto values =
        carry(state.subspan(static_cast<std::size_t>(f) * pixels, pixels), *of_solver_, *of_fine_, to_fine_,
              filtered, coarsen_.remove == Removal::zonal_mean ? zonal_axis_ : -1);
    std::vector<double> means(cells);
    const spectral::BlockMean<double> mean{values.data(), means.data(), fine_points_, coarsen_.factor};
    for (std::size_t cell = 0; cell < cells; ++cell) mean(cell);
    std::copy(means.begin(), means.end(),
              out.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(f) * cells));
  }
}

}  // namespace sns
