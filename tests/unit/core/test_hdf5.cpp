#include "core/hdf5.hpp"
#include "core/hdf5_frames.hpp"
#include "core/hdf5_links.hpp"
#include "tests/support/scratch.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <numeric>

using namespace sns;
using sns::test::contains;
using sns::test::message_of;

namespace {

template <class T>
void round_trip(h5::Kind kind) {
  const test::ScratchFolder folder;
  const std::vector<T> values = {std::numeric_limits<T>::lowest(), T{0}, T{1}, T{2}, T{3},
                                 std::numeric_limits<T>::max()};
  {
    h5::File file = h5::File::create(folder / "a.h5");
    file.write<T>("/x", {2, 3}, values);
    file.close();
  }
  const h5::Dataset dataset = h5::File::open_read(folder / "a.h5").dataset("x");
  CHECK(dataset.kind() == kind);
  CHECK(dataset.shape() == h5::Shape{2, 3});
  CHECK(dataset.read<T>() == values);
  std::vector<T> column(2);
  dataset.read_slab<T>({0, 2}, {2, 1}, column);
  CHECK(column == std::vector<T>{T{1}, std::numeric_limits<T>::max()});
}

std::vector<float> ramp(std::size_t n) {
  std::vector<float> values(n);
  std::iota(values.begin(), values.end(), 0.0f);
  return values;
}

}  // namespace

TEST_CASE("hdf5: every number type there and back") {
  round_trip<std::int8_t>(h5::Kind::int8);
  round_trip<std::uint8_t>(h5::Kind::uint8);
  round_trip<std::int32_t>(h5::Kind::int32);
  round_trip<std::uint32_t>(h5::Kind::uint32);
  round_trip<std::int64_t>(h5::Kind::int64);
  round_trip<std::uint64_t>(h5::Kind::uint64);
  round_trip<float>(h5::Kind::float32);
  round_trip<double>(h5::Kind::float64);
  CHECK(std::string(h5::name(h5::Kind::float32)) == "float32");
  CHECK(std::string(h5::name(h5::Kind::boolean)) == "boolean");
}

TEST_CASE("hdf5: numbers are converted, texts are not") {
  const test::ScratchFolder folder;
  h5::File file = h5::File::create(folder / "a.h5");
  file.write<float>("f", {2}, std::vector<float>{1.5f, -2.0f});
  file.write_strings("s", {"a"});
  file.write_booleans("b", {true, false});
  CHECK(file.dataset("f").read<double>() == std::vector<double>{1.5, -2.0});
  CHECK(file.dataset("b").read<std::int8_t>() == std::vector<std::int8_t>{1, 0});
  CHECK(message_of([&] { file.dataset("s").read<float>(); }) ==
        (folder / "a.h5").string() + ":/s holds text, not numbers");
  CHECK(message_of([&] { file.dataset("f").read_strings(); }) ==
        (folder / "a.h5").string() + ":/f holds numbers, not text");
  CHECK(message_of([&] { file.dataset("s").write<float>(std::vector<float>{1}); }) ==
        (folder / "a.h5").string() + ":/s holds text, not numbers");
}

TEST_CASE("hdf5: scalars, empty arrays, strings, booleans") {
  const test::ScratchFolder folder;
  h5::File file = h5::File::create(folder / "a.h5");
  file.write<double>("scalar", {}, std::vector<double>{2.5});
  file.write<float>("empty", {0}, {});
  file.write_strings("names", {"vorticity", "", "Größe"});
  file.write_strings("no_names", {});
  file.write_booleans("mask", {true, false, true});
  file.write_booleans("no_mask", {});
  CHECK(file.dataset("scalar").shape().empty());
  CHECK(file.dataset("scalar").read<double>() == std::vector<double>{2.5});
  CHECK(file.dataset("empty").read<float>().empty());
  CHECK(file.dataset("names").read_strings() == std::vector<std::string>{"vorticity", "", "Größe"});
  CHECK(file.dataset("names").kind() == h5::Kind::string);
  CHECK(file.dataset("no_names").read_strings().empty());
  CHECK(file.dataset("mask").kind() == h5::Kind::boolean);
  CHECK(file.dataset("mask").read<std::uint8_t>() == std::vector<std::uint8_t>{1, 0, 1});
  CHECK(file.dataset("no_mask").shape() == h5::Shape{0});
}

