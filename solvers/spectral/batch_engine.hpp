#pragma once
// Engine over any Backend and any Equation. An Equation is built as Equation(backend, params, batch) and offers
//   grid(), fields()
//     fields per member; spectra are [batch][field][n][n/2+1]
//   state_arrays()
//     arrays that a member's future depends on; the first is the spectral field
//   kMemory
//     steps back that a multistep scheme looks; 0 for one-step schemes
//   advance(state, steps, past)
//     in place; past[b] is how many steps, up to kMemory, member b has done since its state was set, and is
//     kept up to date
//   velocity(state, u, v, members)
//     transforms of one velocity pair per field of so many members, scaled for an unnormalised inverse
//   step_values()
//     Reals that a step moves through memory (traffic.hpp), where the backend counts
#include "solvers/spectral/engine.hpp"
#include "solvers/spectral/grid.hpp"
#include "solvers/spectral/resample_kernels.hpp"

#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <tuple>
#include <vector>

namespace sns::spectral {

/// Squared speed at point i of member b's velocity fields.
template <class Real>
struct SquaredSpeed {
  const Real *u, *v;
  std::size_t member_points;
  SNS_HD double operator()(int b, std::size_t point) const {
    const std::size_t i = static_cast<std::size_t>(b) * member_points + point;
    return static_cast<double>(u[i]) * static_cast<double>(u[i]) +
           static_cast<double>(v[i]) * static_cast<double>(v[i]);
  }
};

template <class Backend, class Equation>
class BatchEngine final : public Engine {
 public:
  using Real = typename Backend::Real;
  using Params = typename Equation::Params;
  template <class T>
  using Buffer = typename Backend::template Buffer<T>;

  /// `batch` members per group, members = groups * batch; `workers` groups may be advanced at once.
  BatchEngine(const Backend& backend, const Params& params, int members, int batch, int workers)
      : backend_(backend),
        batch_(batch),
        groups_(members / batch),
        past_(static_cast<std::size_t>(members), 0) {
    for (int w = 0; w < workers; ++w) scratch_.push_back(std::make_unique<Scratch>(backend_, params, batch_));
    // Steps shall not wait for a look's plan to be made, nor for the workspace to grow with it.
    if (Backend::kMostLooks > 1)
      for (const auto& scratch : scratch_)
        scratch->transforms(backend_, Direction::inverse, grid().n, 2 * batch_ * fields());
    for (int g = 0; g < groups_; ++g) state_.emplace_back(group_elements());
  }

  const char* backend() const override { return Backend::kName; }
  int groups() const override { return groups_; }
  int group_size() const override { return batch_; }
  int device() const override { return backend_.device(); }
  double bytes_per_step() const override {
    if constexpr (Backend::kCountsTraffic)
      return sizeof(Real) * groups_ * scratch_[0]->equation.step_values();
    else
      return 0;
  }

  void set_state(int member, const double* physical) override {
    const typename Backend::Session session(backend_);
    Scratch& scratch = *scratch_[0];
    const std::size_t points = member_points();
    backend_.upload(physical, scratch.physical.data(), points);
    scratch.transforms(backend_, Direction::forward, grid().n, fields())
        .forward(scratch.physical.data(), scratch.spent.data(), fields());
    for (int array = 0; array < state_arrays(); ++array) {
      Complex<Real>* target = member_array(member, array);
      if (array == 0)
        backend_.copy(scratch.spent.data(), target, member_elements());
      else
        backend_.zero(target, member_elements());
    }
    past_[static_cast<std::size_t>(member)] = 0;
  }

  void state(int member, double* physical) override {
    const typename Backend::Session session(backend_);
    Scratch& scratch = *scratch_[0];
    const Grid fine = grid();
    backend_.for_each_mode(
        fields(), fine.n, all_modes(fine),
        CopyModes<Real>{member_array(member, 0), scratch.spent.data(), fine.n, fine.n, false});
    inverse(scratch, fine.n, fields());
    backend_.download(scratch.physical.data(), physical, member_points());
  }

