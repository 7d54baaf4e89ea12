#include "core/build_info.hpp"
#include "core/files.hpp"
#include "tests/support/child.hpp"
#include "tests/support/scratch.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <fstream>
#include <optional>
#include <regex>

using namespace sns;
using sns::test::contains;
using sns::test::message_of;
namespace fs = std::filesystem;

namespace {

std::size_t entries(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

}  // namespace

TEST_CASE("files: text there and back") {
  const test::ScratchFolder folder;
  const std::string text = std::string("one\0two\n", 8) + std::string(3000000, 'x');
  write_text(folder / "a.txt", text);
  CHECK(read_text(folder / "a.txt") == text);
  write_text(folder / "a.txt", "short");
  CHECK(read_text(folder / "a.txt") == "short");
  CHECK(entries(folder.path()) == 1);
  CHECK(message_of([&] { read_text(folder / "none"); }) ==
        "cannot read " + (folder / "none").string() + ": No such file or directory");
  CHECK(contains(message_of([&] { read_text(folder.path()); }), "Is a directory"));
  CHECK(message_of([&] { write_text(folder / "no/a.txt", "x"); }) ==
        "cannot write " + (folder / "no/a.txt").string() + ": No such file or directory");
}

TEST_CASE("files: hashes of a folder's files, as sha256sum writes and reads them") {
  const test::ScratchFolder folder;
  CHECK(read_sums(folder.path()).empty());
  const std::map<std::string, std::string> sums = {{"a b.txt", sha256("a")}, {"c", sha256("c")}};
  write_sums(folder.path(), sums);
  CHECK(read_text(folder / "SHA256SUMS") == sha256("a") + "  a b.txt\n" + sha256("c") + "  c\n");
  CHECK(read_sums(folder.path()) == sums);
  write_text(folder / "SHA256SUMS", sha256("c") + " *c\r\n\n");
  CHECK(read_sums(folder.path()) == std::map<std::string, std::string>{{"c", sha256("c")}});
}

TEST_CASE("files: a failing writer leaves the old file and no litter") {
  const test::ScratchFolder folder;
  const auto target = folder / "state";
  write_text(target, "old");
  fs::path seen;
  CHECK_THROWS_WITH_AS(write_atomically(target,
                                        [&](const fs::path& temporary) {
                                          seen = temporary;
                                          std::ofstream(temporary) << "half";
                                          throw Error("stopped half way");
                                        }),
                       "stopped half way", Error);
  CHECK(seen.parent_path() == folder.path());
  CHECK(read_text(target) == "old");
  CHECK(entries(folder.path()) == 1);
  // messages name the target, not the temporary file
  CHECK(contains(message_of([&] { write_atomically(target, [](const fs::path&) {}); }),
                 "cannot open " + target.string() + " to sync"));
  CHECK(read_text(target) == "old");
}

TEST_CASE("files: the new file appears only when it is whole") {
  const test::ScratchFolder folder;
  const auto target = folder / "state";
  write_atomically(target, [&](const fs::path& temporary) {
    std::ofstream(temporary) << "new";
    CHECK_FALSE(fs::exists(target));
    CHECK(temporary != target);
  });
  CHECK(read_text(target) == "new");
  CHECK(entries(folder.path()) == 1);
}

TEST_CASE("files: a relative target needs no folder part") {
  const test::ScratchFolder folder;
  const fs::path before = fs::current_path();
  fs::current_path(folder.path());
  write_text("bare.txt", "x");
  fs::current_path(before);
  CHECK(read_text(folder / "bare.txt") == "x");
}

TEST_CASE("files: a full disk is one clear error and keeps the old file") {
  const test::ScratchFolder folder;
  const test::ChildResult child = test::in_child([&] {
    if (!test::mount_small_disk(folder.path(), 256 * 1024)) return 77;
    write_text(folder / "a", "old");
    const std::string text(1 << 20, 'x');
    std::printf("%s\n", message_of([&] { write_text(folder / "a", text); }).c_str());
    std::printf("%s %zu\n", read_text(folder / "a").c_str(), entries(folder.path()));
    std::printf("%s\n", message_of([&] {
                          for (int i = 0; i < 100; ++i) append_line(folder / "log", text.substr(0, 10000));
                        }).c_str());
    return 0;
  });
  if (child.exit_code == 77) {
    MESSAGE("skipped: this system lets no test mount a small disk");
    return;
  }
  CHECK(child.exit_code == 0);
  CHECK(contains(child.out, "cannot write " + (folder / "a").string() + ": No space left on device\n"));
  CHECK(contains(child.out, "old 1\n"));
  CHECK(contains(child.out, "cannot append to " + (folder / "log").string() + ": No space left on device\n"));
}

TEST_CASE("files: lines are appended") {
  const test::ScratchFolder folder;
  append_line(folder / "log.jsonl", "{\"a\":1}");
  append_line(folder / "log.jsonl", "{\"a\":2}");
  CHECK(read_text(folder / "log.jsonl") == "{\"a\":1}\n{\"a\":2}\n");
  CHECK(contains(message_of([&] { append_line(folder / "no/log", "x"); }), "cannot append to"));
}

TEST_CASE("files: writable folders") {
  const test::ScratchFolder folder;
  make_writable_folder(folder / "a/b/c");
  make_writable_folder(folder / "a/b/c");
  CHECK(entries(folder / "a/b/c") == 0);
  write_text(folder / "file", "");
  CHECK(contains(message_of([&] { make_writable_folder(folder / "file"); }), (folder / "file").string()));
  CHECK(contains(message_of([&] { make_writable_folder(folder / "file/x"); }), "cannot create folder"));
  CHECK(
      contains(message_of([&] { make_writable_folder("/proc/self"); }), "cannot write to folder /proc/self: "));
}

TEST_CASE("files: SHA-256 of the NIST vectors") {
  CHECK(sha256("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(
      sha256(
          "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmno"
          "pqrstnopqrstu") == "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
  CHECK(sha256(std::string(1000000, 'a')) ==
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  const test::ScratchFolder folder;
  write_text(folder / "a", std::string(1000000, 'a') + std::string(500000, 'b'));
  CHECK(sha256_file(folder / "a") == sha256(std::string(1000000, 'a') + std::string(500000, 'b')));
  CHECK(contains(message_of([&] { sha256_file(folder / "none"); }), "cannot read"));
}

TEST_CASE("files: FNV-1a") {
  CHECK(fnv1a("") == 0xcbf29ce484222325ULL);
  CHECK(fnv1a("a") == 0xaf63dc4c8601ec8cULL);
  CHECK(fnv1a("foobar") == 0x85944171f73967e8ULL);
  CHECK(fnv1a("bar", fnv1a("foo")) == fnv1a("foobar"));
}

TEST_CASE("files: one writer per folder") {
  const test::ScratchFolder folder;
  {
    const FolderLock lock(folder.path());
    const test::ChildResult child = test::in_child([&] {
      std::printf("%s", message_of([&] { const FolderLock second(folder.path()); }).c_str());
      return 0;
    });
    CHECK(contains(child.out, "folder " + folder.path().string() + " is in use by another process (process " +
                                  std::to_string(getpid()) + " on host "));
    CHECK(contains(child.out, "; wait for it to end or choose another folder"));
  }
  const test::ChildResult killed = test::in_child([&]() -> int {
    const FolderLock lock(folder.path());
    std::abort();
  });
  CHECK(killed.signal != 0);
  std::optional<FolderLock> again;
  CHECK_NOTHROW(again.emplace(folder.path()));
  CHECK(contains(message_of([&] { const FolderLock none(folder / "none"); }), "cannot write to folder"));
}

TEST_CASE("files: holders of a shared lock are not taken for the last one who was alone") {
  const test::ScratchFolder folder;
  { const FolderLock alone(folder.path()); }
  const FolderLock one(folder.path(), FolderLock::Kind::shared), two(folder.path(), FolderLock::Kind::shared);
  CHECK(contains(message_of([&] { const FolderLock third(folder.path()); }), "by another process; wait"));
}

TEST_CASE("build information") {
  const BuildInfo& info = build_info();
  CHECK(std::regex_match(info.version, std::regex(R"(\d+\.\d+\.\d+)")));
  CHECK(std::regex_match(info.git_commit, std::regex("[0-9a-f]{40}|unknown")));
  CHECK_FALSE(info.compiler.empty());
  CHECK_FALSE(info.flags.empty());
  CHECK(std::regex_match(utc_now(), std::regex(R"(20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ)")));
  CHECK(std::regex_match(hostname_hash(), std::regex("[0-9a-f]{8}")));
}