TEST_CASE("hdf5: attributes of every type") {
  const test::ScratchFolder folder;
  {
    h5::File file = h5::File::create(folder / "a.h5");
    file.set_attribute("flag", true);
    file.set_attribute("int", -3);
    file.set_attribute("int64", std::int64_t{1} << 40);
    file.set_attribute("uint64", ~std::uint64_t{0});
    file.set_attribute("float", 0.5f);
    file.set_attribute("double", 0.1);
    file.set_attribute("string", std::string("Größe"));
    file.set_attribute("literal", "text");
    file.set_attribute("nothing", "");
    file.set_attribute("bools", std::vector<bool>{true, false});
    file.set_attribute("ints", std::vector<int>{1, 2});
    file.set_attribute("int64s", std::vector<std::int64_t>{3});
    file.set_attribute("doubles", std::vector<double>{0.5, 1.5});
    file.set_attribute("strings", std::vector<std::string>{"x", "yy"});
    file.set_attribute("empty", std::vector<std::string>{});
    file.set_attribute("none", std::vector<double>{});
    file.set_attribute("long", std::string(200000, 'y'));
    file.set_attribute("int", 4);  // replaces
    file.close();
  }
  const h5::File file = h5::File::open_read(folder / "a.h5");
  CHECK(file.attribute<bool>("flag"));
  CHECK(file.attribute<int>("int") == 4);
  CHECK(file.attribute<double>("int") == 4.0);
  CHECK(file.attribute<std::int64_t>("int64") == std::int64_t{1} << 40);
  CHECK(file.attribute<std::uint64_t>("uint64") == ~std::uint64_t{0});
  CHECK(file.attribute<double>("float") == 0.5);
  CHECK(file.attribute<double>("double") == 0.1);
  CHECK(file.attribute<std::string>("string") == "Größe");
  CHECK(file.attribute<std::string>("literal") == "text");
  CHECK(file.attribute<std::string>("nothing").empty());
  CHECK(file.attribute<std::vector<std::int64_t>>("bools") == std::vector<std::int64_t>{1, 0});
  CHECK(file.attribute<std::vector<std::int64_t>>("ints") == std::vector<std::int64_t>{1, 2});
  CHECK(file.attribute<std::vector<std::int64_t>>("int64s") == std::vector<std::int64_t>{3});
  CHECK(file.attribute<std::vector<double>>("doubles") == std::vector<double>{0.5, 1.5});
  CHECK(file.attribute<std::vector<std::string>>("strings") == std::vector<std::string>{"x", "yy"});
  CHECK(file.attribute<std::vector<std::string>>("empty").empty());
  CHECK(file.attribute<std::vector<double>>("none").empty());
  CHECK(file.attribute<std::string>("long").size() == 200000);
  CHECK(file.has_attribute("flag"));
  CHECK_FALSE(file.has_attribute("flagg"));
  CHECK(file.attribute_names().front() == "flag");  // in order of creation
  CHECK(file.attribute_names().back() == "int");
  CHECK(file.attribute_names().size() == 17);
}

TEST_CASE("hdf5: attribute errors") {
  const test::ScratchFolder folder;
  h5::File file = h5::File::create(folder / "a.h5");
  h5::Group group = file.make_group("g");
  group.set_attribute("d", 1.5);
  group.set_attribute("s", "text");
  group.set_attribute("v", std::vector<double>{1, 2});
  const std::string label = (folder / "a.h5").string() + ":/g";
  CHECK(message_of([&] { group.attribute<int>("x"); }) ==
        "attribute x of " + label + " is missing (there are: d, s, v)");
  CHECK(message_of([&] { group.attribute<int>("d"); }) ==
        "attribute d of " + label + " holds fractional numbers, not integers");
  CHECK(message_of([&] { group.attribute<bool>("s"); }) ==
        "attribute s of " + label + " holds text, not booleans");
  CHECK(message_of([&] { group.attribute<double>("s"); }) ==
        "attribute s of " + label + " holds text, not numbers");
  CHECK(message_of([&] { group.attribute<std::string>("d"); }) ==
        "attribute d of " + label + " holds numbers, not text");
  CHECK(message_of([&] { group.attribute<double>("v"); }) ==
        "attribute v of " + label + " holds 2 values, not one");
}

