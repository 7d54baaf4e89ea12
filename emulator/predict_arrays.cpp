#include "emulator/predict_arrays.hpp"

#include "core/error.hpp"
#include "core/text.hpp"
#include "emulator/training_frames.hpp"

#include <algorithm>

namespace sns {

h5::Shape frame_shape(const Model& model, std::uint64_t frames) {
  const auto n = static_cast<std::uint64_t>(model.config().image);
  const auto c = static_cast<std::uint64_t>(model.config().field_channels);
  h5::Shape shape{n, n};
  if (c > 1) shape.insert(shape.begin(), c);
  if (frames > 1) shape.insert(shape.begin(), frames);
  return shape;
}

h5::Shape rows_of(std::int64_t count, const h5::Shape& item) {
  h5::Shape shape = item;
  shape.insert(shape.begin(), static_cast<std::uint64_t>(count));
  return shape;
}

std::vector<std::string> array_addresses(const std::string& address, int fields) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= address.size();) {
    const std::size_t end = std::min(address.find(',', begin), address.size());
    std::string part = address.substr(begin, end - begin);
    if (part.find(":/") == std::string::npos && !parts.empty())
      part = h5::split_address(parts.back()).first.string() + ":" + part;
    parts.push_back(std::move(part));
    begin = end + 1;
  }
  // The name of a file may have a comma in it.
  return fields > 1 && static_cast<int>(parts.size()) == fields ? parts : std::vector<std::string>{address};
}

InputArray::InputArray(const std::string& address, const Model& model, std::int64_t frames, const char* meaning)
    : model_(model), frames_(frames) {
  const std::vector<std::string> addresses = array_addresses(address, model.config().field_channels);
  item_ = frame_shape(model, static_cast<std::uint64_t>(frames));
  if (addresses.size() > 1) item_.erase(item_.end() - 3);
  for (const std::string& one : addresses) open(one, meaning);
}

void InputArray::open(const std::string& address, const char* meaning) {
  arrays_.emplace_back(address, item_.size());
  const h5::AddressedArray& array = arrays_.back();
  // Files that do not say how the flow is driven are taken as they are.
  if (array.file().has_attribute(kForcingWavenumber))
    require_same_force(model_.config().network, array.file().attribute<double>(kForcingWavenumber),
                       array.file().path().string());
  const h5::Shape shape = array.shape();
  const bool single = shape == item_;
  require(
      single || (shape.size() == item_.size() + 1 && std::equal(item_.begin(), item_.end(), shape.begin() + 1)),
      "{} has shape {}; the model takes {} {}, one or an array of them{}", array.label(), shape_text(shape),
      meaning, shape_text(item_),
      shape.size() == item_.size() + 2 ? "; @N or @last behind its name takes one frame of each member" : "");
  const std::int64_t count = single ? 1 : static_cast<std::int64_t>(shape[0]);
  require(count > 0, "{} is empty", array.label());
  require(arrays_.size() == 1 || (single == single_ && count == count_),
          "{} and {} hold different numbers of {}", arrays_.front().label(), array.label(), meaning);
  single_ = single;
  count_ = count;
}

torch::Tensor InputArray::read_one(const h5::AddressedArray& array, std::int64_t first,
                                   std::int64_t count) const {
  h5::Shape offset(item_.size(), 0), extent = item_;
  if (!single_) {
    offset.insert(offset.begin(), static_cast<std::uint64_t>(first));
    extent.insert(extent.begin(), static_cast<std::uint64_t>(count));
  }
  const std::int64_t n = model_.config().image;
  torch::Tensor values =
      torch::empty({count, frames_, model_.config().field_channels / std::ssize(arrays_), n, n});
  array.read_slab<float>(offset, extent,
                         std::span<float>(values.data_ptr<float>(), static_cast<std::size_t>(values.numel())));
  require(values.isfinite().all().item<bool>(), "{}, items {}..{}: a value is not finite", array.label(), first,
          first + count - 1);
  return values;
}

torch::Tensor InputArray::read(std::int64_t first, std::int64_t count) const {
  std::vector<torch::Tensor> fields;
  for (const h5::AddressedArray& array : arrays_) fields.push_back(read_one(array, first, count));
  return torch::cat(fields, 2).flatten(1, 2).to(model_.device()) / model_.scale(frames_);
}

void write_rows(h5::Dataset& array, std::int64_t first, const h5::Shape& rows, const torch::Tensor& values) {
  const auto host = values.to(torch::kCPU, torch::kFloat32).contiguous();
  write_rows<float>(array, first, rows, {host.data_ptr<float>(), static_cast<std::size_t>(host.numel())});
}

void write_levels(h5::Dataset& array, std::int64_t first, const std::vector<Levels>& pairs) {
  std::vector<std::int32_t> flat;
  for (const Levels& one : pairs) flat.insert(flat.end(), {one.past, one.present});
  write_rows<std::int32_t>(array, first, {pairs.size(), 2}, flat);
}

}  // namespace sns
