#pragma once
// The device's way of working without a device: its batching, its launches and what each of its threads does,
// one thread after the other in an order that every launch draws anew; recordings that run when they are
// replayed; and transforms as picky as cuFFT's. Same interface as CufftBackend.
#include "solvers/spectral/batched_transforms.hpp"
#include "solvers/spectral/fftw_backend.hpp"
#include "solvers/spectral/launch.hpp"
#include "solvers/spectral/step_sequence.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <numeric>
#include <random>
#include <stdexcept>
#include <utility>
#include <vector>

namespace sns::test {

using spectral::Complex;

/// Stands for a CUDA stream and what belongs to it.
struct ShuffledQueue {
  std::mt19937_64 random{1};
  bool graphs = true;
  int host_copies = 0;  ///< each of which waits for a device
  int recordings = 0, replays = 0;
  const void* workspace = nullptr;  ///< where that of the plans would be
  std::vector<std::function<void()>>* recording = nullptr;

  void enqueue(std::function<void()> work) {
    if (recording)
      recording->push_back(std::move(work));
    else
      work();
  }
  /// CUDA refuses a recording that waits for the device.
  void copy_with_host() {
    if (recording) throw std::logic_error("a copy between host and device while a graph is recorded");
    ++host_copies;
  }
  /// body(thread) for every thread of a launch, in a new order.
  template <class Body>
  void launch(spectral::LaunchShape shape, Body body) {
    const std::uint64_t columns = std::uint64_t{shape.x} * spectral::kThreadsPerBlock,
                        total = columns * shape.y;
    std::uint64_t step = 1 + random() % total;
    while (std::gcd(step, total) != 1) --step;
    std::uint64_t at = random() % total;
    for (std::uint64_t count = 0; count < total; ++count) {
      at = at >= total - step ? at - (total - step) : at + step;
      const auto x = static_cast<std::uint32_t>(at % columns);
      body(spectral::Thread{x / spectral::kThreadsPerBlock, static_cast<std::uint32_t>(at / columns),
                            x % spectral::kThreadsPerBlock, shape.x, shape.y});
    }
  }
};

/// Fills edge columns from rows 0..n/2 alone, with real numbers where a mode is its own mirror: what is left of
/// input that is not Hermitian by a library that takes it for Hermitian.
template <class Real>
void take_for_hermitian(Complex<Real>* spectrum, int n) {
  const int columns = n / 2 + 1;
  for (const int j : {0, n / 2})
    for (int i = 0; i <= n / 2; ++i) {
      Complex<Real>& mode = spectrum[i * columns + j];
      if (i == 0 || i == n / 2)
        mode.im = 0;
      else
        spectrum[(n - i) * columns + j] = spectral::conj(mode);
    }
}

template <class R>
class ShuffledBackend {
 public:
  using Real = R;
  static constexpr const char* kName = "shuffled";
  static constexpr bool kCountsTraffic = true;
  template <class T>
  using Buffer = spectral::HostBuffer<T>;
  using Session = spectral::FlushDenormals;

  class Graph {
   public:
    template <class Body>
    Graph(const ShuffledBackend& backend, Body body) : queue_(*backend.queue_) {
      queue_.recording = &work_;
      body();
      queue_.recording = nullptr;
      ++queue_.recordings;
    }
    void launch() const {
      ++queue_.replays;
      for (const auto& work : work_) work();
    }

   private:
    ShuffledQueue& queue_;
    std::vector<std::function<void()>> work_;
  };
  using Steps = spectral::GraphSteps<Graph>;

  explicit ShuffledBackend(std::shared_ptr<ShuffledQueue> queue) : queue_(std::move(queue)) {}

  int device() const { return -1; }
  void wait() const { queue_->copy_with_host(); }
  bool graphs() const { return queue_->graphs; }
  const void* workspace() const { return queue_->workspace; }

  template <class F>
  void for_each_mode(int batch, int n, const spectral::Region& region, F f) const {
    const spectral::ModePlane plane = spectral::plane_of(region, n);
    queue_->enqueue([queue = queue_.get(), plane, batch, f] {
      queue->launch(spectral::launch_planes(plane.size(), batch),
                    [&](const spectral::Thread& thread) { spectral::visit_modes(thread, f, plane, batch); });
    });
  }
  template <class F>
  void for_each(std::size_t n, F f) const {
    if (n == 0) return;
    queue_->enqueue([queue = queue_.get(), n, f] {
      queue->launch(spectral::launch_elements(n),
                    [&](const spectral::Thread& thread) { spectral::visit_elements(thread, f, n); });
    });
  }

