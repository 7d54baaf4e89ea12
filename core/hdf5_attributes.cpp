// Attributes, and the type plumbing they share with data sets.
#include "core/hdf5_internal.hpp"
#include "core/memory.hpp"

#include <algorithm>
#include <cstring>
#include <type_traits>

namespace sns::h5 {
namespace detail {

Handle boolean_type() {
  Handle type(check(H5Tenum_create(H5T_NATIVE_INT8), "cannot make the HDF5 boolean type"));
  for (const auto& [label, number] : {std::pair{"FALSE", std::int8_t{0}}, std::pair{"TRUE", std::int8_t{1}}})
    check(H5Tenum_insert(type.id(), label, &number), "cannot make the HDF5 boolean type");
  return type;
}

Handle string_type() {
  Handle type(check(H5Tcopy(H5T_C_S1), "cannot make the HDF5 string type"));
  check(H5Tset_size(type.id(), H5T_VARIABLE), "cannot make the HDF5 string type");
  check(H5Tset_cset(type.id(), H5T_CSET_UTF8), "cannot make the HDF5 string type");
  return type;
}

Kind kind_of(hid_t type) {
  const std::size_t size = H5Tget_size(type);
  switch (H5Tget_class(type)) {
    case H5T_INTEGER: {
      const bool is_signed = H5Tget_sign(type) == H5T_SGN_2;
      if (size == 1) return is_signed ? Kind::int8 : Kind::uint8;
      if (size == 4) return is_signed ? Kind::int32 : Kind::uint32;
      if (size == 8) return is_signed ? Kind::int64 : Kind::uint64;
      return Kind::other;
    }
    case H5T_FLOAT:
      return size == 4 ? Kind::float32 : size == 8 ? Kind::float64 : Kind::other;
    case H5T_ENUM: {
      const Handle boolean = boolean_type();
      return H5Tequal(type, boolean.id()) > 0 ? Kind::boolean : Kind::other;
    }
    case H5T_STRING:
      return Kind::string;
    default:
      return Kind::other;
  }
}

const char* class_name(hid_t type) {
  switch (H5Tget_class(type)) {
    case H5T_INTEGER:
    case H5T_FLOAT:
      return "numbers";
    case H5T_STRING:
      return "text";
    case H5T_ENUM:
      return kind_of(type) == Kind::boolean ? "booleans" : "an enumeration";
    case H5T_COMPOUND:
      return "compound values";
    case H5T_REFERENCE:
      return "references";
    default:
      return "values of another kind";
  }
}

Handle space_of(const Shape& shape, const Shape* max_shape) {
  if (shape.empty()) return Handle(check(H5Screate(H5S_SCALAR), "cannot make a dataspace"));
  const std::vector<hsize_t> now(shape.begin(), shape.end());
  std::vector<hsize_t> most;
  if (max_shape) most.assign(max_shape->begin(), max_shape->end());  // kUnlimited is H5S_UNLIMITED
  static_assert(kUnlimited == static_cast<std::uint64_t>(H5S_UNLIMITED));
  return Handle(
      check(H5Screate_simple(static_cast<int>(now.size()), now.data(), max_shape ? most.data() : nullptr),
            "cannot make a dataspace of shape [{}]", fmt::join(shape, ", ")));
}

Shape shape_of_space(hid_t space) {
  const int rank = H5Sget_simple_extent_ndims(space);
  std::vector<hsize_t> dims(static_cast<std::size_t>(std::max(rank, 0)));
  if (rank > 0) H5Sget_simple_extent_dims(space, dims.data(), nullptr);
  return {dims.begin(), dims.end()};
}

void require_fits(const std::string& label, const Shape& shape, std::size_t bytes_per_value) {
  constexpr double kAlwaysThere = 1e6;  // not worth asking the system
  const double bytes = static_cast<double>(element_count(shape)) * static_cast<double>(bytes_per_value);
  if (bytes > kAlwaysThere) require_memory(bytes, fmt::format("values of {} of shape {}", label, shown(shape)));
}

std::vector<std::string> read_strings(hid_t type, hid_t space, const std::string& label,
                                      const std::function<herr_t(hid_t, void*)>& read) {
  require(H5Tget_class(type) == H5T_STRING, "{} holds {}, not text", label, class_name(type));
  require_fits(label, shape_of_space(space), std::max(H5Tget_size(type), sizeof(std::string)));
  const auto count = static_cast<std::size_t>(std::max<hssize_t>(H5Sget_simple_extent_npoints(space), 0));
  std::vector<std::string> values(count);
  if (count == 0) return values;
  if (H5Tis_variable_str(type) > 0) {
    const Handle memory(check(H5Tcopy(type), "{}: cannot read", label));
    std::vector<char*> pointers(count, nullptr);
    check(read(memory.id(), static_cast<void*>(pointers.data())), "cannot read {}", label);
    for (std::size_t i = 0; i < count; ++i)
      if (pointers[i]) values[i] = pointers[i];
    H5Dvlen_reclaim(memory.id(), space, H5P_DEFAULT, static_cast<void*>(pointers.data()));
  } else {
    const std::size_t size = H5Tget_size(type);
    std::vector<char> text(count * size);
    check(read(type, text.data()), "cannot read {}", label);
    for (std::size_t i = 0; i < count; ++i) {
      const char* const begin = text.data() + i * size;
      std::string& value = values[i].assign(begin, strnlen(begin, size));
      if (H5Tget_strpad(type) == H5T_STR_SPACEPAD) value.erase(value.find_last_not_of(' ') + 1);
    }
  }
  return values;
}

}  // namespace detail

namespace {

using detail::check;

/// Attribute types other than strings: what one element is in memory.
template <class T>
using Stored = std::conditional_t<std::is_same_v<T, bool>, std::int8_t, T>;

template <class T>
struct Element {
  using type = T;
  static constexpr bool is_vector = false;
};
template <class T>
struct Element<std::vector<T>> {
  using type = T;
  static constexpr bool is_vector = true;
};

void write_attribute(hid_t object, const std::string& label, const std::string& name, hid_t type, hid_t space,
                     const void* data) {
  if (H5Aexists(object, name.c_str()) > 0)
    check(H5Adelete(object, name.c_str()), "cannot replace attribute {} of {}", name, label);
  const Handle attribute(check(H5Acreate2(object, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT),
                               "cannot create attribute {} of {}", name, label));
  check(H5Awrite(attribute.id(), type, data), "cannot write attribute {} of {}", name, label);
}

}  // namespace

template <class T>
void Object::set_attribute(const std::string& name, const T& value) {
  const detail::Session session;
  using E = typename Element<T>::type;
  constexpr bool kVector = Element<T>::is_vector;
  std::size_t count = 1;
  if constexpr (kVector) count = value.size();
  const Handle space = detail::space_of(kVector ? Shape{count} : Shape{});
  if constexpr (std::is_same_v<E, std::string>) {
    std::vector<const char*> pointers;
    if constexpr (kVector)
      for (const std::string& text : value) pointers.push_back(text.c_str());
    else
      pointers.push_back(value.c_str());
    pointers.push_back(nullptr);  // an empty list still needs an address
    write_attribute(id(), label_, name, detail::string_type().id(), space.id(), pointers.data());
  } else {
    std::vector<Stored<E>> data;
    if constexpr (kVector)
      data.assign(value.begin(), value.end());
    else
      data.push_back(static_cast<Stored<E>>(value));
    data.reserve(1);
    Handle type;
    if constexpr (std::is_same_v<E, bool>)
      type = detail::boolean_type();
    else
      type = Handle(check(H5Tcopy(detail::native<E>()), "attribute {} of {}", name, label_));
    write_attribute(id(), label_, name, type.id(), space.id(), data.data());
  }
}

void Object::set_attribute(const std::string& name, const char* value) {
  set_attribute<std::string>(name, std::string(value));
}

bool Object::has_attribute(const std::string& name) const {
  const detail::Session session;
  return check(H5Aexists(id(), name.c_str()), "cannot look for attribute {} of {}", name, label_) > 0;
}

template <class T>
T Object::attribute(const std::string& name) const {
  const detail::Session session;
  using E = typename Element<T>::type;
  const std::string what = fmt::format("attribute {} of {}", name, label_);
  require(has_attribute(name), "{} is missing (there are: {})", what, fmt::join(attribute_names(), ", "));
  const Handle attribute(check(H5Aopen(id(), name.c_str(), H5P_DEFAULT), "cannot open {}", what));
  const Handle type(check(H5Aget_type(attribute.id()), "cannot read {}", what));
  const Handle space(check(H5Aget_space(attribute.id()), "cannot read {}", what));
  std::vector<E> values;
  if constexpr (std::is_same_v<E, std::string>) {
    values = detail::read_strings(type.id(), space.id(), what, [&](hid_t memory, void* buffer) {
      return H5Aread(attribute.id(), memory, buffer);
    });
  } else {
    const H5T_class_t stored = H5Tget_class(type.id());
    const bool boolean = detail::kind_of(type.id()) == Kind::boolean;
    if constexpr (std::is_floating_point_v<E>)
      require(stored == H5T_INTEGER || stored == H5T_FLOAT, "{} holds {}, not numbers", what,
              detail::class_name(type.id()));
    else
      require(stored == H5T_INTEGER || boolean, "{} holds {}, not {}", what,
              stored == H5T_FLOAT ? "fractional numbers" : detail::class_name(type.id()),
              std::is_same_v<E, bool> ? "booleans" : "integers");
    detail::require_fits(what, detail::shape_of_space(space.id()), sizeof(E));
    const auto count =
        static_cast<std::size_t>(std::max<hssize_t>(H5Sget_simple_extent_npoints(space.id()), 0));
    std::vector<Stored<E>> raw(count);
    raw.reserve(1);
    if (count > 0)
      check(H5Aread(attribute.id(), detail::native<Stored<E>>(), raw.data()), "cannot read {}", what);
    values.assign(raw.begin(), raw.end());
  }
  if constexpr (Element<T>::is_vector) {
    return values;
  } else {
    require(values.size() == 1, "{} holds {} values, not one", what, values.size());
    return values.front();
  }
}

std::vector<std::string> Object::attribute_names() const {
  const detail::Session session;
  std::vector<std::string> names;
  const auto collect = [](hid_t, const char* name, const H5A_info_t*, void* out) -> herr_t {
    static_cast<std::vector<std::string>*>(out)->emplace_back(name);
    return 0;
  };
  // in order of creation where the file keeps it
  if (H5Aiterate2(id(), H5_INDEX_CRT_ORDER, H5_ITER_INC, nullptr, collect, &names) < 0) {
    names.clear();
    check(H5Aiterate2(id(), H5_INDEX_NAME, H5_ITER_INC, nullptr, collect, &names),
          "cannot list attributes of {}", label_);
  }
  return names;
}

template void Object::set_attribute(const std::string&, const bool&);
template void Object::set_attribute(const std::string&, const int&);
template void Object::set_attribute(const std::string&, const std::int64_t&);
template void Object::set_attribute(const std::string&, const std::uint64_t&);
template void Object::set_attribute(const std::string&, const float&);
template void Object::set_attribute(const std::string&, const double&);
template void Object::set_attribute(const std::string&, const std::string&);
template void Object::set_attribute(const std::string&, const std::vector<bool>&);
template void Object::set_attribute(const std::string&, const std::vector<int>&);
template void Object::set_attribute(const std::string&, const std::vector<std::int64_t>&);
template void Object::set_attribute(const std::string&, const std::vector<double>&);
template void Object::set_attribute(const std::string&, const std::vector<std::string>&);

template bool Object::attribute(const std::string&) const;
template int Object::attribute(const std::string&) const;
template std::int64_t Object::attribute(const std::string&) const;
template std::uint64_t Object::attribute(const std::string&) const;
template double Object::attribute(const std::string&) const;
template std::string Object::attribute(const std::string&) const;
template std::vector<double> Object::attribute(const std::string&) const;
template std::vector<std::int64_t> Object::attribute(const std::string&) const;
template std::vector<std::string> Object::attribute(const std::string&) const;

}  // namespace sns::h5
