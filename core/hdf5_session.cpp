// The library itself: its lock, its error reports, and the life of its identifiers.
#include "core/hdf5_internal.hpp"
#include "core/log.hpp"

#include <charconv>
#include <cstdlib>
#include <exception>

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

std::atomic<bool>& write_failed() {
  static std::atomic<bool> failed{false};
  return failed;
}

Session::Session() : lock_(library_mutex()) {
  // Left to itself the library would at exit try again to write files that could not be closed (full disk),
  // with messages of its own.
  static const bool prepared = [] {
    H5dont_atexit();
    std::atexit([] {
      if (!write_failed()) H5close();
    });
    return true;
  }();
  (void)prepared;
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

Handle make_property(hid_t kind) {
  return Handle(check(H5Pcreate(kind), "cannot make an HDF5 property list"));
}

void track_creation_order(const Handle& creation) {
  check(H5Pset_link_creation_order(creation.id(), kCreationOrder), "cannot track creation order");
  check(H5Pset_attr_creation_order(creation.id(), kCreationOrder), "cannot track creation order");
}

std::map<std::string, std::string>& lost_writes() {
  static auto* const files = new std::map<std::string, std::string>;
  return *files;
}

std::string file_name(hid_t object) {
  char name[4096] = {};
  return H5Fget_name(object, name, sizeof name) > 0 ? name : "";
}

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

std::string shown(const Shape& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

}  // namespace detail

using detail::check;
using detail::Session;

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
  const std::string file = type == H5I_DATASET || type == H5I_FILE ? detail::file_name(id_) : std::string();
  std::string reason;
  if (H5Idec_ref(id_) < 0) {
    reason = detail::last_reason();
    detail::write_failed() = true;
  }
  if (type == H5I_DATASET) {
    // The last data of an array are written only now: File::close() reports a failure.
    if (!reason.empty()) detail::lost_writes().emplace(file, reason);
    return;
  }
  if (type == H5I_FILE) {
    const auto lost = detail::lost_writes().extract(file);
    if (lost && reason.empty()) reason = lost.mapped();
  }
  if (!reason.empty() && std::uncaught_exceptions() == 0)  // otherwise the exception on its way tells the story
    log::error("cannot write {}: {}", file.empty() ? "an HDF5 object" : file, reason);
}

Object::Object(Handle handle, std::string label) : handle_(std::move(handle)), label_(std::move(label)) {}

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

std::string version() {
  const Session session;
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  return fmt::format("{}.{}.{}", major, minor, release);
}

}  // namespace sns::h5
