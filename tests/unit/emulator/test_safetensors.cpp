#include "core/files.hpp"
#include "emulator/safetensors.hpp"
#include "tests/support/scratch.hpp"
#include "tests/support/torch_doctest.hpp"

#include <cstdlib>
#include <fstream>

using namespace sns;
using test::contains;

namespace {

NamedTensors samples() {
  return {{"b.weight", torch::arange(12, torch::kFloat32).view({3, 4}).t()},  // not contiguous
          {"a.weight", torch::linspace(-1, 1, 5, torch::kFloat64)},
          {"half", torch::linspace(-2, 2, 3, torch::kFloat32).to(torch::kFloat16)},
          {"count", torch::arange(-2, 5, torch::kInt64)},
          {"small", torch::arange(4, torch::kInt32)},
          {"tiny", torch::arange(-3, 2, torch::kInt32).to(torch::kInt8)},
          {"bytes", torch::arange(3, torch::kUInt8)},
          {"flag", torch::arange(2, torch::kInt32).to(torch::kBool)},
          {"scalar", torch::full({}, 7.0, torch::kFloat32)},
          {"empty", torch::empty({0, 3}, torch::kFloat32)}};
}

/// A file with this header and `bytes` zero bytes of data.
std::filesystem::path crafted(const test::ScratchFolder& folder, const std::string& header, std::size_t bytes) {
  const auto file = folder / "crafted.safetensors";
  const std::uint64_t size = header.size();
  std::ofstream out(file, std::ios::binary);
  out.write(reinterpret_cast<const char*>(&size), 8);
  out << header << std::string(bytes, '\0');
  return file;
}

std::string refusal(const std::filesystem::path& file) {
  const std::string message = test::message_of([&] { SafeTensors tensors(file); });
  CHECK(contains(message, file.string()));
  CHECK(!contains(message, "\n"));
  return message;
}

}  // namespace

TEST_CASE("safetensors: every type, shape and the metadata come back") {
  const test::ScratchFolder folder;
  const auto file = folder / "all.safetensors";
  save_safetensors(file, samples(), {{"seed", "7"}});
  const SafeTensors tensors(file);
  CHECK(tensors.names().size() == samples().size());
  CHECK(tensors.metadata().at("seed") == "7");
  for (const auto& [name, value] : samples()) {
    CAPTURE(name);
    const torch::Tensor read = tensors.tensor(name);
    CHECK(bool(read.scalar_type() == value.scalar_type()));
    CHECK(read.sizes().vec() == value.sizes().vec());
    CHECK(torch::equal(read, value));
  }
  CHECK(contains(test::message_of([&] { tensors.tensor("c"); }), "'c'"));
}

TEST_CASE("safetensors: Python's package reads the file and writes the same bytes") {
  const std::string python = SNS_SOURCE_DIR "/.venv/bin/python3";
  if (std::system((python + " -c 'import safetensors.numpy' 2>/dev/null").c_str()) != 0) {
    MESSAGE("skipped: no Python with safetensors");
    return;
  }
  const test::ScratchFolder folder;
  const auto ours = folder / "ours.safetensors", theirs = folder / "theirs.safetensors";
  save_safetensors(ours, samples(), {{"made_by", "sns"}});
  write_text(folder / "check.py", R"(
import sys, numpy as np
from safetensors.numpy import load_file, save_file
t = load_file(sys.argv[1])
assert np.array_equal(t["b.weight"], np.arange(12, dtype=np.float32).reshape(3, 4).T)
assert np.array_equal(t["count"], np.arange(-2, 5)) and t["flag"].tolist() == [False, True] and t["scalar"] == 7
save_file({k: np.ascontiguousarray(v).reshape(v.shape) for k, v in t.items()}, sys.argv[2], {"made_by": "sns"})
)");
  const std::string command =
      python + " " + (folder / "check.py").string() + " " + ours.string() + " " + theirs.string();
  REQUIRE(std::system(command.c_str()) == 0);
  CHECK(bool(read_text(ours) == read_text(theirs)));
  for (const auto& [name, value] : samples()) CHECK(torch::equal(SafeTensors(theirs).tensor(name), value));
}

