#pragma once
// Processes that make one stage each: how they are started, watched and ended, and what they do.
#include "app/config_arguments.hpp"
#include "core/live_line.hpp"
#include "experiments/stages.hpp"

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <list>
#include <string>
#include <utility>
#include <vector>

namespace sns {

/// What such a process is told beside the experiment's arguments, as the text of one hidden option.
struct WorkerOrder {
  std::string stage, hash;  ///< the stage, and what it must be: the YAML file may have changed meanwhile
  std::string label;        ///< of its experiment
  std::string command;      ///< what the user typed, for model cards
  int failure = -1;   ///< descriptor that takes what went wrong: 'c' (ConfigError) or 'e', then the message
  bool live = false;  ///< whether progress goes to the parent as live lines

  std::string text() const;
  /// ConfigError for one that text() has not made.
  static WorkerOrder parse(const std::string& text);
};

/// In such a process: has the experiment read and makes the stage. Ends the process, with an exit code of the
/// program.
[[noreturn]] void work(const WorkerOrder& order, const std::function<void(StageGraph&)>& read_stages);

/// A pipe from a child: the parent reads, without waiting, what the child writes. Closed by exec.
class Pipe {
 public:
  /// Error where there can be none.
  Pipe();
  Pipe(Pipe&& other) noexcept;
  ~Pipe();
  void close_writing();
  int writing() const { return write_; }
  /// What there is to read.
  std::string drain() const;

 private:
  int read_ = -1, write_ = -1;
};

/// Whose stage it is.
struct Origin {
  std::size_t experiment = 0;
  std::string stage, name;  ///< name: in messages
  std::filesystem::path record;
};

/// One stage that another process makes.
struct Worker : Origin {
  pid_t process = -1;
  Pipe failure, lines;  ///< `lines` is used on a terminal only; elsewhere stderr is shared
  detail::RelayedLines relayed;
};

/// Starts one that does what `order` says (its last two members are filled in here). It is a process of its own
/// from the beginning (exec): a device that is open here, and threads that LibTorch has started here, would be
/// of no use to a mere copy. Error where it cannot be started.
Worker start_worker(const Origin& origin, const ConfigArguments& arguments, WorkerOrder order, int threads);

/// What went wrong with a stage.
struct Failure {
  bool configuration = false;  ///< ConfigError
  std::string message;
};

/// Those that run. While this lives, stops are not announced: who passes them on does so.
class Workers {
 public:
  Workers();
  ~Workers();  ///< ends those that are left, and waits for them
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  const std::list<Worker>& all() const { return all_; }
  void add(Worker worker);
  /// Once: all save their state and end. Says why.
  void stop(const std::string& why);
  /// Waits a moment, shows what they write, and takes those out that have ended: stages that were made come
  /// into `made`, failures into `failed`.
  void wait();

  std::vector<Origin> made;
  std::vector<std::pair<Origin, Failure>> failed;
  bool stopped = false;  ///< one of them was

 private:
  void share_fate() const;
  void judge(const Worker& worker, int status);

  std::list<Worker> all_;
  bool told_ = false;
};

}  // namespace sns
