// Files that are missing, damaged, or on a disk that is full.
#include "core/files.hpp"
#include "core/hdf5.hpp"
#include "tests/support/child.hpp"
#include "tests/support/scratch.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/file.h>

#include <thread>

#if defined(__SANITIZE_ADDRESS__)
// HDF5 never frees what it could not write.
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libhdf5";
}
extern "C" const char* __lsan_default_options() {
  return "print_suppressions=0";
}
#endif

using namespace sns;
using sns::test::contains;
using sns::test::message_of;
namespace fs = std::filesystem;

namespace {

void write_example(const fs::path& path, std::size_t values = 10000) {
  h5::File file = h5::File::create(path);
  file.write<float>("/t0_fields/vorticity", {values}, std::vector<float>(values, 1.0f));
  file.set_attribute("name", "example");
  file.close();
}

std::string open_error(const fs::path& path) {
  return message_of([&] { h5::File::open_read(path); });
}

}  // namespace

TEST_CASE("hdf5 failures: what cannot be opened") {
  const test::ScratchFolder folder;
  CHECK(open_error(folder / "none.h5") == "cannot open " + (folder / "none.h5").string() + ": no such file");
  CHECK(open_error(folder.path()) ==
        "cannot open " + folder.path().string() + ": it is a folder, not an HDF5 file");
  write_text(folder / "text.h5", "hello, this is a text file and not an array file, however long it gets");
  CHECK(open_error(folder / "text.h5") == (folder / "text.h5").string() + " is not an HDF5 file");
  write_text(folder / "empty.h5", "");
  CHECK(open_error(folder / "empty.h5") ==
        (folder / "empty.h5").string() + " is empty (0 bytes), not an HDF5 file");
  CHECK(message_of([&] { h5::File::create(folder / "no/a.h5"); }) ==
        "cannot create " + (folder / "no/a.h5").string() + ": No such file or directory");
  CHECK(contains(message_of([&] { h5::File::create(folder.path()); }), "cannot create "));
}

TEST_CASE("hdf5 failures: truncated and damaged files") {
  const test::ScratchFolder folder;
  const auto path = folder / "a.h5";
  write_example(path);
  const std::string whole = read_text(path);
  for (const double part : {0.95, 0.5, 0.02}) {
    write_text(path, std::string_view(whole).substr(
                         0, static_cast<std::size_t>(part * static_cast<double>(whole.size()))));
    CHECK(contains(open_error(path), path.string() + " is truncated ("));
  }
  write_text(path, std::string_view(whole).substr(0, 10));
  CHECK(contains(open_error(path), path.string()));
  // damage of the superblock's end and beyond must end in an exception or in a readable file, never a crash
  for (std::size_t at = 8; at < 600; at += 7) {
    std::string damaged = whole;
    for (std::size_t i = at; i < at + 8; ++i) damaged[i] = static_cast<char>(0xff);
    write_text(path, damaged);
    const std::string message = message_of([&] {
      const h5::File file = h5::File::open_read(path);
      file.dataset("t0_fields/vorticity").read<float>();
      file.attribute<std::string>("name");
    });
    CHECK(message.find('\n') == std::string::npos);
    CHECK((message == "no exception" || contains(message, path.string())));
  }
}

TEST_CASE("hdf5 failures: sizes that fit into no memory") {
  const test::ScratchFolder folder;
  h5::File file = h5::File::create(folder / "a.h5");
  h5::DatasetOptions chunked;
  chunked.chunk = {1024};
  for (const int bits : {50, 60, 62}) {  // never written, so that the file stays small
    const std::string name = "x" + std::to_string(bits);
    const h5::Dataset dataset = file.create<double>(name, {std::uint64_t{1} << bits}, chunked);
    const std::string message = message_of([&] { dataset.read<double>(); });
    CHECK(contains(message, "not enough memory: values of " + (folder / "a.h5").string() + ":/" + name));
  }
  CHECK(h5::element_count({std::uint64_t{1} << 40, std::uint64_t{1} << 40}) == ~std::uint64_t{0});
  CHECK(h5::element_count({std::uint64_t{1} << 40, std::uint64_t{1} << 40, 0}) == 0);
}