  static constexpr int kMostLooks = 4;  // few, so that short runs read them more than once
  class Maxima {
   public:
    Maxima(const ShuffledBackend& backend, std::size_t count) : queue_(backend.queue_), bits_(count) {}
    template <class F>
    void find(std::size_t first, int batch, std::size_t n, F f) {
      queue_->enqueue([this, first, batch, n, f] {
        std::fill_n(bits_.begin() + static_cast<std::ptrdiff_t>(first), batch, 0);
        queue_->launch(spectral::launch_reduction(n, batch), [&](const spectral::Thread& thread) {
          for (int b = static_cast<int>(thread.block_y); b < batch; b += static_cast<int>(thread.blocks_y)) {
            auto& largest = bits_[first + static_cast<std::size_t>(b)];
            largest = std::max(largest, spectral::largest_share(thread, f, b, n));
          }
        });
      });
    }
    void read(std::size_t count, double* out) const {
      queue_->copy_with_host();
      std::transform(bits_.begin(), bits_.begin() + static_cast<std::ptrdiff_t>(count), out,
                     spectral::finite_value);
    }

   private:
    std::shared_ptr<ShuffledQueue> queue_;
    std::vector<unsigned long long> bits_;
  };

  void copy(const Complex<R>* from, Complex<R>* to, std::size_t n) const {
    queue_->enqueue([=] { std::memcpy(to, from, n * sizeof(*to)); });
  }
  void zero(Complex<R>* data, std::size_t n) const {
    queue_->enqueue([=] { std::memset(static_cast<void*>(data), 0, n * sizeof(*data)); });
  }
  void to_host(const Complex<R>* from, std::byte* to, std::size_t n) const {
    queue_->copy_with_host();
    std::memcpy(to, from, n * sizeof(*from));
  }
  void from_host(const std::byte* from, Complex<R>* to, std::size_t n) const {
    queue_->copy_with_host();
    std::memcpy(static_cast<void*>(to), from, n * sizeof(*to));
  }
  void upload(const double* host, R* target, std::size_t n) const {
    queue_->copy_with_host();
    for (std::size_t i = 0; i < n; ++i) target[i] = static_cast<R>(host[i]);
  }
  template <class T>
  void download(const R* source, T* host, std::size_t n) const {
    queue_->copy_with_host();
    for (std::size_t i = 0; i < n; ++i) host[i] = static_cast<T>(source[i]);
  }

  /// FFTW's transforms under cuFFT's conditions: inverse transforms see of the edge columns what
  /// take_for_hermitian leaves, and neither direction leaves its input usable.
  class HermitianPlan {
   public:
    HermitianPlan(const ShuffledBackend& backend, int n, int batch, spectral::Direction direction)
        : queue_(backend.queue_),
          grid_{n, 1},
          batch_(batch),
          plan_(direction == spectral::Direction::forward
                    ? spectral::FftwPlan<R>::real_to_complex_2d(n, spectral::FftPlanning::estimate)
                    : spectral::FftwPlan<R>::complex_to_real_2d(n, spectral::FftPlanning::estimate)),
          direction_(direction) {}
    void forward(R* spent, Complex<R>* out) const {
      must_be(spectral::Direction::forward);
      queue_->enqueue([=, this] {
        for (int b = 0; b < batch_; ++b) plan_.execute(spent + b * grid_.points(), out + b * grid_.modes());
        std::fill_n(spent, batch_ * grid_.points(), kSpent);
      });
    }
    void inverse(Complex<R>* spent, R* out) const {
      must_be(spectral::Direction::inverse);
      queue_->enqueue([=, this] {
        for (int b = 0; b < batch_; ++b) {
          Complex<R>* spectrum = spent + b * grid_.modes();
          take_for_hermitian(spectrum, grid_.n);
          plan_.execute(spectrum, out + b * grid_.points());
        }
        std::fill_n(spent, batch_ * grid_.modes(), Complex<R>{kSpent, kSpent});
      });
    }

   private:
    static constexpr R kSpent = std::numeric_limits<R>::quiet_NaN();
    void must_be(spectral::Direction direction) const {
      if (direction != direction_) throw std::logic_error("a plan of the other direction");
    }

    std::shared_ptr<ShuffledQueue> queue_;
    spectral::Grid grid_;
    int batch_;
    spectral::FftwPlan<R> plan_;
    spectral::Direction direction_;
  };

  using RealTransforms = spectral::BatchedRealTransforms<ShuffledBackend>;
  using PairTransforms = spectral::BatchedPairTransforms<ShuffledBackend>;

 private:
  std::shared_ptr<ShuffledQueue> queue_;
};

}  // namespace sns::test