  void advance(int group, int worker, std::int64_t steps) override {
    const typename Backend::Session session(backend_);
    scratch_[worker]->equation.advance(state_[group].data(), steps, past_.data() + group * batch_);
  }

  int most_looks() const override { return Backend::kMostLooks; }
  void look(int group, int worker, int look) override {
    const typename Backend::Session session(backend_);
    find_speeds(*scratch_[worker], state_[group].data(), batch_, look * batch_);
  }
  void read_looks(int worker, int count, double* out) override {
    const typename Backend::Session session(backend_);
    read_speeds(*scratch_[worker], count * batch_, out);
  }
  double speed(int member) override {
    const typename Backend::Session session(backend_);
    Scratch& scratch = *scratch_[0];
    find_speeds(scratch, member_array(member, 0), 1, 0);
    double fastest = 0;
    read_speeds(scratch, 1, &fastest);
    return fastest;
  }

  void frame(int group, int worker, const CoarsenConfig& coarsen, int zonal_axis, float* out) override {
    const typename Backend::Session session(backend_);
    const CoarseFields result = coarse_fields(group, worker, coarsen, zonal_axis);
    backend_.download(result.data, out, result.values * static_cast<std::size_t>(batch_));
  }

  void frame_in_place(int group, int worker, const CoarsenConfig& coarsen, int zonal_axis, float* out,
                      std::size_t stride, double* largest) override {
    const typename Backend::Session session(backend_);
    const CoarseFields result = coarse_fields(group, worker, coarsen, zonal_axis);
    backend_.for_each(result.values * static_cast<std::size_t>(batch_),
                      WriteFrames<Real>{result.data, out, result.values, stride});
    Maxima& maxima = scratch_[worker]->maxima;
    maxima.find(0, batch_, result.values, FrameModulus{out, stride});
    maxima.read(batch_, largest);
  }
  std::shared_ptr<float> memory(std::size_t count) override {
    const typename Backend::Session session(backend_);
    const auto buffer = std::make_shared<Buffer<float>>(count);
    return {buffer, buffer->data()};
  }
  void fill(float* out, std::size_t count, float value) override {
    const typename Backend::Session session(backend_);
    backend_.for_each(count, Fill{out, value});
  }
  void synchronise() override {
    const typename Backend::Session session(backend_);
    backend_.wait();
  }

  std::size_t state_bytes() const override {
    return state_arrays() * member_elements() * sizeof(Complex<Real>) + kPastBytes;
  }
  void save(int member, std::byte* out) override {
    const typename Backend::Session session(backend_);
    for (int array = 0; array < state_arrays(); ++array, out += member_elements() * sizeof(Complex<Real>))
      backend_.to_host(member_array(member, array), out, member_elements());
    std::memcpy(out, &past_[static_cast<std::size_t>(member)], kPastBytes);
  }
  void restore(int member, const std::byte* bytes) override {
    const typename Backend::Session session(backend_);
    for (int array = 0; array < state_arrays(); ++array, bytes += member_elements() * sizeof(Complex<Real>))
      backend_.from_host(bytes, member_array(member, array), member_elements());
    std::memcpy(&past_[static_cast<std::size_t>(member)], bytes, kPastBytes);
  }

 private:
  /// Coarsened fields of a group, [member][values], in a worker's scratch memory.
  struct CoarseFields {
    const Real* data;
    std::size_t values;  ///< of a member
  };
  CoarseFields coarse_fields(int group, int worker, const CoarsenConfig& coarsen, int zonal_axis) {
    Scratch& scratch = *scratch_[worker];
    const Grid fine = grid();
    const int factor = coarsen.factor, coarse = fine.n / factor, count = batch_ * fields();
    const bool block = coarsen.kind == Coarsening::block_mean && factor > 1;
    const int n = block ? fine.n : coarse;
    const Grid target{n, fine.length};
    const bool filtered = coarsen.kind == Coarsening::spectral_filtered && factor > 1;
    const int without_mean = coarsen.remove == Removal::zonal_mean ? zonal_axis : -1;
    backend_.for_each_mode(
        count, n, all_modes(target),
        CopyModes<Real>{state_[group].data(), scratch.spent.data(), fine.n, n, filtered, without_mean});
    inverse(scratch, n, count);
    const Real* result = scratch.physical.data();
    const std::size_t values = static_cast<std::size_t>(count) * coarse * coarse;
    if (block) {
      Real* means = scratch.physical.data() + count * fine.points();
      backend_.for_each(values, BlockMean<Real>{result, means, fine.n, factor});
      result = means;
    }
    return {result, values / static_cast<std::size_t>(batch_)};
  }

