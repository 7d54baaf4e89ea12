// Arrays and groups.
#include "core/hdf5.hpp"

#include "core/hdf5_internal.hpp"

#include <hdf5_hl.h>

#include <algorithm>
#include <limits>

namespace sns::h5 {
namespace {

using detail::check;
using detail::make_property;
using detail::Session;
using detail::shown;
using detail::split;

/// Selects a slab of a data set; checks it against the shape first.
Handle select(const Dataset& dataset, const Shape& offset, const Shape& count, std::size_t given) {
  Handle space(check(H5Dget_space(dataset.id()), "cannot use {}", dataset.label()));
  const Shape shape = detail::shape_of_space(space.id());
  require(offset.size() == shape.size() && count.size() == shape.size(),
          "{} has shape {}: a slab at {} of size {} does not fit it", dataset.label(), shown(shape),
          shown(offset), shown(count));
  for (std::size_t i = 0; i < shape.size(); ++i)
    require(count[i] <= shape[i] && offset[i] <= shape[i] - count[i],
            "{} has shape {}: a slab at {} of size {} leaves it", dataset.label(), shown(shape), shown(offset),
            shown(count));
  require(given == element_count(count), "{}: a slab of size {} needs {} values, not {}", dataset.label(),
          shown(count), element_count(count), given);
  if (!shape.empty() && given > 0) {
    const std::vector<hsize_t> begin(offset.begin(), offset.end()), size(count.begin(), count.end());
    check(H5Sselect_hyperslab(space.id(), H5S_SELECT_SET, begin.data(), nullptr, size.data(), nullptr),
          "cannot select a slab of {}", dataset.label());
  }
  return space;
}

void require_numbers(const Dataset& dataset) {
  const Handle type(check(H5Dget_type(dataset.id()), "cannot use {}", dataset.label()));
  const H5T_class_t stored = H5Tget_class(type.id());
  require(stored == H5T_INTEGER || stored == H5T_FLOAT || detail::kind_of(type.id()) == Kind::boolean,
          "{} holds {}, not numbers", dataset.label(), detail::class_name(type.id()));
}

Handle creation_properties(const Shape& shape, const DatasetOptions& options, const std::string& label) {
  Handle creation = make_property(H5P_DATASET_CREATE);
  check(H5Pset_attr_creation_order(creation.id(), detail::kCreationOrder), "cannot track creation order");
  const Shape limit = options.max_shape.value_or(shape);
  require(limit.size() == shape.size(), "{}: max_shape {} does not fit shape {}", label, shown(limit),
          shown(shape));
  Shape chunk = options.chunk;
  if (chunk.empty() && (options.max_shape || options.deflate > 0)) {
    chunk = shape;
    for (std::size_t i = 0; i < chunk.size(); ++i)
      if (limit[i] == kUnlimited) chunk[i] = 1;
  }
  if (chunk.empty()) return creation;
  require(chunk.size() == shape.size(), "{}: chunk {} does not fit shape {}", label, shown(chunk),
          shown(shape));
  std::vector<hsize_t> size(chunk.size());
  for (std::size_t i = 0; i < chunk.size(); ++i)
    size[i] = std::max<hsize_t>(1, std::min<std::uint64_t>(chunk[i], limit[i]));
  check(H5Pset_chunk(creation.id(), static_cast<int>(size.size()), size.data()), "cannot chunk {}", label);
  if (options.deflate > 0) {
    check(H5Pset_shuffle(creation.id()), "cannot compress {}", label);
    check(H5Pset_deflate(creation.id(), static_cast<unsigned>(options.deflate)), "cannot compress {}", label);
  }
  return creation;
}

/// `parent` is the group that `name` will be in.
Handle create_dataset(hid_t parent, const std::string& name, const std::string& label, hid_t type,
                      const Shape& shape, const DatasetOptions& options) {
  require(H5Lexists(parent, name.c_str(), H5P_DEFAULT) <= 0, "{} exists already", label);
  const Handle space = detail::space_of(shape, options.max_shape ? &*options.max_shape : nullptr);
  const Handle creation = creation_properties(shape, options, label);
  return Handle(
      check(H5Dcreate2(parent, name.c_str(), type, space.id(), H5P_DEFAULT, creation.id(), H5P_DEFAULT),
            "cannot create {}", label));
}

}  // namespace

std::uint64_t element_count(const Shape& shape) {
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;
  std::uint64_t count = 1;
  for (const std::uint64_t extent : shape)
    if (__builtin_mul_overflow(count, extent, &count)) return std::numeric_limits<std::uint64_t>::max();
  return count;
}

// --- Dataset ------------------------------------------------------------------------------------------------

Shape Dataset::shape() const {
  const Session session;
  const Handle space(check(H5Dget_space(id()), "cannot use {}", label_));
  return detail::shape_of_space(space.id());
}

Kind Dataset::kind() const {
  const Session session;
  const Handle type(check(H5Dget_type(id()), "cannot use {}", label_));
  return detail::kind_of(type.id());
}

template <class T>
std::vector<T> Dataset::read() const {
  const Session session;
  const Shape size = shape();
  detail::require_fits(label_, size, sizeof(T));
  std::vector<T> values(element_count(size));
  read_slab<T>(Shape(size.size(), 0), size, values);
  return values;
}

std::vector<std::string> Dataset::read_strings() const {
  const Session session;
  const Handle type(check(H5Dget_type(id()), "cannot use {}", label_));
  const Handle space(check(H5Dget_space(id()), "cannot use {}", label_));
  return detail::read_strings(type.id(), space.id(), label_, [&](hid_t memory, void* buffer) {
    return H5Dread(id(), memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, buffer);
  });
}

template <class T>
void Dataset::read_slab(const Shape& offset, const Shape& count, std::span<T> out) const {
  const Session session;
  require_numbers(*this);
  const Handle space = select(*this, offset, count, out.size());
  if (out.empty()) return;
  const Handle memory = detail::space_of(count);
  check(H5Dread(id(), detail::native<T>(), memory.id(), space.id(), H5P_DEFAULT, out.data()), "cannot read {}",
        label_);
}

template <class T>
void Dataset::write(std::span<const T> values) {
  const Session session;
  const Shape size = shape();
  write_slab<T>(Shape(size.size(), 0), size, values);
}

template <class T>
void Dataset::write_slab(const Shape& offset, const Shape& count, std::span<const T> values) {
  const Session session;
  require_numbers(*this);
  const Handle space = select(*this, offset, count, values.size());
  if (values.empty()) return;
  const Handle memory = detail::space_of(count);
  check(H5Dwrite(id(), detail::native<T>(), memory.id(), space.id(), H5P_DEFAULT, values.data()),
        "cannot write {}", label_);
}

void Dataset::resize(const Shape& new_shape) {
  const Session session;
  const Shape now = shape();
  require(new_shape.size() == now.size(), "{} has shape {}: it cannot become {}", label_, shown(now),
          shown(new_shape));
  const std::vector<hsize_t> size(new_shape.begin(), new_shape.end());
  check(H5Dset_extent(id(), size.data()), "cannot resize {} to {}", label_, shown(new_shape));
}

void Dataset::make_scale(const std::string& scale_name) {
  const Session session;
  check(H5DSset_scale(id(), scale_name.c_str()), "cannot make {} a dimension scale", label_);
}

void Dataset::attach_scale(int axis, const Dataset& scale) {
  const Session session;
  const Shape size = shape();
  require(axis >= 0 && static_cast<std::size_t>(axis) < size.size(), "{} has shape {}: there is no axis {}",
          label_, shown(size), axis);
  check(H5DSattach_scale(id(), scale.id(), static_cast<unsigned>(axis)),
        "cannot attach scale {} to axis {} of {}", scale.label(), axis, label_);
}

// --- Group --------------------------------------------------------------------------------------------------

std::string Group::label_of(const std::string& path) const {
  const std::size_t colon = label_.rfind(":/");
  const std::string file = label_.substr(0, colon), here = label_.substr(colon + 1);
  std::string full = path.rfind('/', 0) == 0 || here == "/" ? "" : here;
  for (const std::string& part : split(path)) full += "/" + part;
  return file + ":" + (full.empty() ? "/" : full);
}

bool Group::exists(const std::string& path) const {
  const Session session;
  std::string so_far = path.rfind('/', 0) == 0 ? "/" : "";
  for (const std::string& part : split(path)) {
    so_far += part;
    // the second call is false for a link whose object is gone, and for a path through a data set
    if (H5Lexists(id(), so_far.c_str(), H5P_DEFAULT) <= 0) return false;
    if (H5Oexists_by_name(id(), so_far.c_str(), H5P_DEFAULT) <= 0) return false;
    so_far += '/';
  }
  return true;
}

std::vector<std::string> Group::names() const {
  const Session session;
  std::vector<std::string> found;
  const auto collect = [](hid_t, const char* link, const H5L_info_t*, void* out) -> herr_t {
    static_cast<std::vector<std::string>*>(out)->emplace_back(link);
    return 0;
  };
  check(H5Literate(id(), H5_INDEX_NAME, H5_ITER_INC, nullptr, collect, &found), "cannot list {}", label_);
  return found;
}

bool Group::is_group(const std::string& path) const {
  const Session session;
  if (!exists(path)) return false;
  const Handle object(H5Oopen(id(), path.c_str(), H5P_DEFAULT));
  return object && H5Iget_type(object.id()) == H5I_GROUP;
}

Group Group::group(const std::string& path) const {
  const Session session;
  require(exists(path), "{} is missing", label_of(path));
  require(is_group(path), "{} is not a group", label_of(path));
  return {Handle(check(H5Gopen2(id(), path.c_str(), H5P_DEFAULT), "cannot open {}", label_of(path))),
          label_of(path)};
}

Group Group::make_group(const std::string& path) {
  const Session session;
  if (exists(path)) return group(path);
  auto [parent, last] = parent_of(path);
  const Handle creation = make_property(H5P_GROUP_CREATE);
  detail::track_creation_order(creation);
  const std::string label = label_of(path);
  return {Handle(check(H5Gcreate2(parent.id(), last.c_str(), H5P_DEFAULT, creation.id(), H5P_DEFAULT),
                       "cannot create {}", label)),
          label};
}

std::pair<Group, std::string> Group::parent_of(const std::string& path) {
  std::vector<std::string> parts = split(path);
  require(!parts.empty(), "'{}' names nothing that could be created in {}", path, label_);
  std::string last = std::move(parts.back());
  parts.pop_back();
  const std::string folder = (path.rfind('/', 0) == 0 ? "/" : "") + fmt::to_string(fmt::join(parts, "/"));
  if (parts.empty() && folder.empty()) return {*this, std::move(last)};
  return {make_group(folder), std::move(last)};
}

Dataset Group::dataset(const std::string& path) const {
  const Session session;
  const std::string label = label_of(path);
  if (!exists(path)) {
    const std::string folder = path.substr(0, path.find_last_of('/') + 1);
    if (!folder.empty() && !is_group(folder)) fail("{} is missing", label);
    fail("{} is missing (there are: {})", label,
         fmt::join((folder.empty() ? *this : group(folder)).names(), ", "));
  }
  require(!is_group(path), "{} is a group, not an array", label);
  return {Handle(check(H5Dopen2(id(), path.c_str(), H5P_DEFAULT), "cannot open {}", label)), label};
}

template <class T>
Dataset Group::create(const std::string& path, const Shape& shape, const DatasetOptions& options) {
  const Session session;
  const std::string label = label_of(path);
  const auto [parent, last] = parent_of(path);
  return {create_dataset(parent.id(), last, label, detail::native<T>(), shape, options), label};
}

template <class T>
Dataset Group::write(const std::string& path, const Shape& shape, std::span<const T> values) {
  Dataset dataset = create<T>(path, shape);
  dataset.write<T>(values);
  return dataset;
}

Dataset Group::write_booleans(const std::string& path, const std::vector<bool>& values) {
  const Session session;
  const std::string label = label_of(path);
  const auto [parent, last] = parent_of(path);
  const Handle type = detail::boolean_type();
  Dataset dataset(create_dataset(parent.id(), last, label, type.id(), {values.size()}, {}), label);
  const std::vector<std::int8_t> bytes(values.begin(), values.end());
  if (!bytes.empty())
    check(H5Dwrite(dataset.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.data()), "cannot write {}",
          label);
  return dataset;
}

Dataset Group::write_strings(const std::string& path, const std::vector<std::string>& values) {
  const Session session;
  const std::string label = label_of(path);
  const auto [parent, last] = parent_of(path);
  const Handle type = detail::string_type();
  Dataset dataset(create_dataset(parent.id(), last, label, type.id(), {values.size()}, {}), label);
  std::vector<const char*> pointers;
  pointers.reserve(values.size());
  for (const std::string& value : values) pointers.push_back(value.c_str());
  if (!pointers.empty())
    check(H5Dwrite(dataset.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, pointers.data()), "cannot write {}",
          label);
  return dataset;
}

void Group::hard_link(const std::string& target, const std::string& path) {
  const Session session;
  const auto [parent, last] = parent_of(path);
  require(exists(target), "{} is missing; it cannot be linked to", label_of(target));
  require(!exists(path), "{} exists already", label_of(path));
  check(H5Lcreate_hard(id(), target.c_str(), parent.id(), last.c_str(), H5P_DEFAULT, H5P_DEFAULT),
        "cannot link {} to {}", label_of(path), label_of(target));
}

#define SNS_HDF5_TYPE(T)                                                                      \
  template std::vector<T> Dataset::read() const;                                              \
  template void Dataset::read_slab(const Shape&, const Shape&, std::span<T>) const;           \
  template void Dataset::write(std::span<const T>);                                           \
  template void Dataset::write_slab(const Shape&, const Shape&, std::span<const T>);          \
  template Dataset Group::create<T>(const std::string&, const Shape&, const DatasetOptions&); \
  template Dataset Group::write(const std::string&, const Shape&, std::span<const T>);
SNS_HDF5_TYPE(std::int8_t)
SNS_HDF5_TYPE(std::uint8_t)
SNS_HDF5_TYPE(std::int32_t)
SNS_HDF5_TYPE(std::uint32_t)
SNS_HDF5_TYPE(std::int64_t)
SNS_HDF5_TYPE(std::uint64_t)
SNS_HDF5_TYPE(float)
SNS_HDF5_TYPE(double)
#undef SNS_HDF5_TYPE

}  // namespace sns::h5
