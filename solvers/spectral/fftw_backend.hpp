#pragma once
// FFTW on one CPU core, single or double precision. Threads work on different members; nothing in here is
// threaded. Plans are made under one lock (FFTW's planner is not thread safe) and executed on any arrays of
// the same alignment.
#include "solvers/spectral/engine.hpp"
#include "solvers/spectral/grid.hpp"
#include "solvers/spectral/host_buffer.hpp"
#include "solvers/spectral/lane_pair_transforms.hpp"
#include "solvers/spectral/step_sequence.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

namespace sns::spectral {

/// An FFTW plan of either precision; executed on new arrays.
template <class Real>
class FftwPlan {
 public:
  static FftwPlan real_to_complex_2d(int n, FftPlanning planning);
  static FftwPlan complex_to_real_2d(int n, FftPlanning planning);

  FftwPlan() = default;
  FftwPlan(FftwPlan&& other) noexcept : plan_(std::exchange(other.plan_, nullptr)) {}
  FftwPlan& operator=(FftwPlan&& other) noexcept {
    std::swap(plan_, other.plan_);
    return *this;
  }
  ~FftwPlan();

  void execute(Real* in, Complex<Real>* out) const;  ///< may overwrite `in`
  void execute(Complex<Real>* in, Real* out) const;  ///< overwrites `in`

 private:
  explicit FftwPlan(void* plan) : plan_(plan) {}
  void* plan_ = nullptr;
};

/// While it lives, results and operands below the smallest normal number count as zero on this thread: modes
/// that only decay would otherwise end in denormal arithmetic, which is a hundred times slower.
class FlushDenormals {
 public:
  template <class Backend>
  explicit FlushDenormals(const Backend&) : FlushDenormals() {}
  FlushDenormals();
  ~FlushDenormals();
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  unsigned saved_ = 0;
};

template <class R>
struct FftwBackend {
  using Real = R;
  static constexpr const char* kName = "fftw";
  static constexpr bool kCountsTraffic = false;
  template <class T>
  using Buffer = HostBuffer<T>;
  using Session = FlushDenormals;  ///< held during every call of an engine

  using Steps = PlainSteps;

  FftPlanning planning = FftPlanning::estimate;

  int device() const { return -1; }
  void wait() const {}

  /// Runs f(b, i, j) over the modes of a region; f's iterations are independent.
  template <class F>
  [[gnu::flatten]] void for_each_mode(int batch, int n, const Region& region, F f) const {
    for (int b = 0; b < batch; ++b)
      for (int i = 0; i < n; ++i) {
        if (!region.rows.has_row(i, n)) continue;
#pragma GCC ivdep
        for (int j = 0; j < region.columns; ++j) f(b, i, j);
      }
  }

  template <class F>
  [[gnu::flatten]] void for_each(std::size_t n, F f) const {
#pragma GCC ivdep
    for (std::size_t i = 0; i < n; ++i) f(i);
  }

  /// Reading a look costs nothing here: each is read before the next.
  static constexpr int kMostLooks = 1;
  /// Room for `count` maxima.
  class Maxima {
   public:
    Maxima(const FftwBackend&, std::size_t count) : values_(count) {}

    /// Number first + b = largest f(b, i) over i < n, or NaN if any is not finite; f >= 0.
    template <class F>
    [[gnu::flatten]] void find(std::size_t first, int batch, std::size_t n, F f) {
      for (int b = 0; b < batch; ++b) {
        double largest = 0;
        bool finite = true;
        for (std::size_t i = 0; i < n; ++i) {
          const double value = f(b, i);
          finite &= value <= std::numeric_limits<double>::max();
          largest = value > largest ? value : largest;
        }
        values_[first + static_cast<std::size_t>(b)] =
            finite ? largest : std::numeric_limits<double>::quiet_NaN();
      }
    }
    /// The first `count` of them.
    void read(std::size_t count, double* out) const { std::copy_n(values_.begin(), count, out); }

   private:
    std::vector<double> values_;
  };

  void copy(const Complex<R>* from, Complex<R>* to, std::size_t n) const {
    std::memcpy(to, from, n * sizeof(*to));
  }
  void zero(Complex<R>* data, std::size_t n) const {
    std::memset(static_cast<void*>(data), 0, n * sizeof(*data));
  }
  void to_host(const Complex<R>* from, std::byte* to, std::size_t n) const {
    std::memcpy(to, from, n * sizeof(*from));
  }
  void from_host(const std::byte* from, Complex<R>* to, std::size_t n) const {
    std::memcpy(static_cast<void*>(to), from, n * sizeof(*to));
  }
  void upload(const double* host, R* device, std::size_t n) const {
    for (std::size_t i = 0; i < n; ++i) device[i] = static_cast<R>(host[i]);
  }
  template <class T>
  void download(const R* device, T* host, std::size_t n) const {
    for (std::size_t i = 0; i < n; ++i) host[i] = static_cast<T>(device[i]);
  }

  /// 2-D real transforms of contiguous n x n fields in one direction, unnormalised and free to destroy their
  /// input; the other function may not be called.
  class RealTransforms {
   public:
    RealTransforms(const FftwBackend& backend, int n, int /*batch*/, Direction direction)
        : grid_{n, 1},
          plan_(direction == Direction::forward ? FftwPlan<R>::real_to_complex_2d(n, backend.planning)
                                                : FftwPlan<R>::complex_to_real_2d(n, backend.planning)) {}
    void forward(R* spent, Complex<R>* out, int count) const {
      for (int b = 0; b < count; ++b) plan_.execute(spent + b * grid_.points(), out + b * grid_.modes());
    }
    void inverse(Complex<R>* spent, R* out, int count) const {
      for (int b = 0; b < count; ++b) plan_.execute(spent + b * grid_.modes(), out + b * grid_.points());
    }

   private:
    Grid grid_;
    FftwPlan<R> plan_;
  };

  class PairTransforms : public LanePairTransforms<R> {
   public:
    PairTransforms(const FftwBackend&, int n, const KeptModes& kept, int batch)
        : LanePairTransforms<R>(n, kept, batch) {}
  };
};

}  // namespace sns::spectral
