#pragma once
// What the HDF5 translation units share: the library lock, error reports, type ids. Internal to sns_core.
#include "core/error.hpp"
#include "core/hdf5.hpp"

#include <hdf5.h>

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace sns::h5::detail {

/// Held around every use of the library: it may have been built without thread safety, and then must not be
/// entered twice. Also keeps HDF5 from printing its own error stack.
class Session {
 public:
  Session();

 private:
  std::lock_guard<std::recursive_mutex> lock_;
};

/// What HDF5 says about its last failure, reduced to the innermost reason ("No space left on device").
std::string last_reason();
/// errno behind the last failure, or 0.
int last_errno();

/// Throws Error("<what>: <reason>") if an HDF5 call failed (negative), otherwise returns its value.
template <class Id, class... Args>
Id check(Id status, fmt::format_string<Args...> what, Args&&... args) {
  if (status < 0) fail("{}: {}", fmt::format(what, std::forward<Args>(args)...), last_reason());
  return status;
}

Handle make_property(hid_t kind);
/// Links and attributes will be listed in order of creation.
inline constexpr unsigned kCreationOrder = H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED;
/// Tracks that order in a property list for groups or files.
void track_creation_order(const Handle& creation);

/// Whether closing anything has failed; HDF5 then still holds what it could not write.
std::atomic<bool>& write_failed();
/// Files (by name) with data that could not be written when an array was closed, and why.
std::map<std::string, std::string>& lost_writes();
/// Name of the file that an object lives in.
std::string file_name(hid_t object);

/// The names along a path: "/a//b/" gives {"a", "b"}.
std::vector<std::string> split(const std::string& path);
/// "[2, 3]"
std::string shown(const Shape& shape);

/// Memory type of a number.
template <class T>
hid_t native();
template <>
inline hid_t native<std::int8_t>() {
  return H5T_NATIVE_INT8;
}
template <>
inline hid_t native<std::uint8_t>() {
  return H5T_NATIVE_UINT8;
}
template <>
inline hid_t native<std::int32_t>() {
  return H5T_NATIVE_INT32;
}
template <>
inline hid_t native<std::uint32_t>() {
  return H5T_NATIVE_UINT32;
}
template <>
inline hid_t native<std::int64_t>() {
  return H5T_NATIVE_INT64;
}
template <>
inline hid_t native<std::uint64_t>() {
  return H5T_NATIVE_UINT64;
}
template <>
inline hid_t native<float>() {
  return H5T_NATIVE_FLOAT;
}
template <>
inline hid_t native<double>() {
  return H5T_NATIVE_DOUBLE;
}

/// h5py's boolean: an enumeration FALSE=0, TRUE=1 over int8.
Handle boolean_type();
/// Variable-length UTF-8.
Handle string_type();
Kind kind_of(hid_t type);
/// "text", "compound", ... for messages about values that are not numbers.
const char* class_name(hid_t type);
/// Simple dataspace of a shape; scalar if it is empty.
Handle space_of(const Shape& shape, const Shape* max_shape = nullptr);
Shape shape_of_space(hid_t space);

/// Error, with the size, unless values of this shape fit into the memory that is left. Shapes come from files,
/// and a damaged one may claim anything.
void require_fits(const std::string& label, const Shape& shape, std::size_t bytes_per_value);

/// Reads all strings of a dataset or attribute, fixed or variable length. read(memory type, buffer) calls
/// H5Dread or H5Aread.
std::vector<std::string> read_strings(hid_t type, hid_t space, const std::string& label,
                                      const std::function<herr_t(hid_t, void*)>& read);

}  // namespace sns::h5::detail