TEST_CASE("safetensors: damaged files are refused with one clear line") {
  const test::ScratchFolder folder;
  const auto good = folder / "good.safetensors";
  save_safetensors(good, {{"a", torch::ones({4})}});
  const std::string bytes = read_text(good);

  SUBCASE("truncated anywhere") {
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      CAPTURE(size);
      const auto cut = folder / "cut.safetensors";
      write_text(cut, bytes.substr(0, size));
      CHECK(contains(refusal(cut), "truncated"));
    }
  }
  SUBCASE("bytes after the end") {
    write_text(folder / "long.safetensors", bytes + "x");
    CHECK(contains(refusal(folder / "long.safetensors"), "1 bytes follow"));
  }
  SUBCASE("header too large") {
    std::string huge = bytes;
    huge[5] = 1;
    write_text(folder / "huge.safetensors", huge);
    CHECK(contains(refusal(folder / "huge.safetensors"), "at most 100000000"));
  }
  const auto entry = [](const char* name, const char* dtype, const char* shape, int begin, int end) {
    return fmt::format(R"("{}":{{"dtype":"{}","shape":{},"data_offsets":[{},{}]}})", name, dtype, shape, begin,
                       end);
  };
  const auto header_refusal = [&](const std::string& header, std::size_t data) {
    return refusal(crafted(folder, header, data));
  };
  SUBCASE("malformed headers") {
    CHECK(contains(header_refusal("not json", 0), "not JSON"));
    CHECK(contains(header_refusal("[1]", 0), "not a JSON object"));
    CHECK(contains(header_refusal("{" + entry("a", "F99", "[1]", 0, 4) + "}", 4), "unknown dtype 'F99'"));
    CHECK(contains(header_refusal("{" + entry("a", "F32", "[2]", 0, 4) + "}", 4), "disagree with its shape"));
    CHECK(contains(header_refusal("{" + entry("a", "F32", "[-1]", 0, 4) + "}", 4), "malformed"));
    CHECK(contains(header_refusal("{" + entry("a", "F32", "[1]", 4, 0) + "}", 4), "disagree"));
    CHECK(contains(
        header_refusal("{" + entry("a", "F32", "[9223372036854775807,9223372036854775807]", 0, 4) + "}", 4),
        "too large"));
    CHECK(contains(
        header_refusal("{" + entry("a", "F32", "[1]", 0, 4) + "," + entry("a", "F32", "[1]", 4, 8) + "}", 8),
        "'a' appears twice"));
    CHECK(contains(header_refusal(R"({"a":{"dtype":"F32","shape":[1]}})", 4), "missing"));
    CHECK(contains(header_refusal(R"({"__metadata__":{"a":1}})", 0), "not a string"));
  }
  SUBCASE("offsets") {
    CHECK(contains(
        header_refusal("{" + entry("a", "F32", "[2]", 0, 8) + "," + entry("b", "F32", "[1]", 4, 8) + "}", 8),
        "overlaps"));
    CHECK(contains(
        header_refusal("{" + entry("a", "F32", "[1]", 0, 4) + "," + entry("b", "F32", "[1]", 8, 12) + "}", 12),
        "hole"));
    CHECK(contains(header_refusal("{" + entry("a", "F32", "[4]", 0, 16) + "}", 8), "truncated"));
  }
  CHECK(contains(refusal(folder / "none.safetensors"), "cannot be opened"));
  CHECK(contains(refusal(folder.path()), "not a regular file"));
}

TEST_CASE("safetensors: a failed write leaves the old file alone") {
  const test::ScratchFolder folder;
  const auto file = folder / "a.safetensors";
  save_safetensors(file, {{"a", torch::ones({4})}});
  const std::string before = read_text(file);
  CHECK(contains(test::message_of([&] {
                   save_safetensors(file, {{"a", torch::ones({1})}, {"a", torch::ones({2})}});
                 }),
                 "two tensors are called 'a'"));
  CHECK(bool(read_text(file) == before));
}
