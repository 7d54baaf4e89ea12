#include "core/files.hpp"
#include "emulator/dataset.hpp"
#include "tests/support/relative.hpp"
#include "tests/support/scratch.hpp"
#include "tests/support/synthetic_dataset.hpp"

#include <doctest/doctest.h>

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <numeric>
#include <set>

using namespace sns;
using namespace sns::test;
namespace fs = std::filesystem;

TEST_CASE("a data set is described by its first file and stats.yaml") {
  ScratchFolder scratch;
  write_synthetic_dataset(scratch.path());
  const auto info = describe_dataset(scratch.path());
  CHECK(info.name == "waves");
  CHECK(info.fields == std::vector<std::string>{"vorticity"});
  CHECK(info.field_std == std::vector<double>{2.0});
  CHECK(info.nx == 8);
  CHECK(info.frame_interval == test::relative(0.25));
  CHECK(info.hash.size() == 64);
}

TEST_CASE(
    "the hash of a data set with a manifest is that of its frames, whenever and wherever they were made") {
  ScratchFolder scratch;
  write_synthetic_dataset(scratch.path());
  const auto manifest = [&](const std::string& made, const std::string& last) {
    write_text(scratch / "MANIFEST.jsonl",
               "{\"path\":\"data/train/waves_000000.h5\",\"made\":\"" + made + "\"}\n" + last);
  };
  manifest("yesterday", "{\"dataset\":\"waves\",\"data_hash\":\"abc\"}\n");
  CHECK(describe_dataset(scratch.path()).hash == "abc");
  manifest("today", "{\"dataset\":\"waves\",\"data_hash\":\"abc\"}\n");
  CHECK(describe_dataset(scratch.path()).hash == "abc");
  manifest("today", "{\"dataset\":\"waves\",\"data_hash\":\"abd\"}\n");
  CHECK(describe_dataset(scratch.path()).hash == "abd");
  for (const std::string last : {"", "{\"dataset\":\"waves\"}\n", "{\"dataset\":\"wav"}) {
    manifest("today", last);
    CHECK_THROWS_WITH_AS(describe_dataset(scratch.path()), doctest::Contains("no data_hash"), Error);
  }
}

TEST_CASE("files that the manifest does not list, or that are not there as it lists them, are errors") {
  ScratchFolder scratch;
  write_synthetic_dataset(scratch.path());
  std::string lines;
  std::vector<fs::path> train;
  for (const char* split : {"train", "valid"})
    for (const auto& file : fs::directory_iterator(scratch / "data" / split)) {
      if (std::string(split) == "train") train.push_back(file.path());
      lines += fmt::format("{{\"path\":\"data/{}/{}\",\"bytes\":{},\"trajectories\":[0]}}\n", split,
                           file.path().filename().string(), fs::file_size(file.path()));
    }
  write_text(scratch / "MANIFEST.jsonl", lines + "{\"data_hash\":\"abc\"}\n");
  const auto open = [&] { return dataset_source(scratch.path(), DataSplit::kDefaultBudget)({}, std::nullopt); };
  CHECK(open().validation != nullptr);
  CHECK(describe_dataset(scratch.path()).hash == "abc");
  REQUIRE(train.size() > 1);
  fs::copy_file(train[0], scratch / "data/train/copy.h5");
  CHECK(contains(message_of(open), "copy.h5 is not of the data set"));
  fs::remove(scratch / "data/train/copy.h5");
  fs::rename(train[1], scratch / "moved");
  CHECK(contains(message_of(open), "is missing or has another size than MANIFEST.jsonl says"));
  write_text(train[1], "short");
  CHECK(contains(message_of(open), train[1].string() + " is missing or has another size"));
  fs::rename(scratch / "moved", train[1]);
  fs::rename(scratch / "data/valid", scratch / "moved");  // no data set without validation frames
  CHECK(contains(message_of(open), "has no folder data/valid"));
}

TEST_CASE("frames are the file's values divided by field_std, in memory and from disk alike") {
  ScratchFolder scratch;
  const SyntheticDataset shape{.fields = {"q_upper", "q_lower"}};
  write_synthetic_dataset(scratch.path(), shape);
  const auto info = describe_dataset(scratch.path());
  for (const std::uint64_t budget : {DataSplit::kDefaultBudget, std::uint64_t{0}}) {
    const DataSplit split(info, "train", {2.0, 4.0}, budget);
    CHECK(split.in_memory() == (budget > 0));
    REQUIRE(split.trajectories() == 6);
    REQUIRE(split.channels() == 2);
    std::vector<float> window(static_cast<std::size_t>(3 * split.frame_size()));
    bool same = true;
    for (const int trajectory : {0, 2, 5}) {  // 5: last sample of the second file
      split.read(trajectory, 4, 3, window);
      std::size_t n = 0;
      for (int t = 4; t < 7; ++t)
        for (int f = 0; f < 2; ++f)
          for (int i = 0; i < 8; ++i)
            for (int j = 0; j < 8; ++j)
              same = same && window[n++] == wave(f, trajectory, t, i, j, 8) * (f == 0 ? 0.5F : 0.25F);
    }
    CHECK(same);
  }
}

