#pragma once
// Runs a piece of a test in a process of its own: signals, full disks, terminals.
#include "core/error.hpp"

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

namespace sns::test {

struct ChildResult {
  int exit_code = -1;  ///< -1 if a signal ended it
  int signal = 0;
  std::string out, err;  ///< what it wrote to stdout and stderr
};

inline std::string read_all(int descriptor) {
  std::string text;
  char buffer[4096];
  for (ssize_t n = ::read(descriptor, buffer, sizeof buffer); n > 0;
       n = ::read(descriptor, buffer, sizeof buffer))
    text.append(buffer, static_cast<std::size_t>(n));
  return text;
}

inline ChildResult wait_for(pid_t child) {
  ChildResult result;
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
  return result;
}

/// Forks; the child calls `body` and exits through exit() with the number it returns (99 if it throws).
/// Output must fit a pipe (64 KiB).
inline ChildResult in_child(const std::function<int()>& body) {
  int out[2], err[2];
  require(::pipe(out) == 0 && ::pipe(err) == 0, "cannot make pipes");
  std::fflush(nullptr);
  const pid_t child = ::fork();
  require(child >= 0, "cannot fork");
  if (child == 0) {
    ::dup2(out[1], STDOUT_FILENO);
    ::dup2(err[1], STDERR_FILENO);
    for (const int end : {out[0], out[1], err[0], err[1]}) ::close(end);
    int code = 99;
    try {
      code = body();
    } catch (const std::exception& e) {
      std::fprintf(stderr, "exception: %s\n", e.what());
    }
    std::exit(code);
  }
  ::close(out[1]);
  ::close(err[1]);
  const std::string text = read_all(out[0]), errors = read_all(err[0]);
  ::close(out[0]);
  ::close(err[0]);
  ChildResult result = wait_for(child);
  result.out = text;
  result.err = errors;
  return result;
}

/// In a child: mounts a file system of `bytes` bytes on `folder`, seen by the child alone. False where the
/// system does not allow that.
inline bool mount_small_disk(const std::filesystem::path& folder, long bytes) {
  if (::unshare(CLONE_NEWNS) != 0) {
    // without privileges: a user name space in which this user is root
    const auto user = ::getuid();
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
    std::ofstream("/proc/self/uid_map") << "0 " << user << " 1";
  }
  const std::string options = "size=" + std::to_string(bytes);
  return ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("tmpfs", folder.c_str(), "tmpfs", 0, options.c_str()) == 0;
}

}  // namespace sns::test
