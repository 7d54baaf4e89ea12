#pragma once
// Progress of long work: one live line on a terminal, otherwise a plain line every ten seconds or so.
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

namespace sns {

/// "42 s", "3:07", "1:02:33", "2 d 01:02:33"
std::string duration_text(double seconds);

class Progress {
 public:
  /// `what` names the work ("datagen"), `unit` what is counted ("frames"); `done` > 0 when resuming.
  Progress(std::string what, std::int64_t total, std::string unit, std::int64_t done = 0);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Sets the count of finished units; `note` is shown at the end of the line ("loss 0.031").
  /// Cheap enough to call at every step; thread safe.
  void update(std::int64_t done, std::string_view note = {});
  /// Counts further units that were done before: they are no part of the rate. The next update() includes them.
  void skip(std::int64_t units);
  /// Prints the closing line (total, elapsed, rate). Called by the destructor if it was not called.
  void finish(std::string_view note = {});

 private:
  std::string line(std::chrono::steady_clock::time_point now, std::string_view note) const;
  std::mutex mutex_;
  std::string what_, unit_;
  std::int64_t total_, first_, done_;
  std::chrono::steady_clock::time_point start_, last_print_;
  bool terminal_, finished_ = false;
};

}  // namespace sns
