#pragma once
// The one virtual seam between the solvers and everything that uses them. A Solver advances a batch of
// independent members of one system; physics, precision and device are chosen by configuration.
#include "core/config.hpp"
#include "solvers/coarsening.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sns {

// Units are UDUNITS names, as the CF conventions ask of files: "1" without dimension.

/// One coordinate axis of the fields, at the solver's resolution.
struct Axis {
  std::string name;                 ///< "x", "y"
  std::vector<double> coordinates;  ///< in `units`
  std::string units;
};

/// One stored scalar field.
struct FieldInfo {
  std::string name;  ///< "vorticity"; "q_upper", "q_lower"
  std::string units;
  std::string long_name;
};

/// All fields of a state as one array with an axis of their own in front of the spatial ones.
struct StackedFields {
  FieldInfo field;   ///< "q"
  std::string axis;  ///< "layer"; coordinates 1, 2, ..
};

/// A quantity computed from a state: a scalar, or an array over some of SolverInfo::diagnostic_axes.
struct DiagnosticInfo {
  std::string name;  ///< in diagnostics/ of files
  std::string units;
  std::string long_name;
  std::vector<std::string> axes = {};  ///< outermost first; none: a scalar
};

/// Everything that a file needs to say about the run that made it.
struct SolverInfo {
  std::string system;     ///< "kolmogorov"
  std::string title;      ///< one line
  std::string pde;        ///< the equation as text
  std::string precision;  ///< "float32" | "float64"
  std::string backend;    ///< "fftw" | "cufft"
  std::vector<FieldInfo> fields;
  std::optional<StackedFields> stacked;  ///< how full output writes the fields; none = one by one
  std::vector<Axis> axes;                ///< storage order (Kolmogorov: x, y)
  std::vector<std::pair<std::string, double>> parameters;  ///< physical and numerical constants
  /// What tells one data set of the system from another, by the short names that the literature uses: the
  /// scalars of a data set, all of which loaders feed to models. Neither duplicates nor derived quantities.
  std::vector<std::pair<std::string, double>> scalars;
  double dt = 0;  ///< time step, in `time_units`
  std::string time_units;
  /// How many trajectory ids, 0, 1, .., have an initial state of their own; none: as many as are asked for.
  std::optional<std::uint64_t> initial_states;
  std::vector<DiagnosticInfo> diagnostics;        ///< scalars, in the order of Solver::diagnostics
  std::vector<DiagnosticInfo> array_diagnostics;  ///< in the order of Solver::array_diagnostics
  std::vector<Axis> diagnostic_axes;              ///< of the arrays
};

/// One of the scalars; none if the system has no such one.
std::optional<double> scalar(const SolverInfo& info, std::string_view name);

/// Values of one diagnostic of a system.
std::size_t value_count(const DiagnosticInfo& diagnostic, const SolverInfo& info);

/// "2.4 s", and "2.4" where time has no unit of its own.
std::string time_text(double time, const SolverInfo& info);

struct FrameRequest {
  std::int64_t frames = 1;           ///< frames to record
  std::int64_t steps_per_frame = 1;  ///< each frame is taken after this many further steps
  CoarsenConfig coarsen;
};

/// Why and when a member left the run.
struct MemberStatus {
  bool alive = true;
  std::int64_t failed_step = -1;  ///< step at which it was found non-finite or beyond its CFL limit
  std::string reason;
};

/// An initial state that cannot be advanced: not finite, beyond the precision, or beyond the CFL limit.
class InitialStateError : public Error {
 public:
  using Error::Error;
};

class Solver {
 public:
  virtual ~Solver() = default;

  virtual const SolverInfo& info() const = 0;
  virtual int members() const = 0;
  /// Values of one member's full-resolution state: fields x axes.
  std::size_t state_size() const;
  /// Values of one member's frame after coarsening by `factor`.
  std::size_t frame_size(int factor) const;

  /// Steps done since the member's initial state, and the physical time.
  virtual std::int64_t step(int member) const = 0;
  double time(int member) const { return static_cast<double>(step(member)) * info().dt; }

  /// Random or analytic initial state, as the configuration says, of this trajectory id. InitialStateError if
  /// it cannot be advanced.
  virtual void initialise(int member, std::uint64_t trajectory) = 0;
  /// Takes a physical state [field][axis0][axis1]; InitialStateError if it holds a non-finite value or cannot
  /// be advanced. Resets step to 0.
  virtual void set_state(int member, std::span<const double> state) = 0;
  /// Physical state [field][axis0][axis1] at the solver's resolution.
  virtual void state(int member, std::span<double> out) const = 0;

  /// Advances all living members by `steps`.
  virtual void advance(std::int64_t steps) = 0;
  /// Advances and records: out[member][frame][field][axis0][axis1], float32. Frames of a failed member are
  /// NaN from the failure on; the others go on.
  virtual void record(const FrameRequest& request, std::span<float> out) = 0;
  /// The present state, coarsened, of one member: [field][axis0][axis1]. As in record, a member whose frame is
  /// not finite fails, and frames of failed members are NaN.
  virtual void frame(int member, const CoarsenConfig& coarsen, std::span<float> out) = 0;
  /// CUDA device whose memory holds the members; -1: they live in host memory.
  virtual int device() const { return -1; }
  /// Zeroed room for `count` floats in the memory of device(), for record_in_place.
  virtual std::shared_ptr<float> frame_memory(std::size_t count) const;
  /// As record, with frames in the memory of device() and nowhere else on their way: those of member m begin at
  /// out + m * stride. They are complete on return, for any stream.
  virtual void record_in_place(const FrameRequest& request, float* out, std::size_t stride);
  /// The same in host memory, wherever the members live.
  void record_on_host(const FrameRequest& request, float* out, std::size_t stride);
  /// Bytes that one time step of all members moves through the device's memory, counted kernel by kernel
  /// (spectral/traffic.hpp); 0 where they are not counted (FFTW).
  virtual double device_bytes_per_step() const { return 0; }
  virtual MemberStatus status(int member) const = 0;
  /// Looks at all living members now, besides the looks that advance takes: those that are not finite or beyond
  /// their CFL limit fail.
  virtual void check_members() = 0;
  /// Takes a member out of the run: from now on it has this status, and its state counts for nothing.
  virtual void retire(int member, MemberStatus status) = 0;

  /// One value per info().diagnostics.
  virtual std::vector<double> diagnostics(int member) const = 0;
  /// The arrays of info().array_diagnostics one after another, each row-major. A system may have none.
  virtual std::vector<double> array_diagnostics(int /*member*/) const { return {}; }

  /// Everything that the member's future depends on, bit for bit (spectral state, stored tendencies, step).
  virtual std::vector<std::byte> save(int member) const = 0;
  /// Inverse of save; Error if the bytes are of another configuration.
  virtual void restore(int member, std::span<const std::byte> bytes) = 0;
};

/// Memory that members take at least on a CPU [bytes]: each one's spectra, frame and copies for a checkpoint,
/// for each thread that is busy stages, a velocity pair and its transforms, and room that all share.
/// state_values: real numbers in the state of a member; single: of float32.
double least_solver_bytes(std::size_t state_values, bool single, int members, int threads);

/// Reads the `solver` block and builds the solver it names. seed: the run's; members >= 1;
/// threads: CPU threads over members; device: "auto" | "cpu" | "cuda" | "cuda:N".
/// ConfigError for an invalid block; Error where the device is not there.
std::unique_ptr<Solver> make_solver(Section& solver, std::uint64_t seed, int members, int threads,
                                    std::string_view device = "cpu");

}  // namespace sns
