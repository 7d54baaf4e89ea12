#include "core/error.hpp"
#include "core/parallel.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

using namespace sns;

TEST_CASE("thread pool: every item once, workers within range") {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    CHECK(pool.threads() == threads);
    for (const std::int64_t items : {0, 1, 3, 1000}) {
      std::vector<std::atomic<int>> seen(static_cast<std::size_t>(items));
      std::atomic<bool> valid{true};
      pool.for_each(items, [&](std::int64_t item, int worker) {
        ++seen[static_cast<std::size_t>(item)];
        if (worker < 0 || worker >= threads) valid = false;
      });
      CHECK(valid);
      for (const auto& count : seen) REQUIRE(count == 1);
    }
  }
}

TEST_CASE("thread pool: work is shared, and a worker number belongs to one thread at a time") {
  ThreadPool pool(3);
  std::mutex mutex;
  std::set<std::thread::id> threads;
  std::vector<std::atomic<int>> inside(3);
  std::atomic<bool> exclusive{true};
  std::atomic<int> arrived{0};
  pool.for_each(3, [&](std::int64_t, int worker) {
    if (inside[static_cast<std::size_t>(worker)]++ != 0) exclusive = false;
    {
      const std::lock_guard lock(mutex);
      threads.insert(std::this_thread::get_id());
    }
    // each item waits for the others: only possible if three threads take part
    ++arrived;
    while (arrived < 3) std::this_thread::yield();
    --inside[static_cast<std::size_t>(worker)];
  });
  CHECK(threads.size() == 3);
  CHECK(threads.count(std::this_thread::get_id()) == 1);
  CHECK(exclusive);
}

TEST_CASE("thread pool: an exception reaches the caller and the pool lives on") {
  for (const int threads : {1, 4}) {
    ThreadPool pool(threads);
    std::atomic<int> done{0};
    CHECK_THROWS_WITH_AS(pool.for_each(100000,
                                       [&](std::int64_t item, int) {
                                         if (item == 3) throw std::runtime_error("item three");
                                         ++done;
                                       }),
                         "item three", std::runtime_error);
    CHECK(done < 100000);  // what had not started was dropped
    std::atomic<int> after{0};
    pool.for_each(50, [&](std::int64_t, int) { ++after; });
    CHECK(after == 50);
  }
}

TEST_CASE("thread pool: misuse is an error, not a deadlock") {
  CHECK_THROWS_WITH_AS(ThreadPool(0), "a thread pool needs at least one thread, not 0", Error);
  ThreadPool pool(2), other(2);
  CHECK_THROWS_WITH_AS(pool.for_each(4, [&](std::int64_t, int) { pool.for_each(2, [](std::int64_t, int) {}); }),
                       "for_each was called from inside a for_each of the same thread pool", Error);
  std::atomic<int> count{0};
  pool.for_each(1, [&](std::int64_t, int) {
    other.for_each(3, [&](std::int64_t, int) { ++count; });
    CHECK_THROWS_AS(pool.for_each(2, [](std::int64_t, int) {}), Error);
  });
  CHECK(count == 3);
}

TEST_CASE("thread pool: callers from several threads take turns") {
  ThreadPool pool(2);
  std::atomic<int> total{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i)
    callers.emplace_back([&] {
      for (int round = 0; round < 50; ++round) pool.for_each(7, [&](std::int64_t, int) { ++total; });
    });
  for (std::thread& caller : callers) caller.join();
  CHECK(total == 4 * 50 * 7);
}

TEST_CASE("thread pool: idle workers sleep") {
  ThreadPool pool(4);
  pool.for_each(100, [](std::int64_t, int) {});
  const std::clock_t before = std::clock();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  CHECK(static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC < 0.1);
}

TEST_CASE("default threads follow the environment") {
  const auto with = [](const char* omp, const char* slurm) {
    const auto set = [](const char* name, const char* value) {
      if (value)
        ::setenv(name, value, 1);
      else
        ::unsetenv(name);
    };
    set("OMP_NUM_THREADS", omp);
    set("SLURM_CPUS_PER_TASK", slurm);
    const int threads = default_threads();
    set("OMP_NUM_THREADS", nullptr);
    set("SLURM_CPUS_PER_TASK", nullptr);
    return threads;
  };
  const int cores = with(nullptr, nullptr);
  CHECK(cores >= 1);
  CHECK(with("3", "5") == 3);
  CHECK(with("6,2", nullptr) == 6);
  CHECK(with(nullptr, "5") == 5);
  CHECK(with("zero", nullptr) == cores);
  CHECK(with("0", nullptr) == cores);
  CHECK(with("-4", "2") == 2);
}
