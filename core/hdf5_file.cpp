// Opening, flushing and closing files.
#include "core/files.hpp"
#include "core/hdf5_internal.hpp"

#include <cerrno>
#include <functional>

namespace sns::h5 {
namespace {

using detail::check;
using detail::Session;

Handle file_access(bool locked) {
  Handle access = detail::make_property(H5P_FILE_ACCESS);
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
    fail("{} is truncated ({} bytes): it was not written, or not copied, to its end", name, size);
  if (H5Fis_hdf5(path.c_str()) == 0) fail("{} is not an HDF5 file", name);
  fail("cannot open {}: the file is damaged ({})", name, opened.reason);
}

}  // namespace

File File::create(const std::filesystem::path& path, bool paged) {
  const Session session;
  detail::lost_writes().erase(path.string());
  const Handle creation = detail::make_property(H5P_FILE_CREATE);
  detail::track_creation_order(creation);
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
  detail::lost_writes().erase(path.string());
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
    if (status >= 0) return;
    detail::write_failed() = true;
    if (reason.empty()) reason = detail::last_reason();
  };
  // Flushing first tells of a full disk even if arrays or groups of the file are still held.
  keep_first(H5Fflush(file, H5F_SCOPE_LOCAL));
  if (const auto lost = detail::lost_writes().extract(detail::file_name(file)); lost && reason.empty())
    reason = lost.mapped();
  keep_first(H5Idec_ref(file));
  require(reason.empty(), "cannot write {}: {}", path_.string(), reason);
}

std::pair<std::filesystem::path, std::string> split_address(const std::string& address) {
  const std::size_t colon = address.rfind(":/");
  if (colon == std::string::npos || colon == 0 || detail::split(address.substr(colon + 1)).empty())
    fail<ConfigError>("'{}' does not name an array: give FILE.h5:/path/to/array", address);
  return {address.substr(0, colon), address.substr(colon + 1)};
}

}  // namespace sns::h5
