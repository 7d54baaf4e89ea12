#include "core/hdf5.hpp"

#include "core/files.hpp"
#include "core/hdf5_internal.hpp"
#include "core/log.hpp"

#include <hdf5_hl.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <exception>
#include <functional>
#include <map>
#include <numeric>

namespace sns::h5 {
namespace detail {
namespace {

std::recursive_mutex& library_mutex() {
  static std::recursive_mutex* const mutex = new std::recursive_mutex;  // outlives static Handles
  return *mutex;
}

std::string innermost() {
  std::string text;
  const auto first = [](unsigned n, const H5E_error2_t* error, void* out) -> herr_t {
    if (n == 0 && error->desc) *static_cast<std::string*>(out) = error->desc;
    return 0;
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, first, &text);
  return text;
}

}  // namespace

Session::Session() : lock_(library_mutex()) {
  // The library would otherwise try to flush files that could not be closed (full disk) again at exit, with
  // messages of its own.
  static const herr_t no_exit_handler = H5dont_atexit();
  (void)no_exit_handler;
  // the error stack is per thread in a thread-safe build
  thread_local const herr_t quiet = H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  (void)quiet;
}

std::string last_reason() {
  const std::string text = innermost();
  constexpr std::string_view kSystem = "error message = '";
  const std::size_t begin = text.find(kSystem);
  if (begin != std::string::npos) {
    const std::size_t from = begin + kSystem.size();
    return text.substr(from, text.find('\'', from) - from);
  }
  return text.empty() ? "no reason given by HDF5" : text;
}

int last_errno() {
  const std::string text = innermost();
  constexpr std::string_view kField = "errno = ";
  const std::size_t begin = text.find(kField);
  int value = 0;
  if (begin != std::string::npos)
    std::from_chars(text.data() + begin + kField.size(), text.data() + text.size(), value);
  return value;
}

}  // namespace detail

namespace {

using detail::check;
using detail::Session;

std::string shown(const Shape& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

/// Files (by name) with data that could not be written when an array was closed, and why.
std::map<std::string, std::string>& lost_writes() {
  static auto* const files = new std::map<std::string, std::string>;
  return *files;
}

/// Name of the file that an object lives in.
std::string file_name(hid_t object) {
  char name[4096] = {};
  return H5Fget_name(object, name, sizeof name) > 0 ? name : "";
}

Handle make_property(hid_t kind) {
  return Handle(check(H5Pcreate(kind), "cannot make an HDF5 property list"));
}

constexpr unsigned kOrder = H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED;

void track_order(const Handle& creation) {
  check(H5Pset_link_creation_order(creation.id(), kOrder), "cannot track creation order");
  check(H5Pset_attr_creation_order(creation.id(), kOrder), "cannot track creation order");
}

Handle file_access(bool locked) {
  Handle access = make_property(H5P_FILE_ACCESS);
  check(H5Pset_libver_bounds(access.id(), H5F_LIBVER_EARLIEST, H5F_LIBVER_V110),
        "cannot choose the file version");
#if H5_VERSION_GE(1, 10, 7)
  if (!locked) check(H5Pset_file_locking(access.id(), false, true), "cannot switch file locking off");
#else
  (void)locked;
#endif
  return access;
}

/// An opened file, or why it could not be opened.
struct Opened {
  Handle file;
  int error = 0;  ///< errno, or 0 if the system was content
  std::string reason;
};

/// Opens with file locking, and without it where the file system has no locks.
Opened open_file(const std::function<hid_t(hid_t access)>& open) {
  Opened opened;
  for (const bool locked : {true, false}) {
    const Handle access = file_access(locked);
    opened.file = Handle(open(access.id()));
    if (opened.file) break;
    opened.error = detail::last_errno();
    opened.reason = detail::last_reason();
    if (opened.error != ENOLCK && opened.error != ENOSYS && opened.error != EOPNOTSUPP) break;
  }
  return opened;
}

Handle open_existing(const std::filesystem::path& path, unsigned flags) {
  namespace fs = std::filesystem;
  std::error_code error;
  const std::string name = path.string();
  require(fs::exists(path, error), "cannot open {}: {}", name, error ? error.message() : "no such file");
  require(!fs::is_directory(path, error), "cannot open {}: it is a folder, not an HDF5 file", name);
  Opened opened = open_file([&](hid_t access) { return H5Fopen(path.c_str(), flags, access); });
  if (opened.file) return std::move(opened.file);
  if (opened.error == EAGAIN) fail("cannot open {}: another program has it open for writing", name);
  if (opened.error != 0) fail("cannot open {}: {}", name, opened.reason);
  const std::uintmax_t size = fs::file_size(path, error);
  require(size > 0, "{} is empty (0 bytes), not an HDF5 file", name);
  if (opened.reason.rfind("truncated file", 0) == 0)
    fail("{} is truncated ({} bytes): it was not written to its end", name, size);
  if (H5Fis_hdf5(path.c_str()) == 0) fail("{} is not an HDF5 file", name);
  fail("cannot open {}: the file is damaged ({})", name, opened.reason);
}

/// The names along a path: "/a//b/" gives {"a", "b"}.
std::vector<std::string> split(const std::string& path) {
  std::vector<std::string> names;
  std::string name;
  for (const char c : path + "/") {
    if (c != '/') {
      name += c;
    } else if (!name.empty()) {
      names.push_back(std::exchange(name, {}));
    }
  }
  return names;
}

/// Selects a slab of a data set; checks it against the shape first.
Handle select(const Dataset& dataset, const Shape& offset, const Shape& count, std::size_t given) {
  const Handle space(check(H5Dget_space(dataset.id()), "cannot use {}", dataset.label()));
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
  check(H5Pset_attr_creation_order(creation.id(), kOrder), "cannot track creation order");
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
  return std::accumulate(shape.begin(), shape.end(), std::uint64_t{1}, std::multiplies<>());
}

const char* name(Kind kind) {
  switch (kind) {
    case Kind::int8:
      return "int8";
    case Kind::uint8:
      return "uint8";
    case Kind::int32:
      return "int32";
    case Kind::uint32:
      return "uint32";
    case Kind::int64:
      return "int64";
    case Kind::uint64:
      return "uint64";
    case Kind::float32:
      return "float32";
    case Kind::float64:
      return "float64";
    case Kind::boolean:
      return "boolean";
    case Kind::string:
      return "string";
    case Kind::other:
      break;
  }
  return "other";
}

// --- Handle -------------------------------------------------------------------------------------------------

Handle::Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)) {}
Handle& Handle::operator=(Handle&& other) noexcept {
  std::swap(id_, other.id_);
  return *this;
}
Handle::Handle(const Handle& other) : id_(other.id_) {
  if (id_ < 0) return;
  const Session session;
  check(H5Iinc_ref(id_), "cannot share an HDF5 object");
}
Handle& Handle::operator=(const Handle& other) {
  *this = Handle(other);
  return *this;
}
std::int64_t Handle::release() {
  return std::exchange(id_, -1);
}
Handle::~Handle() {
  if (id_ < 0) return;
  const Session session;
  if (H5Iget_ref(id_) > 1) {
    H5Idec_ref(id_);
    return;
  }
  const H5I_type_t type = H5Iget_type(id_);
  const std::string file = type == H5I_DATASET || type == H5I_FILE ? file_name(id_) : std::string();
  std::string reason;
  if (H5Idec_ref(id_) < 0) reason = detail::last_reason();
  if (type == H5I_DATASET) {
    // The last data of an array are written only now: File::close() reports a failure.
    if (!reason.empty()) lost_writes().emplace(file, reason);
    return;
  }
  if (type == H5I_FILE) {
    const auto lost = lost_writes().extract(file);
    if (lost && reason.empty()) reason = lost.mapped();
  }
  if (!reason.empty() && std::uncaught_exceptions() == 0)  // otherwise the exception on its way tells the story
    log::error("cannot write {}: {}", file.empty() ? "an HDF5 object" : file, reason);
}

Object::Object(Handle handle, std::string label) : handle_(std::move(handle)), label_(std::move(label)) {}

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
  track_order(creation);
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

// --- File ---------------------------------------------------------------------------------------------------

File File::create(const std::filesystem::path& path, bool paged) {
  const Session session;
  lost_writes().erase(path.string());
  const Handle creation = make_property(H5P_FILE_CREATE);
  track_order(creation);
  if (paged)
    check(H5Pset_file_space_strategy(creation.id(), H5F_FSPACE_STRATEGY_PAGE, false, 1),
          "cannot choose paged file space");
  File file;
  Opened opened =
      open_file([&](hid_t access) { return H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation.id(), access); });
  require(opened.error != EAGAIN, "cannot create {}: another program has it open", path.string());
  require(static_cast<bool>(opened.file), "cannot create {}: {}", path.string(), opened.reason);
  file.handle_ = std::move(opened.file);
  file.path_ = path;
  file.label_ = path.string() + ":/";
  return file;
}

