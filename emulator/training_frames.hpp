#pragma once
// Where training samples come from: normalised float32 frames [C, X, Y] along trajectories, in passes. A data
// set holds the same frames in every pass (dataset.hpp); a solver that runs beside the training makes new ones
// for each. No LibTorch here.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace sns {

/// Scalar of a data set: periods of the flow's steady force along the second axis.
inline constexpr const char* kForcingWavenumber = "forcing_wavenumber";

/// What frames are, before they are normalised.
struct DatasetInfo {
  std::filesystem::path folder;     ///< of a data set; empty for frames that were never on disk
  std::string name;                 ///< root attribute dataset_name
  std::vector<std::string> fields;  ///< channel order
  std::vector<double> field_std;    ///< of the training split, physical units, one per field
  std::int64_t nx = 0;              ///< points along the first space axis
  std::int64_t ny = 0;              ///< points along the second
  double frame_interval = 0;        ///< time between frames, the system's time unit
  /// Periods of a steady force along the second axis; none: no such force.
  std::optional<double> forcing_wavenumber;
  std::string hash;  ///< SHA-256 that stands for all frames
};

/// Where a window of consecutive frames begins.
struct FrameWindow {
  std::int64_t trajectory = 0;
  std::int64_t first = 0;
};

class TrainingFrames {
 public:
  virtual ~TrainingFrames() = default;

  virtual const std::string& name() const = 0;  ///< for messages: "train"
  virtual std::string origin() const = 0;       ///< for messages: "in memory", "read from disk"
  virtual std::int64_t channels() const = 0;
  virtual std::int64_t nx() const = 0;
  virtual std::int64_t ny() const = 0;
  /// Trajectories of one pass, and frames of each; the same numbers in every pass.
  virtual std::int64_t trajectories() const = 0;
  virtual std::int64_t frames(std::int64_t trajectory) const = 0;

  /// CUDA device in whose memory reads write their frames; -1: host memory.
  virtual int device() const { return -1; }

  std::int64_t frame_size() const { return channels() * nx() * ny(); }
  /// Windows of `length` consecutive frames in one pass.
  std::int64_t windows(std::int64_t length) const;
  /// Where window number `index` of those of `length` frames lies.
  FrameWindow locate(std::int64_t index, std::int64_t length) const;
  /// Copies frames first..first+count-1 of a trajectory: out is [count, C, X, Y] in the memory of device(),
  /// where work that LibTorch does next sees them. Thread safe; may wait until they are made. Stopped if a stop
  /// is asked for meanwhile.
  void read(std::int64_t trajectory, std::int64_t first, std::int64_t count, std::span<float> out,
            std::uint64_t pass = 0) const;
  /// Copies window number `index` of those of `length` frames: out is [length, C, X, Y].
  void read_window(std::int64_t index, std::int64_t length, std::span<float> out, std::uint64_t pass = 0) const;

  // Frames that are made on the way.
  /// Begins what takes long; the first read waits for it otherwise. Stopped if a stop is asked for.
  virtual void prepare() {}
  /// Passes before `pass` will be neither read nor saved again.
  virtual void release_before(std::uint64_t /*pass*/) {}
  /// Writes to a checkpoint's folder what passes from `pass` on depend on.
  virtual void save(const std::filesystem::path& /*checkpoint*/, std::uint64_t /*pass*/) const {}
  /// Goes on as at the save of that checkpoint. Error if it holds no such state, or a damaged one.
  virtual void restore(const std::filesystem::path& /*checkpoint*/) {}

 protected:
  /// Of frames that exist.
  virtual void do_read(std::int64_t trajectory, std::int64_t first, std::int64_t count, std::span<float> out,
                       std::uint64_t pass) const = 0;
};

/// What a model is trained on.
struct TrainingData {
  DatasetInfo info;
  std::vector<double> field_std;  ///< what the frames are divided by, one per field
  std::unique_ptr<TrainingFrames> training;
  std::unique_ptr<TrainingFrames> validation;  ///< may be null
  std::string source;                          ///< in words, for the model card: "data set waves"
  std::string identity;                        ///< the text that info.hash is of; empty where it is of frames
};

/// Numbers that the fields are divided by: `given` (one for each field, or one for all), or else the data's
/// own. ConfigError if they are as many as neither, Error if one is not positive.
std::vector<double> scales_per_field(const std::vector<double>& given, const DatasetInfo& info);

/// Opens training data. field_std: one number per field, or one for all; empty: the data's own. checkpoint:
/// what the training will go on from, if anything.
using TrainingSource = std::function<TrainingData(const std::vector<double>& field_std,
                                                  const std::optional<std::filesystem::path>& checkpoint)>;

}  // namespace sns