TEST_CASE("hdf5: chunked and growing arrays") {
  const test::ScratchFolder folder;
  {
    h5::File file = h5::File::create(folder / "a.h5", true);
    h5::Dataset dataset =
        file.create<float>("/t0_fields/vorticity", {2, 0, 3},
                           {.chunk = {1, 16, 100}, .max_shape = h5::Shape{2, h5::kUnlimited, 3}, .deflate = 4});
    for (std::uint64_t step = 0; step < 5; ++step) {
      dataset.resize({2, step + 1, 3});
      const std::vector<float> frame(6, static_cast<float>(step));
      dataset.write_slab<float>({0, step, 0}, {2, 1, 3}, frame);
    }
    h5::Dataset automatic = file.create<double>("grow", {0, 4}, {.max_shape = h5::Shape{h5::kUnlimited, 4}});
    automatic.resize({3, 4});
    file.create<float>("compressed", {8, 8}, {.deflate = 1}).write<float>(ramp(64));
    file.flush();
    file.close();
  }
  const h5::File file = h5::File::open_read(folder / "a.h5");
  const h5::Dataset dataset = file.dataset("t0_fields/vorticity");
  CHECK(dataset.shape() == h5::Shape{2, 5, 3});
  std::vector<float> slab(2 * 2 * 3);
  dataset.read_slab<float>({0, 3, 0}, {2, 2, 3}, slab);
  CHECK(slab == std::vector<float>{3, 3, 3, 4, 4, 4, 3, 3, 3, 4, 4, 4});
  CHECK(file.dataset("grow").shape() == h5::Shape{3, 4});
  CHECK(file.dataset("compressed").read<float>() == ramp(64));
}

TEST_CASE("hdf5: slabs are checked against the shape") {
  const test::ScratchFolder folder;
  h5::File file = h5::File::create(folder / "a.h5");
  h5::Dataset dataset = file.create<float>("x", {4, 5});
  const std::string label = (folder / "a.h5").string() + ":/x";
  std::vector<float> values(10);
  CHECK(message_of([&] {
          dataset.read_slab<float>({3, 0}, {2, 5}, values);
        }) == label + " has shape [4, 5]: a slab at [3, 0] of size [2, 5] leaves it");
  CHECK(message_of([&] { dataset.write_slab<float>({0}, {2}, values); }) ==
        label + " has shape [4, 5]: a slab at [0] of size [2] does not fit it");
  CHECK(message_of([&] {
          dataset.write_slab<float>({0, 0}, {1, 5}, values);
        }) == label + ": a slab of size [1, 5] needs 5 values, not 10");
  CHECK(message_of([&] { dataset.write<float>(values); }) ==
        label + ": a slab of size [4, 5] needs 20 values, not 10");
  // an offset that would wrap around
  CHECK(contains(message_of([&] {
                   dataset.read_slab<float>({~std::uint64_t{0}, 0}, {2, 5}, values);
                 }),
                 "leaves it"));
  CHECK(contains(message_of([&] { dataset.resize({9, 9}); }), "cannot resize " + label + " to [9, 9]: "));
  CHECK(contains(message_of([&] { dataset.resize({9}); }), "has shape [4, 5]: it cannot become [9]"));
}

