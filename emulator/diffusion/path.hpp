#pragma once
// Routes through the plane of noise levels (s_past, s_present).
#include <optional>
#include <string>
#include <vector>

namespace sns {

/// Noise levels of the two frames. Beside 0..S-1, a frame may be clean or, at level S, pure noise.
struct Levels {
  static constexpr int kClean = -1;
  int past = 0, present = 0;
  bool operator==(const Levels&) const = default;
};

/// One reverse step: the level each frame is stepped at, kRest where it stays as it is.
struct Move {
  static constexpr int kRest = -1;
  int past = kRest, present = kRest;
  /// The past frame as a condition only: before the step its clean origin is noised to `level`, with noise
  /// number `draw`.
  struct Condition {
    int level = 0, draw = 0;
  };
  std::optional<Condition> condition = {};
};

/// A polyline that only goes down, given by its corners. A frame joins it where it comes down to the frame's
/// own level, so that one path serves every pair of levels.
class Path {
 public:
  static constexpr int kTop = 1 << 20;  ///< in a corner: S, pure noise
  static const Path A;                  ///< past frame to clean while the present stays noisy, then the present
  static const Path B;                  ///< present frame first, then the past
  static const Path C;                  ///< together along the diagonal, the higher level first
  static const Path fixed_past;         ///< present frame only; the past is noised and stays so
  static const Path clean_past;         ///< present frame only; the past is never noised (clean conditioning)

  /// ConfigError unless the first corner has the present at the top and the past there or clean, no corner lies
  /// above or at the one before, and the last has a clean present. Corners at which it goes straight on are
  /// left out.
  explicit Path(std::vector<Levels> corners);

  /// Moves of frames that take their first steps at `first`, down to the step at `lowest`. Between two corners
  /// the frame that has farther to go steps in every move. ConfigError as require_within.
  std::vector<Move> moves(const Levels& first, int levels_in_all, int lowest) const;
  bool noises_past() const { return corners_.front().past != Levels::kClean; }
  bool cleans_past() const { return corners_.back().past == Levels::kClean; }
  /// Whether both frames come down between the same two corners.
  bool steps_together() const;
  /// ConfigError where a corner lies beyond the levels 0..levels_in_all-1.
  void require_within(int levels_in_all) const;
  /// parse_path(text()) is this path.
  std::string text() const;
  bool operator==(const Path& other) const { return corners_ == other.corners_; }

 private:
  std::vector<Levels> corners_;
  int highest_ = Levels::kClean;  ///< level that was named, also by corners that are left out
};

/// A path by its name, "A", "B", "C" (as in the SNS paper), "fixed_past" or "clean_past", or by its corners
/// "past,present", each a level, "top" or "clean": path A is "top,top clean,top clean,clean". ConfigError
/// otherwise.
Path parse_path(const std::string& text);
const std::vector<std::string>& path_names();

}  // namespace sns