TEST_CASE("hdf5 failures: a full disk, at once or when closing") {
  const test::ScratchFolder folder;
  for (const bool buffered : {false, true}) {
    CAPTURE(buffered);
    const test::ChildResult child = test::in_child([&] {
      if (!test::mount_small_disk(folder.path(), 512 * 1024)) return 77;
      const std::string message = message_of([&] {
        h5::File file = h5::File::create(folder / "a.h5");
        // chunks of this size stay in HDF5's cache until the file is closed
        const std::size_t n = buffered ? 65536 : 1 << 20;
        for (int i = 0; i < (buffered ? 8 : 1); ++i) {
          h5::DatasetOptions options;
          if (buffered) options.chunk = {n};
          h5::Dataset dataset = file.create<float>("x" + std::to_string(i), {n}, options);
          dataset.write<float>(std::vector<float>(n, 1.0f));
        }
        file.close();
      });
      std::printf("%s", message.c_str());
      return 0;
    });
    if (child.exit_code == 77) {
      MESSAGE("skipped: this system lets no test mount a small disk");
      return;
    }
    CHECK(child.exit_code == 0);
    CHECK(contains(child.out, (folder / "a.h5").string()));
    CHECK(contains(child.out, "No space left on device"));
    CHECK(child.out.find('\n') == std::string::npos);
    CHECK(child.err == "");
  }
}

TEST_CASE("hdf5 failures: a full disk through an atomic write keeps the old file") {
  const test::ScratchFolder folder;
  const test::ChildResult child = test::in_child([&] {
    if (!test::mount_small_disk(folder.path(), 512 * 1024)) return 77;
    write_example(folder / "a.h5", 1000);
    const std::string message = message_of([&] {
      write_atomically(folder / "a.h5", [](const fs::path& temporary) { write_example(temporary, 1 << 20); });
    });
    std::printf("%s\n", message.c_str());
    const h5::File file = h5::File::open_read(folder / "a.h5");
    std::printf("%zu %s", file.dataset("t0_fields/vorticity").read<float>().size(),
                file.attribute<std::string>("name").c_str());
    return 0;
  });
  if (child.exit_code == 77) {
    MESSAGE("skipped: this system lets no test mount a small disk");
    return;
  }
  CHECK(child.exit_code == 0);
  CHECK(contains(child.out, "No space left on device\n"));
  CHECK(contains(child.out, "1000 example"));
  CHECK(child.err == "");
}

TEST_CASE("hdf5 failures: a file that another program is writing") {
  const test::ScratchFolder folder;
  write_example(folder / "a.h5");
  // HDF5 writers hold such a lock on the file
  const int writer = ::open((folder / "a.h5").c_str(), O_RDONLY);
  REQUIRE(::flock(writer, LOCK_EX) == 0);
  CHECK(open_error(folder / "a.h5") ==
        "cannot open " + (folder / "a.h5").string() + ": another program has it open for writing");
  ::close(writer);
  CHECK(open_error(folder / "a.h5") == "no exception");
}

TEST_CASE("hdf5 failures: threads may use the library side by side") {
  const test::ScratchFolder folder;
  std::vector<std::thread> threads;
  std::vector<std::string> results(4);
  for (std::size_t t = 0; t < results.size(); ++t)
    threads.emplace_back([&, t] {
      results[t] = message_of([&] {
        for (int i = 0; i < 20; ++i) {
          const auto path = folder / (std::to_string(t) + ".h5");
          write_example(path, 100);
          require(h5::File::open_read(path).dataset("t0_fields/vorticity").read<float>().size() == 100,
                  "wrong size");
          require(contains(open_error(folder / "none.h5"), "no such file"), "wrong message");
        }
      });
    });
  for (std::thread& thread : threads) thread.join();
  for (const std::string& result : results) CHECK(result == "no exception");
}
