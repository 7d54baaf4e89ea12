#pragma once
// Arrays in files by the addresses that users type.
#include "core/hdf5.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace sns::h5 {

/// FILE.h5:/array, or one entry of it: /array@N and /array@last are entry N, or the last one, along the axis
/// before those of an item: a frame of a simulation or rollout, or one of several states.
class AddressedArray {
 public:
  /// item_axes: how many axes an item has. Error if the file has no such array or entry, ConfigError for what
  /// is not an address.
  AddressedArray(const std::string& address, std::size_t item_axes);

  const File& file() const { return file_; }
  const Dataset& dataset() const { return dataset_; }
  bool one_entry() const { return entry_.has_value(); }
  /// For messages: file, array and entry.
  std::string label() const;
  /// Without the axis of the entry, if there is one.
  Shape shape() const;
  /// offset and count: as of an array of shape().
  template <class T>
  void read_slab(const Shape& offset, const Shape& count, std::span<T> out) const {
    dataset_.read_slab<T>(with_entry(offset, entry_.value_or(0)), with_entry(count, 1), out);
  }

 private:
  /// entry: digits or "last".
  void choose(const std::string& address, const std::string& entry, std::size_t item_axes);
  Shape with_entry(Shape shape, std::uint64_t value) const;

  File file_;
  Dataset dataset_;
  std::size_t axis_ = 0;  // of the entry
  std::optional<std::uint64_t> entry_;
};

}  // namespace sns::h5
