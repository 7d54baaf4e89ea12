// Log lines, progress and stop requests, as a user's terminal or log file sees them.
#include "core/live_line.hpp"
#include "core/log.hpp"
#include "core/progress.hpp"
#include "core/stop.hpp"
#include "tests/support/child.hpp"
#include "tests/support/scratch.hpp"

#include <doctest/doctest.h>
#include <pty.h>
#include <signal.h>

#include <chrono>
#include <regex>
#include <thread>

using namespace sns;
using sns::test::contains;

namespace {

void pause_ms(int ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds(ms));
}

/// What `body` shows on a terminal.
std::string on_terminal(const std::function<void()>& body) {
  int terminal = -1;
  winsize size{};
  size.ws_col = 90;
  size.ws_row = 20;
  const pid_t child = ::forkpty(&terminal, nullptr, nullptr, &size);
  require(child >= 0, "cannot make a terminal");
  if (child == 0) {
    ::setenv("TERM", "xterm", 1);
    body();
    std::exit(0);
  }
  const std::string text = test::read_all(terminal);
  CHECK(test::wait_for(child).exit_code == 0);
  ::close(terminal);
  return text;
}

}  // namespace

TEST_CASE("log: simple lines with the time, without colour in a file") {
  const test::ChildResult child = test::in_child([] {
    log::info("read {} frames", 12);
    log::warn("low {}", "disk");
    log::error("solver.viscosty is unknown {{}}");
    log::debug("hidden");
    log::set_level(log::Level::debug);
    log::debug("shown");
    log::set_level(log::Level::error);
    log::warn("hidden as well");
    return 0;
  });
  CHECK(child.exit_code == 0);
  CHECK(child.out.empty());
  const std::string time = R"(\d\d:\d\d:\d\d sns: )";
  CHECK_MESSAGE(
      std::regex_match(
          child.err, std::regex(time + "read 12 frames\n" + time + "warning: low disk\n" + time +
                                R"(error: solver\.viscosty is unknown \{\})" + "\n" + time + "debug: shown\n")),
      child.err);
}

TEST_CASE("log: lines of many threads stay whole") {
  const test::ChildResult child = test::in_child([] {
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([] {
        for (int i = 0; i < 100; ++i) log::info("{}", std::string(50, 'x'));
      });
    for (std::thread& thread : threads) thread.join();
    return 0;
  });
  const std::regex line(R"(\d\d:\d\d:\d\d sns: x{50}\n)");
  CHECK(std::distance(std::sregex_iterator(child.err.begin(), child.err.end(), line), std::sregex_iterator()) ==
        400);
  CHECK(child.err.size() == 400 * (9 + 5 + 50 + 1));
}

TEST_CASE("progress: in a file, only the closing line of short work") {
  const test::ChildResult child = test::in_child([] {
    Progress progress("datagen", 1000, "frames", 200);
    for (int i = 200; i <= 1000; ++i) progress.update(i, "cfl 0.2");
    pause_ms(20);
    progress.finish("energy 1.5");
    progress.finish();
    return 0;
  });
  CHECK_MESSAGE(
      std::regex_match(
          child.err,
          std::regex(
              R"(..:..:.. sns: datagen: 1000/1000 frames \(100 %\), [\d.e+]+ frames/s, took 0 s, energy 1\.5\n)")),
      child.err);
}

TEST_CASE("progress: the closing line says how far interrupted work came") {
  const test::ChildResult child = test::in_child([] {
    {
      Progress progress("train", 10, "steps");
      progress.update(4);
    }
    Progress open("scan", 0, "files");
    open.update(3);
    return 0;
  });
  CHECK(contains(child.err, "sns: train: 4/10 steps (40 %), "));
  CHECK(contains(child.err, "sns: scan: 3 files, "));
}

TEST_CASE("progress: what was found done has no part in the rate") {
  const test::ChildResult child = test::in_child([] {
    Progress progress("datagen", 1000, "steps");
    progress.skip(900);
    pause_ms(100);
    progress.update(910);
    return 0;
  });
  std::smatch rate;
  REQUIRE_MESSAGE(
      std::regex_search(child.err, rate, std::regex(R"(910/1000 steps \(91 %\), ([\d.e+]+) steps/s)")),
      child.err);
  CHECK(std::stod(rate[1]) <= 100);  // 10 steps in at least 0.1 s
}

TEST_CASE("relayed lines: what a process writes for another one that shows it") {
  const test::ChildResult child = test::in_child([] {
    detail::relay_live_lines();
    Progress progress("train sns", 100, "steps");
    pause_ms(120);
    progress.update(10, std::string(200, 'n'));  // whoever shows it cuts it
    log::warn("in between");
    progress.finish("loss 0.5");
    return 0;
  });
  CAPTURE(child.err);
  CHECK(std::regex_match(child.err, std::regex("\rtrain sns: 10/100 steps \\(10 %\\), [^\n]*n{200}\n"
                                               "..:..:.. sns: warning: in between\n"
                                               "\r\n"
                                               "..:..:.. sns: train sns: 10/100 steps [^\n]*, loss 0.5\n")));
}

TEST_CASE("relayed lines: whole ones are printed, live ones kept, whatever the pieces they come in") {
  const test::ChildResult child = test::in_child([] {
    detail::RelayedLines lines;
    bool good = !lines.take("first ") && lines.live().empty();
    good = good && !lines.take("line\nsec") && lines.live().empty();
    good = good && lines.take("ond line\n\rtrain: 1/2\n\rtrain") && lines.live() == "train: 1/2";
    good = good && lines.take(": 2/2\n") && lines.live() == "train: 2/2";
    good = good && lines.take("\r\nthe end") && lines.live().empty();
    lines.take("\n\rtrain: 3/2\nunfinished");
    lines.finish();
    return good && lines.live().empty() ? 0 : 1;
  });
  CHECK(child.exit_code == 0);
  CHECK(child.err == "first line\nsecond line\nthe end\nunfinished\n");
}

