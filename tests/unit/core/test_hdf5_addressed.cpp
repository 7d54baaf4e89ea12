#include "core/error.hpp"
#include "core/hdf5_addressed.hpp"
#include "tests/support/scratch.hpp"

#include <doctest/doctest.h>

#include <numeric>
#include <span>

using namespace sns;
using sns::test::contains, sns::test::message_of;

namespace {

struct Fixture {
  Fixture() {
    auto file = h5::File::create(path());
    std::vector<double> values(3 * 4 * 2);
    std::iota(values.begin(), values.end(), 0.0);
    file.write<double>("x", {3, 4, 2}, values);  // three members, four frames, two values
    file.write<double>("of@1", {2}, std::vector<double>{7, 8});
    file.create<double>("none", {3, 0, 2});
    file.make_group("group");
    file.close();
  }
  std::string path() const { return (folder.path() / "a.h5").string(); }
  std::string at(const std::string& name) const { return path() + ":/" + name; }
  std::string refused(const std::string& name) const {
    return message_of([&] { h5::AddressedArray(at(name), 1); });
  }
  sns::test::ScratchFolder folder;
};

std::vector<double> all(const h5::AddressedArray& array) {
  std::vector<double> values(h5::element_count(array.shape()));
  array.read_slab<double>(h5::Shape(array.shape().size(), 0), array.shape(), std::span(values));
  return values;
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "an address names an array, or an entry of the axis before an item's") {
  const h5::AddressedArray whole(at("x"), 1), second(at("x@1"), 1), last(at("x@last"), 1), member(at("x@2"), 2);
  CHECK_FALSE(whole.one_entry());
  CHECK(whole.shape() == h5::Shape{3, 4, 2});
  CHECK(second.one_entry());
  CHECK(second.shape() == h5::Shape{3, 2});
  CHECK(all(second) == std::vector<double>{2, 3, 10, 11, 18, 19});
  CHECK(all(last) == std::vector<double>{6, 7, 14, 15, 22, 23});
  CHECK(member.shape() == h5::Shape{4, 2});
  CHECK(all(member) == std::vector<double>{16, 17, 18, 19, 20, 21, 22, 23});
  std::vector<double> one(1);
  second.read_slab<double>({2, 1}, {1, 1}, std::span(one));
  CHECK(one[0] == 19);
  CHECK(contains(whole.label(), "a.h5:/x"));
  CHECK(contains(last.label(), "a.h5:/x@3"));
}

TEST_CASE_FIXTURE(Fixture, "a name may have an @ of its own") {
  const h5::AddressedArray array(at("of@1"), 1);
  CHECK_FALSE(array.one_entry());
  CHECK(all(array) == std::vector<double>{7, 8});
  CHECK(all(h5::AddressedArray(at("of@1@0"), 0)) == std::vector<double>{7});
}

TEST_CASE_FIXTURE(Fixture, "what there is not is named") {
  CHECK(contains(refused("x@4"), "x@4 has 4 frames: @0 to @3, or @last"));
  CHECK(contains(refused("of@1@0"), "@0 needs an array with a time axis, and it has shape"));
  CHECK(contains(refused("none@last"), "holds no frames"));
  CHECK(contains(refused("group"), "is a group"));
  CHECK(contains(refused("y"), "has no dataset /y"));
  for (const char* name : {"x@-1", "x@first", "x@", "x@1234567890"})
    CHECK_MESSAGE(contains(refused(name), "a frame is chosen by @N or @last"), name);
}
