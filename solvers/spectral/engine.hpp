#pragma once
// What a backend does for a batch of members: numbers only. Policy (guards, frames of failed members, files)
// is EnsembleSolver's. Free of heavy headers: CUDA sources include it.
#include "solvers/coarsening.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>

namespace sns::spectral {

enum class FftPlanning { estimate, measure };

/// State and time stepping of all members on one backend. Members are advanced in groups that are
/// independent of each other: on a CPU every member is a group and different groups may be advanced by
/// different threads at once, each with its own `worker` number (it selects scratch memory); on a GPU one group
/// holds them all. Errors are std::runtime_error.
class Engine {
 public:
  Engine() = default;
  virtual ~Engine() = default;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  virtual const char* backend() const = 0;  ///< "fftw", "cufft"
  virtual int groups() const = 0;
  virtual int group_size() const = 0;
  /// CUDA device whose memory holds the members; -1: they live in host memory.
  virtual int device() const = 0;
  /// Bytes that one step of all members moves through device memory; 0 where they are not counted.
  virtual double bytes_per_step() const = 0;

  /// Physical state of one member [field][n][n].
  virtual void set_state(int member, const double* physical) = 0;
  virtual void state(int member, double* physical) = 0;

  virtual void advance(int group, int worker, std::int64_t steps) = 0;

  // Looks at the largest speeds of a group. On a GPU they are found in order with the steps, and kept there
  // until the host asks for all of them at once.
  /// Looks that may be begun before they are read.
  virtual int most_looks() const = 0;
  /// Begins look number `look` < most_looks(): at each member of the group as it is now.
  virtual void look(int group, int worker, int look) = 0;
  /// Largest speeds that the looks 0..count-1 saw, [look][member of group]; NaN where a state was not finite.
  virtual void read_looks(int worker, int count, double* out) = 0;
  /// Largest speed of one member now.
  virtual double speed(int member) = 0;

  /// The group's present states, coarsened: [member of group][field][m][m]. zonal_axis: which axis (0 or 1) of
  /// the fields is x, or -1 where there is none.
  virtual void frame(int group, int worker, const CoarsenConfig& coarsen, int zonal_axis, float* out) = 0;

  /// The same as float32 in the memory of device(), where member b's frame begins at out + b * stride.
  /// largest[b] is its largest modulus, NaN where a value is not finite.
  virtual void frame_in_place(int group, int worker, const CoarsenConfig& coarsen, int zonal_axis, float* out,
                              std::size_t stride, double* largest) = 0;
  virtual void fill(float* out, std::size_t count, float value) = 0;
  /// Zeroed memory of device().
  virtual std::shared_ptr<float> memory(std::size_t count) = 0;
  /// Returns when all work that was begun is done.
  virtual void synchronise() = 0;

  /// One member's whole state, bit for bit.
  virtual std::size_t state_bytes() const = 0;
  virtual void save(int member, std::byte* out) = 0;
  virtual void restore(int member, const std::byte* bytes) = 0;
};

}  // namespace sns::spectral