  using Maxima = typename Backend::Maxima;
  struct Scratch {
    Scratch(const Backend& backend, const Params& params, int batch)
        : equation(backend, params, batch),
          spent(2 * equation.grid().modes() * equation.fields() * batch),
          physical(2 * equation.grid().points() * equation.fields() * batch),
          maxima(backend, static_cast<std::size_t>(Backend::kMostLooks) * batch) {}

    typename Backend::RealTransforms& transforms(const Backend& backend, Direction direction, int n,
                                                 int batch) {
      auto& entry = plans[{direction, n, batch}];
      if (!entry) entry = std::make_unique<typename Backend::RealTransforms>(backend, n, batch, direction);
      return *entry;
    }

    Equation equation;
    Buffer<Complex<Real>> spent;  ///< room for a velocity pair of the whole group
    Buffer<Real> physical;
    Maxima maxima;  ///< squared speeds of looks that were not read yet, or what a frame's numbers reach
    std::map<std::tuple<Direction, int, int>, std::unique_ptr<typename Backend::RealTransforms>> plans;
  };

  void inverse(Scratch& scratch, int n, int count) {
    scratch.transforms(backend_, Direction::inverse, n, count)
        .inverse(scratch.spent.data(), scratch.physical.data(), count);
  }

  /// Begins to find the largest squared speeds of `members` members with neighbouring states, as maxima from
  /// `first` on.
  void find_speeds(Scratch& scratch, const Complex<Real>* state, int members, int first) {
    const int pairs = members * fields();
    Complex<Real>* const spent = scratch.spent.data();
    scratch.equation.velocity(state, spent, spent + pairs * grid().modes(), members);
    inverse(scratch, grid().n, 2 * pairs);
    const Real* u = scratch.physical.data();
    scratch.maxima.find(static_cast<std::size_t>(first), members, member_points(),
                        SquaredSpeed<Real>{u, u + pairs * grid().points(), member_points()});
  }
  void read_speeds(Scratch& scratch, int count, double* out) {
    scratch.maxima.read(static_cast<std::size_t>(count), out);
    for (int i = 0; i < count; ++i) out[i] = std::sqrt(out[i]);
  }

  /// Multistep schemes save how far back their history reaches.
  static constexpr std::size_t kPastBytes = Equation::kMemory > 0 ? sizeof(std::int64_t) : 0;

  const Grid& grid() const { return scratch_[0]->equation.grid(); }
  int state_arrays() const { return scratch_[0]->equation.state_arrays(); }
  int fields() const { return scratch_[0]->equation.fields(); }
  std::size_t member_points() const { return grid().points() * static_cast<std::size_t>(fields()); }
  std::size_t member_elements() const { return grid().modes() * static_cast<std::size_t>(fields()); }
  std::size_t group_elements() const {
    return state_arrays() * member_elements() * static_cast<std::size_t>(batch_);
  }
  Complex<Real>* member_array(int member, int array) {
    const std::size_t row = static_cast<std::size_t>(array) * batch_ + member % batch_;
    return state_[member / batch_].data() + row * member_elements();
  }

  Backend backend_;
  int batch_, groups_;
  std::vector<std::int64_t> past_;                 ///< per member: steps since its state was set, up to kMemory
  std::vector<std::unique_ptr<Scratch>> scratch_;  ///< one per worker
  std::vector<Buffer<Complex<Real>>> state_;       ///< per group: [array][member][field][n][n/2+1]
};

}  // namespace sns::spectral
