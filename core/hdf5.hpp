#pragma once
// HDF5 behind RAII. Row-major shapes; errors are exceptions that name file and object. Booleans follow
// h5py's convention (enum FALSE=0, TRUE=1 over int8); strings are variable-length UTF-8.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sns::h5 {

using Shape = std::vector<std::uint64_t>;

/// Number of elements of a shape (1 for a scalar); the largest number there is where that is not enough.
std::uint64_t element_count(const Shape& shape);

/// Owns one HDF5 identifier.
class Handle {
 public:
  Handle() = default;
  explicit Handle(std::int64_t id) : id_(id) {}
  Handle(Handle&& other) noexcept;
  Handle& operator=(Handle&& other) noexcept;
  Handle(const Handle& other);  ///< shares the object (reference counted by HDF5)
  Handle& operator=(const Handle& other);
  ~Handle();  ///< closes; never throws
  std::int64_t id() const { return id_; }
  std::int64_t release();  ///< gives the identifier up without closing it
  explicit operator bool() const { return id_ >= 0; }

 private:
  std::int64_t id_ = -1;
};

enum class Kind { int8, uint8, int32, uint32, int64, uint64, float32, float64, boolean, string, other };
const char* name(Kind kind);

/// Anything that can carry attributes.
class Object {
 public:
  // T: bool, int, std::int64_t, std::uint64_t, float, double, std::string, const char*, and
  // std::vector of bool, int, std::int64_t, double, std::string. Replaces an existing attribute.
  template <class T>
  void set_attribute(const std::string& name, const T& value);
  void set_attribute(const std::string& name, const char* value);
  bool has_attribute(const std::string& name) const;
  // T: bool, int, std::int64_t, std::uint64_t, double, std::string,
  // std::vector<double|std::int64_t|std::string>
  template <class T>
  T attribute(const std::string& name) const;
  std::vector<std::string> attribute_names() const;
  std::int64_t id() const { return handle_.id(); }
  /// "file.h5:/group/object", for messages.
  const std::string& label() const { return label_; }

 protected:
  Object() = default;
  Object(Handle handle, std::string label);
  Handle handle_;
  std::string label_ = "nothing (no HDF5 object is open)";
};

struct DatasetOptions {
  Shape chunk{};                     ///< empty = contiguous (or one slab when max_shape is given)
  std::optional<Shape> max_shape{};  ///< kUnlimited marks growing axes
  int deflate = 0;                   ///< 0 = none; with shuffle otherwise
};
inline constexpr std::uint64_t kUnlimited = ~std::uint64_t{0};

class Dataset : public Object {
 public:
  Shape shape() const;
  Kind kind() const;
  // T: std::int8_t, std::uint8_t, std::int32_t, std::int64_t, std::uint32_t, std::uint64_t, float, double.
  // Numeric types are converted by HDF5.
  template <class T>
  std::vector<T> read() const;
  std::vector<std::string> read_strings() const;
  template <class T>
  void read_slab(const Shape& offset, const Shape& count, std::span<T> out) const;
  template <class T>
  void write(std::span<const T> values);
  template <class T>
  void write_slab(const Shape& offset, const Shape& count, std::span<const T> values);
  void resize(const Shape& shape);

  /// Makes this 1-D dataset a dimension scale called `name`.
  void make_scale(const std::string& name);
  /// Attaches `scale` to `axis`.
  void attach_scale(int axis, const Dataset& scale);

  /// Refers to nothing; every use but assignment is an Error.
  Dataset() = default;

 private:
  friend class Group;
  Dataset(Handle handle, std::string label) : Object(std::move(handle), std::move(label)) {}
};

class Group : public Object {
 public:
  bool exists(const std::string& path) const;  ///< any link along `path`
  std::vector<std::string> names() const;      ///< links of this group, sorted
  bool is_group(const std::string& path) const;
  Group group(const std::string& path) const;  ///< opens
  Group make_group(const std::string& path);   ///< creates, parents included; opens if present
  Dataset dataset(const std::string& path) const;
  template <class T>
  Dataset create(const std::string& path, const Shape& shape, const DatasetOptions& options = {});
  /// Creates and writes at once. Scalars: shape {}.
  template <class T>
  Dataset write(const std::string& path, const Shape& shape, std::span<const T> values);
  Dataset write_booleans(const std::string& path, const std::vector<bool>& values);
  Dataset write_strings(const std::string& path, const std::vector<std::string>& values);
  /// A second name for the object at `target` (absolute path in the same file).
  void hard_link(const std::string& target, const std::string& path);

 protected:
  friend class File;
  Group(Handle handle, std::string label) : Object(std::move(handle), std::move(label)) {}
  Group() = default;

 private:
  /// Group that will hold the last name of `path` (created if needed), and that name.
  std::pair<Group, std::string> parent_of(const std::string& path);
  std::string label_of(const std::string& path) const;
};

/// An open file; it is also its root group.
class File : public Group {
 public:
  using Group::create;  // of a data set; the overload below is for files
  /// Truncates. libver earliest..v110, creation order tracked; `paged` turns on paged file space.
  static File create(const std::filesystem::path& path, bool paged = false);
  static File open_read(const std::filesystem::path& path);  ///< clear error if missing, truncated or not HDF5
  static File open_edit(const std::filesystem::path& path);
  const std::filesystem::path& path() const { return path_; }
  /// HDF5 flush, then fsync of the file.
  void flush();
  /// Closes now and reports write errors (disk full), which a destructor could only log.
  void close();

 private:
  File() = default;
  std::filesystem::path path_;
};

/// Splits "FILE.h5:/path/to/array". ConfigError if the colon or the path is missing.
std::pair<std::filesystem::path, std::string> split_address(const std::string& address);

/// "1.10.8"
std::string version();

}  // namespace sns::h5