TEST_CASE("progress: several live lines are erased together") {
  const std::string text = on_terminal([] {
    detail::show_live_line("one\n" + std::string(200, '2') + "\nthree");
    log::info("above");
    detail::clear_live_line();
  });
  const std::string lines = "one\r\n" + std::string(89, '2') + "\r\nthree";
  const std::string erased = "\r\x1b[K\x1b[1A\x1b[K\x1b[1A\x1b[K";
  CAPTURE(text);
  CHECK(text.starts_with(lines + erased));
  CHECK(contains(text, "above\r\n" + lines + erased));
  CHECK(text.ends_with(erased));
}

TEST_CASE("progress: on a terminal one live line, which log lines do not cut") {
  const std::string text = on_terminal([] {
    Progress progress("rollout", 100, "steps");
    pause_ms(120);
    progress.update(10, "loss 0.5");
    progress.update(11);  // too soon to be shown
    log::warn("in between");
    pause_ms(120);
    progress.update(50, std::string(200, 'n'));
    progress.finish();
  });
  CAPTURE(text);
  CHECK(contains(text, "rollout: 10/100 steps (10 %), "));
  CHECK(contains(text, " left, loss 0.5"));
  CHECK_FALSE(contains(text, "11/100"));
  // the live line is erased, the warning printed, the live line drawn again
  CHECK(std::regex_search(text, std::regex("\r\x1b\\[K..:..:.. sns: (\x1b\\[[0-9;]*m)+warning: "
                                           "(\x1b\\[[0-9;]*m)+in between\r\nrollout: 10/100")));
  // cut to the width of the terminal, so that it stays on one line
  const std::size_t second = text.find("rollout: 50/100");
  REQUIRE(second != std::string::npos);
  CHECK(text.find('\r', second) - second == 89);
  CHECK(std::regex_search(text, std::regex("\r\x1b\\[K..:..:.. sns: rollout: 50/100 steps .*took 0 s\r\n$")));
}

TEST_CASE("log: NO_COLOR and a dumb terminal") {
  const std::string text = on_terminal([] {
    ::setenv("NO_COLOR", "1", 1);
    log::warn("plain");
  });
  CHECK_FALSE(contains(text, "\x1b"));
  CHECK_FALSE(contains(on_terminal([] {
                         ::setenv("TERM", "dumb", 1);
                         log::warn("plain");
                       }),
                       "\x1b"));
}

TEST_CASE("stop: requests and the time budget") {
  reset_stop();
  CHECK_FALSE(stop_requested());
  request_stop();
  CHECK(stop_requested());
  reset_stop();
  CHECK_FALSE(stop_requested());
  set_time_budget(0.05);
  CHECK_FALSE(stop_requested());
  pause_ms(70);
  CHECK(stop_requested());
  set_time_budget(0);
  CHECK_FALSE(stop_requested());
  set_time_budget(1e300);
  CHECK_FALSE(stop_requested());
  reset_stop();
}

TEST_CASE("stop: the first signal only asks, the second ends the program") {
  for (const int first : {SIGINT, SIGTERM})
    for (const int second : {SIGINT, SIGTERM}) {
      const test::ChildResult child = test::in_child([&] {
        install_stop_handlers();
        ::raise(first);
        std::printf("%d", stop_requested() ? 1 : 0);
        ::raise(second);  // at once: the same request, come twice
        std::printf("2");
        std::fflush(stdout);
        pause_ms(600);
        ::raise(second);
        return 0;
      });
      CHECK(child.out == "12");
      CHECK(contains(child.err, "sns: stopping at the next safe point; signal again to end at once\n"));
      CHECK(child.signal == second);
    }
}

TEST_CASE("stop: where there is nothing to save, the first signal ends the program") {
  for (const int signal : {SIGINT, SIGTERM}) {
    const test::ChildResult child = test::in_child([&] {
      install_stop_handlers();
      { const EndAtOnce earlier; }
      const EndAtOnce outer;
      { const EndAtOnce inner; }
      ::raise(signal);
      return 0;
    });
    CHECK(child.exit_code == kExitStopped);
    CHECK(contains(child.err, "sns: stopped: on request; nothing was under way"));
  }
}

TEST_CASE("stop: a request is not forgotten by what cannot be stopped") {
  const test::ChildResult child = test::in_child([] {
    install_stop_handlers();
    { const EndAtOnce over; }
    ::raise(SIGTERM);  // asks, as there may be something to save again
    try {
      const EndAtOnce planning;
    } catch (const Stopped&) {
      return 1;
    }
    return 0;
  });
  CHECK(child.exit_code == 1);
  request_stop();
  CHECK_THROWS_WITH_AS(throw_if_stopped("while reading"), doctest::Contains("on request while reading;"),
                       Stopped);
  reset_stop();
  CHECK_NOTHROW(throw_if_stopped("while reading"));
}

TEST_CASE("stop: a signal that was ignored stays ignored") {
  const test::ChildResult child = test::in_child([] {
    ::signal(SIGINT, SIG_IGN);
    install_stop_handlers();
    ::raise(SIGINT);
    return stop_requested() ? 1 : 0;
  });
  CHECK(child.exit_code == 0);
}
