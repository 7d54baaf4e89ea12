#include "datagen/frame_log.hpp"

#include "core/error.hpp"
#include "core/memory.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace sns {
namespace {

[[noreturn]] void fail_io(const char* what, const std::filesystem::path& file, int code) {
  if (code == ENOSPC || code == EDQUOT) {
    fail<DiskFull>("the disk is full: {} stopped growing", file.string());
  }
  fail("cannot {} {}: {}", what, file.string(), std::strerror(code));
}

}  // namespace

FrameLog::FrameLog(const std::filesystem::path& file, std::size_t record_bytes)
    : file_(file), record_bytes_(record_bytes) {
  descriptor_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor_ < 0) fail_io("open", file_, errno);
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) {
    const int code = errno;
    ::close(descriptor_);
    fail_io("inspect", file_, code);
  }
  records_ = static_cast<std::int64_t>(static_cast<std::size_t>(status.st_size) / record_bytes_);
}

FrameLog::~FrameLog() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void FrameLog::truncate(std::int64_t count) {
  require(count <= records_, "{} holds {} records, fewer than the {} of its checkpoint", file_.string(),
          records_, count);
  if (::ftruncate(descriptor_, count * static_cast<std::int64_t>(record_bytes_)) != 0) {
    fail_io("truncate", file_, errno);
  }
  records_ = count;
}

void FrameLog::append(std::span<const std::byte> bytes) {
  auto offset = records_ * static_cast<std::int64_t>(record_bytes_);
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t written = ::pwrite(descriptor_, bytes.data() + done, bytes.size() - done, offset);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_io("write", file_, errno);
    done += static_cast<std::size_t>(written);
    offset += written;
  }
  records_ += static_cast<std::int64_t>(bytes.size() / record_bytes_);
}

void FrameLog::read(std::int64_t first, std::int64_t count, std::span<std::byte> out) const {
  auto offset = first * static_cast<std::int64_t>(record_bytes_);
  const std::size_t total = static_cast<std::size_t>(count) * record_bytes_;
  require(out.size() >= total && first + count <= records_, "{}: records {}..{} are not there", file_.string(),
          first, first + count);
  for (std::size_t done = 0; done < total;) {
    const ssize_t got = ::pread(descriptor_, out.data() + done, total - done, offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_io("read", file_, errno);
    require(got > 0, "{} ends early", file_.string());
    done += static_cast<std::size_t>(got);
    offset += got;
  }
}

void FrameLog::sync() {
  if (::fdatasync(descriptor_) != 0) fail_io("write", file_, errno);
}

void require_space(const std::filesystem::path& folder, std::uint64_t bytes) {
  std::error_code code;
  const auto space = std::filesystem::space(folder, code);
  if (code) return;
  require(space.available >= bytes, "not enough disk space in {}: {} are needed, {} are free", folder.string(),
          human_bytes(static_cast<double>(bytes)), human_bytes(static_cast<double>(space.available)));
}

}  // namespace sns
