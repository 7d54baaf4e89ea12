#pragma once
// Arrays of the files that `sns predict` reads and writes.
#include "core/hdf5_addressed.hpp"
#include "emulator/diffusion/sampler.hpp"
#include "emulator/models/model.hpp"

#include <string>
#include <vector>

namespace sns {

/// Shape of `frames` frames of the model in a file: [frames, C, n, n], without the axes that have one place.
h5::Shape frame_shape(const Model& model, std::uint64_t frames = 1);
/// That of `count` items.
h5::Shape rows_of(std::int64_t count, const h5::Shape& item);

/// B items of `frames` frames each; one item may stand without its first axis.
class InputArray {
 public:
  /// address: FILE.h5:/path, /path@N or /path@last (h5::AddressedArray), or, for a model of C fields, C paths
  /// with commas between them, one for each field in the model's order; a path without a file is in the file of
  /// the one before it. Error if there is no such array, or it has another shape than `frames` (and `meaning`,
  /// for the message) asks for.
  InputArray(const std::string& address, const Model& model, std::int64_t frames, const char* meaning);
  std::int64_t count() const { return count_; }
  /// Items first..first+count-1 in the model's units, frames side by side: [count, frames * C, n, n] on its
  /// device. Error where a value is not finite.
  torch::Tensor read(std::int64_t first, std::int64_t count) const;

 private:
  void open(const std::string& address, const char* meaning);
  torch::Tensor read_one(const h5::AddressedArray& array, std::int64_t first, std::int64_t count) const;

  const Model& model_;
  std::int64_t frames_;
  h5::Shape item_;                          ///< of one array
  std::vector<h5::AddressedArray> arrays_;  ///< one, or one for each field
  bool single_ = false;
  std::int64_t count_ = 0;
};

/// Addresses of the arrays of `fields` fields: `address` itself, or as many as it lists.
std::vector<std::string> array_addresses(const std::string& address, int fields);

/// Writes rows first..first+rows[0]-1.
template <class T>
void write_rows(h5::Dataset& array, std::int64_t first, h5::Shape rows, std::span<const T> values) {
  h5::Shape offset(rows.size(), 0);
  offset[0] = static_cast<std::uint64_t>(first);
  array.write_slab<T>(offset, rows, values);
}
/// Rows of the file's shape from a tensor of as many values.
void write_rows(h5::Dataset& array, std::int64_t first, const h5::Shape& rows, const torch::Tensor& values);
/// Pairs of levels, i32 [rows, 2].
void write_levels(h5::Dataset& array, std::int64_t first, const std::vector<Levels>& pairs);

}  // namespace sns