TEST_CASE("hdf5: groups") {
  const test::ScratchFolder folder;
  h5::File file = h5::File::create(folder / "a.h5");
  const std::string name = (folder / "a.h5").string();
  h5::Group inner = file.make_group("/a/b/c");
  CHECK(inner.label() == name + ":/a/b/c");
  CHECK(file.label() == name + ":/");
  inner.write<float>("x", {1}, std::vector<float>{1});
  inner.write<float>("sub/y", {1}, std::vector<float>{2});
  CHECK(inner.dataset("sub/y").label() == name + ":/a/b/c/sub/y");
  CHECK(inner.dataset("/a/b/c/x").label() == name + ":/a/b/c/x");
  CHECK(file.exists("a/b/c/x"));
  CHECK(file.exists("/a//b/"));
  CHECK_FALSE(file.exists("/a/x/c"));
  CHECK_FALSE(file.exists("a/b/c/x/deeper"));
  CHECK(file.is_group("a/b"));
  CHECK(file.is_group("/"));
  CHECK_FALSE(file.is_group("a/b/c/x"));
  CHECK_FALSE(file.is_group("nowhere"));
  file.make_group("b");
  CHECK(file.names() == std::vector<std::string>{"a", "b"});
  CHECK(file.make_group("a/b").names() == std::vector<std::string>{"c"});
  CHECK(inner.names() == std::vector<std::string>{"sub", "x"});
  CHECK(file.group("/").names().size() == 2);
  CHECK(message_of([&] { file.group("q"); }) == name + ":/q is missing");
  CHECK(message_of([&] { file.group("a/b/c/x"); }) == name + ":/a/b/c/x is not a group");
  CHECK(message_of([&] { file.dataset("a/b/c/z"); }) == name + ":/a/b/c/z is missing (there are: sub, x)");
  CHECK(message_of([&] { inner.dataset("z"); }) == name + ":/a/b/c/z is missing (there are: sub, x)");
  CHECK(message_of([&] { file.dataset("/z"); }) == name + ":/z is missing (there are: a, b)");
  CHECK(message_of([&] { inner.dataset("/z"); }) == name + ":/z is missing (there are: a, b)");
  CHECK(message_of([&] { file.dataset("no/z"); }) == name + ":/no/z is missing");
  CHECK(message_of([&] { file.dataset("a/b"); }) == name + ":/a/b is a group, not an array");
  CHECK(message_of([&] { inner.write<float>("x", {1}, std::vector<float>{1}); }) ==
        name + ":/a/b/c/x exists already");
  CHECK(message_of([&] { file.make_group("a/b/c/x"); }) == name + ":/a/b/c/x is not a group");
  CHECK(contains(message_of([&] { file.create<float>("/", {1}); }), "names nothing that could be created"));
}

TEST_CASE("hdf5: dimension scales and hard links") {
  const test::ScratchFolder folder;
  {
    h5::File file = h5::File::create(folder / "a.h5");
    h5::Dataset time = file.write<double>("/dimensions/time", {3}, std::vector<double>{0, 1, 2});
    time.make_scale("time");
    h5::Dataset field = file.write<float>("/t0_fields/vorticity", {3, 2}, ramp(6));
    field.attach_scale(0, time);
    file.hard_link("/dimensions/time", "time");
    file.hard_link("/t0_fields/vorticity", "/alias/vorticity");
    CHECK(contains(message_of([&] { field.attach_scale(2, time); }), "has shape [3, 2]: there is no axis 2"));
    CHECK(contains(message_of([&] { file.hard_link("/nothing", "x"); }),
                   ":/nothing is missing; it cannot be linked"));
    CHECK(contains(message_of([&] { file.hard_link("/dimensions/time", "time"); }), ":/time exists already"));
    file.close();
  }
  const h5::File file = h5::File::open_read(folder / "a.h5");
  CHECK(file.dataset("time").attribute<std::string>("CLASS") == "DIMENSION_SCALE");
  CHECK(file.dataset("time").attribute<std::string>("NAME") == "time");
  CHECK(file.dataset("t0_fields/vorticity").has_attribute("DIMENSION_LIST"));
  CHECK(file.dataset("alias/vorticity").read<float>() == ramp(6));
}

TEST_CASE("hdf5: names in a file, of groups that hold themselves, too") {
  const test::ScratchFolder folder;
  h5::File file = h5::File::create(folder / "a.h5");
  file.write<float>("/b/x", {2}, std::vector<float>{1, 2});
  file.hard_link("/b", "/b/again");
  file.hard_link("/b", "/c");
  file.make_group("/a");
  std::vector<std::string> paths, arrays;
  for (const h5::Link& link : h5::links(file)) {
    paths.push_back(link.path);
    CHECK(link.target.empty());
    CHECK((link.kind == h5::Link::Kind::array || link.kind == h5::Link::Kind::group));
    if (link.kind == h5::Link::Kind::array) arrays.push_back(link.path);
  }
  CHECK(paths == std::vector<std::string>{"/a", "/b", "/b/again", "/b/x", "/c"});
  CHECK(arrays == std::vector<std::string>{"/b/x"});
}

