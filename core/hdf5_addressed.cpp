#include "core/hdf5_addressed.hpp"

#include "core/error.hpp"
#include "core/text.hpp"

#include <utility>

namespace sns::h5 {
namespace {

/// "/vorticity@last" -> {"/vorticity", "last"}; a name without an entry as it is.
std::pair<std::string, std::string> split_entry(const std::string& name) {
  const std::size_t at = name.rfind('@');
  const std::string entry = at == std::string::npos ? std::string() : name.substr(at + 1);
  constexpr std::size_t kMostDigits = 9;
  const bool number = !entry.empty() && entry.size() <= kMostDigits &&
                      entry.find_first_not_of("0123456789") == std::string::npos;
  if (!number && entry != "last") return {name, ""};
  return {name.substr(0, at), entry};
}

}  // namespace

AddressedArray::AddressedArray(const std::string& address, std::size_t item_axes)
    : file_(File::open_read(split_address(address).first)) {
  const std::string typed = split_address(address).second;
  // A name may have an @ of its own.
  const auto [name, entry] = file_.exists(typed) ? std::pair(typed, std::string()) : split_entry(typed);
  require(file_.exists(name), "{} has no dataset {}{}", file_.path().string(), name,
          name.find('@') == std::string::npos ? "" : " (a frame is chosen by @N or @last behind the name)");
  require(!file_.is_group(name), "{} is a group, not a dataset", address);
  dataset_ = file_.dataset(name);
  if (!entry.empty()) choose(address, entry, item_axes);
}

void AddressedArray::choose(const std::string& address, const std::string& entry, std::size_t item_axes) {
  const Shape array = dataset_.shape();
  require(array.size() > item_axes, "{}: @{} needs an array with a time axis, and it has shape {}", address,
          entry, shape_text(array));
  axis_ = array.size() - item_axes - 1;
  const std::uint64_t entries = array[axis_];
  require(entries > 0, "{} holds no frames", address);
  const std::uint64_t wanted = entry == "last" ? entries - 1 : std::stoull(entry);
  require(wanted < entries, "{} has {} frames: @0 to @{}, or @last", address, entries, entries - 1);
  entry_ = wanted;
}

std::string AddressedArray::label() const {
  return entry_ ? fmt::format("{}@{}", dataset_.label(), *entry_) : dataset_.label();
}

Shape AddressedArray::shape() const {
  Shape shape = dataset_.shape();
  if (entry_) shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(axis_));
  return shape;
}

Shape AddressedArray::with_entry(Shape shape, std::uint64_t value) const {
  if (entry_) shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(axis_), value);
  return shape;
}

}  // namespace sns::h5