TEST_CASE("windows cover every start of every trajectory and never cross trajectories") {
  ScratchFolder scratch;
  write_synthetic_dataset(scratch.path());
  const auto info = describe_dataset(scratch.path());
  const DataSplit split(info, "train", info.field_std);
  CHECK(split.windows(2) == 6 * 11);
  CHECK(split.windows(12) == 6);
  CHECK(split.windows(13) == 0);
  std::set<std::pair<std::int64_t, std::int64_t>> seen;
  for (std::int64_t w = 0; w < split.windows(5); ++w) {
    const auto [trajectory, first] = split.locate(w, 5);
    CHECK(first + 5 <= split.frames(trajectory));
    seen.insert({trajectory, first});
  }
  CHECK(seen.size() == 6 * 8);
  CHECK(contains(message_of([&] { split.locate(split.windows(5), 5); }), "outside"));
}

TEST_CASE("a permutation visits every item once, and differs between epochs and seeds") {
  for (const std::uint64_t size : {1, 2, 3, 7, 64, 65, 1000}) {
    const Permutation order(size, 5, 0);
    std::vector<std::uint64_t> items;
    for (std::uint64_t i = 0; i < size; ++i) items.push_back(order(i));
    std::sort(items.begin(), items.end());
    std::vector<std::uint64_t> all(size);
    std::iota(all.begin(), all.end(), 0);
    CHECK(items == all);
  }
  const Permutation a(1000, 5, 0), b(1000, 5, 1), c(1000, 6, 0);
  int fixed = 0, same_epoch = 0, same_seed = 0;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    fixed += a(i) == i;
    same_epoch += a(i) == b(i);
    same_seed += a(i) == c(i);
  }
  // One coincidence is expected of random permutations; ten would have probability 1e-7.
  CHECK(fixed < 10);
  CHECK(same_epoch < 10);
  CHECK(same_seed < 10);
}

TEST_CASE("the sampler goes through the data once per epoch, from any position") {
  EpochSampler sampler(10, 3);
  std::set<std::uint64_t> first, second;
  std::vector<std::uint64_t> order;
  for (std::uint64_t p = 0; p < 20; ++p) {
    order.push_back(sampler(p));
    (p < 10 ? first : second).insert(order.back());
  }
  CHECK(first.size() == 10);
  CHECK(second.size() == 10);
  EpochSampler resumed(10, 3);
  CHECK(resumed(13) == order[13]);
  CHECK(resumed(4) == order[4]);
}

TEST_CASE("trajectories that were lost are left out") {
  ScratchFolder scratch;
  write_synthetic_dataset(scratch.path());
  auto file = h5::File::open_edit(scratch / "data/train/waves_0.h5");
  file.make_group("provenance").write<std::uint8_t>("complete", {3}, std::vector<std::uint8_t>{1, 0, 1});
  file.close();
  const auto info = describe_dataset(scratch.path());
  const DataSplit split(info, "train", {1.0});
  REQUIRE(split.trajectories() == 5);
  std::vector<float> frame(64);
  split.read(1, 0, 1, frame);
  CHECK(frame[0] == wave(0, 2, 0, 0, 0, 8));
}

TEST_CASE("bad data sets are refused with one clear line") {
  ScratchFolder scratch;
  CHECK(contains(message_of([&] { describe_dataset(scratch / "none"); }), "does not exist"));
  CHECK(contains(message_of([&] { describe_dataset(scratch.path()); }), "data/train"));
  write_synthetic_dataset(scratch.path());
  const auto info = describe_dataset(scratch.path());
  CHECK(contains(message_of([&] { describe_dataset(scratch.path(), {"q"}); }), "/t0_fields/q"));

  SUBCASE("files of different shape") {
    ScratchFolder other;
    write_synthetic_dataset(other.path(), {.points = 4});
    std::filesystem::copy_file(other / "data/train/waves_0.h5", scratch / "data/train/waves_9.h5");
    CHECK(contains(message_of([&] { DataSplit(info, "train", {1.0}); }), "4x4"));
  }
  SUBCASE("non-finite values") {
    auto file = h5::File::open_edit(scratch / "data/train/waves_1.h5");
    const std::vector<float> bad{std::numeric_limits<float>::quiet_NaN()};
    file.dataset("t0_fields/vorticity").write_slab<float>({1, 2, 3, 4}, {1, 1, 1, 1}, bad);
    file.close();
    CHECK(contains(message_of([&] { DataSplit(info, "train", {1.0}); }), "sample 1"));
  }
  SUBCASE("no statistics") {
    std::filesystem::remove(scratch / "stats.yaml");
    CHECK(contains(message_of([&] { describe_dataset(scratch.path()); }), "stats.yaml"));
  }
  SUBCASE("a truncated file") {
    std::filesystem::resize_file(scratch / "data/train/waves_0.h5", 3000);
    CHECK(contains(message_of([&] { DataSplit(info, "train", {1.0}); }), "waves_0.h5"));
  }
}