TEST_CASE("hdf5: handles share and outlive their file") {
  const test::ScratchFolder folder;
  h5::Dataset kept;
  {
    h5::File file = h5::File::create(folder / "a.h5");
    h5::Dataset dataset = file.write<float>("x", {2}, ramp(2));
    kept = dataset;
    const h5::Dataset copy = dataset;
    h5::Dataset moved = std::move(dataset);
    CHECK(copy.read<float>() == moved.read<float>());
    kept = moved;
    file.close();
    file.close();  // again is harmless
  }
  CHECK(kept.read<float>() == ramp(2));
  CHECK(contains(message_of([] { h5::Dataset().shape(); }), "nothing"));
}

TEST_CASE("hdf5: an existing file can be edited") {
  const test::ScratchFolder folder;
  {
    h5::File file = h5::File::create(folder / "a.h5");
    file.write<float>("x", {2}, ramp(2));
  }
  {
    h5::File file = h5::File::open_edit(folder / "a.h5");
    file.dataset("x").write<float>(std::vector<float>{5, 6});
    file.set_attribute("complete", true);
    file.close();
  }
  h5::File file = h5::File::open_read(folder / "a.h5");
  CHECK(file.path() == folder / "a.h5");
  CHECK_NOTHROW(h5::File::open_read(folder / "a.h5").close());
  CHECK(file.attribute<bool>("complete"));
  CHECK(file.dataset("x").read<float>() == std::vector<float>{5, 6});
  CHECK(contains(message_of([&] { file.set_attribute("y", 1); }), "cannot create attribute y of "));
  CHECK(contains(message_of([&] { file.write<float>("y", {2}, ramp(2)); }), "cannot create "));
}

TEST_CASE("hdf5: addresses") {
  const auto [file, path] = h5::split_address("dir/a.h5:/t0_fields/vorticity");
  CHECK(file == "dir/a.h5");
  CHECK(path == "/t0_fields/vorticity");
  CHECK(h5::split_address("c:/x/a.h5:/v").first == "c:/x/a.h5");
  for (const std::string text : {"a.h5", "a.h5:", "a.h5:/", "a.h5:x", ":/x", ""})
    CHECK(message_of<ConfigError>([&] { h5::split_address(text); }) ==
          "'" + text + "' does not name an array: give FILE.h5:/path/to/array");
  CHECK(h5::version().rfind("1.", 0) == 0);
  CHECK(h5::element_count({}) == 1);
  CHECK(h5::element_count({2, 3, 4}) == 24);
}

TEST_CASE("hdf5: frames of several fields come side by side") {
  const test::ScratchFolder folder;
  h5::File file = h5::File::create(folder / "fields.h5");
  std::vector<h5::Dataset> fields;
  for (int f = 0; f < 2; ++f) {
    std::vector<float> values(3 * 4 * 6);  // 3 samples, 4 frames, 2 x 3 points
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<float>(i) + 1000.0F * static_cast<float>(f);
    fields.push_back(file.write<float>("f" + std::to_string(f), {3, 4, 2, 3}, values));
  }
  std::vector<float> out(2 * 2 * 6);
  h5::read_frames(fields, 1, 2, 2, out);  // of sample 1, frames 2 and 3
  for (int t = 0; t < 2; ++t)
    for (int f = 0; f < 2; ++f)
      for (int i = 0; i < 6; ++i)
        CHECK(out[static_cast<std::size_t>((t * 2 + f) * 6 + i)] == 1000 * f + (4 + 2 + t) * 6 + i);
  std::vector<float> one(6);
  h5::read_frames(std::span(fields).first(1), 2, 0, 1, one);
  CHECK(one == std::vector<float>{48, 49, 50, 51, 52, 53});
  CHECK_THROWS_WITH_AS(h5::read_frames(fields, 1, 2, 2, one), doctest::Contains("too small"), Error);
  CHECK_THROWS_AS(h5::read_frames(fields, 1, 3, 2, out), Error);  // there is no frame 4
}