File File::open_read(const std::filesystem::path& path) {
  const Session session;
  File file;
  file.handle_ = open_existing(path, H5F_ACC_RDONLY);
  file.path_ = path;
  file.label_ = path.string() + ":/";
  return file;
}

File File::open_edit(const std::filesystem::path& path) {
  const Session session;
  lost_writes().erase(path.string());
  File file;
  file.handle_ = open_existing(path, H5F_ACC_RDWR);
  file.path_ = path;
  file.label_ = path.string() + ":/";
  return file;
}

void File::flush() {
  {
    const Session session;
    check(H5Fflush(id(), H5F_SCOPE_LOCAL), "cannot write {}", path_.string());
  }
  sync_to_disk(path_);
}

void File::close() {
  if (!handle_) return;
  const Session session;
  const std::int64_t file = handle_.release();
  std::string reason;
  const auto keep_first = [&](herr_t status) {
    if (status < 0 && reason.empty()) reason = detail::last_reason();
  };
  // Flushing first tells of a full disk even if arrays or groups of the file are still held.
  keep_first(H5Fflush(file, H5F_SCOPE_LOCAL));
  if (const auto lost = lost_writes().extract(file_name(file)); lost && reason.empty()) reason = lost.mapped();
  keep_first(H5Idec_ref(file));
  require(reason.empty(), "cannot write {}: {}", path_.string(), reason);
}

std::pair<std::filesystem::path, std::string> split_address(const std::string& address) {
  const std::size_t colon = address.rfind(":/");
  if (colon == std::string::npos || colon == 0 || split(address.substr(colon + 1)).empty())
    fail<ConfigError>("'{}' does not name an array: give FILE.h5:/path/to/array", address);
  return {address.substr(0, colon), address.substr(colon + 1)};
}

std::string version() {
  const Session session;
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  return fmt::format("{}.{}.{}", major, minor, release);
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
