#include "core/files.hpp"

#include "core/build_info.hpp"
#include "core/error.hpp"
#include "core/log.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstring>
#include <sstream>
#include <typeinfo>
#include <vector>

namespace sns {
namespace {

namespace fs = std::filesystem;

std::string reason(int error) {
  return std::strerror(error);
}

/// Owns a file descriptor.
class Descriptor {
 public:
  Descriptor(const fs::path& path, int flags, mode_t mode = 0666)
      : value_(::open(path.c_str(), flags | O_CLOEXEC, mode)) {}
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return value_; }
  explicit operator bool() const { return value_ >= 0; }
  /// Closes; false with errno set if that failed (a full disk may show here).
  bool close() { return ::close(std::exchange(value_, -1)) == 0; }

 private:
  int value_;
};

bool write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(descriptor, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

/// Calls consume(bytes) for successive pieces of a file.
template <class Consume>
void read_pieces(const fs::path& file, Consume consume) {
  const Descriptor in(file, O_RDONLY);
  require(static_cast<bool>(in), "cannot read {}: {}", file.string(), reason(errno));
  std::vector<char> buffer(std::size_t{1} << 20);
  while (true) {
    const ssize_t n = ::read(in.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    require(n >= 0, "cannot read {}: {}", file.string(), reason(errno));
    if (n == 0) return;
    consume(std::string_view(buffer.data(), static_cast<std::size_t>(n)));
  }
}

fs::path folder_of(const fs::path& file) {
  return file.has_parent_path() ? file.parent_path() : fs::path(".");
}

/// A hidden name in the same folder that no other process on any host uses.
fs::path temporary_name(const fs::path& target) {
  static std::atomic<unsigned> count{0};
  return folder_of(target) / fmt::format(".{}.{}-{}-{}.tmp", target.filename().string(), hostname_hash(),
                                         getpid(), count.fetch_add(1));
}

/// SHA-256 of FIPS 180-4.
class Sha256 {
 public:
  void update(std::string_view bytes) {
    total_ += bytes.size();
    while (!bytes.empty()) {
      const std::size_t n = std::min(bytes.size(), block_.size() - used_);
      std::memcpy(block_.data() + used_, bytes.data(), n);
      used_ += n;
      bytes.remove_prefix(n);
      if (used_ == block_.size()) compress();
    }
  }

  std::string hex() {
    const std::uint64_t bits = total_ * 8;
    block_[used_++] = 0x80;
    if (used_ > 56) {
      std::memset(block_.data() + used_, 0, block_.size() - used_);
      compress();
    }
    std::memset(block_.data() + used_, 0, 56 - used_);
    for (unsigned i = 0; i < 8; ++i) block_[56 + i] = static_cast<unsigned char>(bits >> (56 - 8 * i));
    compress();
    std::string text;
    for (const std::uint32_t word : state_) text += fmt::format("{:08x}", word);
    return text;
  }

 private:
  void compress() {
    static constexpr std::array<std::uint32_t, 64> kRound = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
        0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
        0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
        0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
        0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
        0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
    std::array<std::uint32_t, 64> w;
    for (std::size_t i = 0; i < 16; ++i)
      w[i] = std::uint32_t{block_[4 * i]} << 24 | std::uint32_t{block_[4 * i + 1]} << 16 |
             std::uint32_t{block_[4 * i + 2]} << 8 | std::uint32_t{block_[4 * i + 3]};
    for (std::size_t i = 16; i < 64; ++i) {
      const std::uint32_t s0 = std::rotr(w[i - 15], 7) ^ std::rotr(w[i - 15], 18) ^ (w[i - 15] >> 3);
      const std::uint32_t s1 = std::rotr(w[i - 2], 17) ^ std::rotr(w[i - 2], 19) ^ (w[i - 2] >> 10);
      w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    auto [a, b, c, d, e, f, g, h] = state_;
    for (std::size_t i = 0; i < 64; ++i) {
      const std::uint32_t s1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
      const std::uint32_t t1 = h + s1 + ((e & f) ^ (~e & g)) + kRound[i] + w[i];
      const std::uint32_t s0 = std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22);
      const std::uint32_t t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
      h = g;
      g = f;
      f = e;
      e = d + t1;
      d = c;
      c = b;
      b = a;
      a = t1 + t2;
    }
    const std::array<std::uint32_t, 8> sum = {a, b, c, d, e, f, g, h};
    for (std::size_t i = 0; i < 8; ++i) state_[i] += sum[i];
    used_ = 0;
  }

  std::array<std::uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<unsigned char, 64> block_{};
  std::size_t used_ = 0;
  std::uint64_t total_ = 0;
};

}  // namespace

void sync_to_disk(const fs::path& path) {
  const Descriptor file(path, O_RDONLY);
  require(static_cast<bool>(file), "cannot open {} to sync it: {}", path.string(), reason(errno));
  // Some file systems cannot sync a folder and say EINVAL; the rename is then as safe as they make it.
  const bool synced = ::fsync(file.get()) == 0 || errno == EINVAL;
  require(synced, "cannot write {} to disk: {}", path.string(), reason(errno));
}

void write_atomically(const fs::path& target, const std::function<void(const fs::path&)>& write) {
  const fs::path temporary = temporary_name(target);
  try {
    write(temporary);
    sync_to_disk(temporary);
    const bool renamed = ::rename(temporary.c_str(), target.c_str()) == 0;
    require(renamed, "cannot write {}: {}", target.string(), reason(errno));
  } catch (const Error& error) {
    ::unlink(temporary.c_str());
    const std::string text = error.what();
    const std::size_t name = text.find(temporary.string());
    if (name == std::string::npos || typeid(error) != typeid(Error)) throw;
    // The user knows the target, and nothing of the temporary name.
    fail("{}{}{}", text.substr(0, name), target.string(), text.substr(name + temporary.string().size()));
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  sync_to_disk(folder_of(target));
}

void write_text(const fs::path& target, std::string_view text) {
  write_atomically(target, [&](const fs::path& temporary) {
    Descriptor out(temporary, O_WRONLY | O_CREAT | O_TRUNC);
    const bool written = out && write_all(out.get(), text) && out.close();
    require(written, "cannot write {}: {}", target.string(), reason(errno));
  });
}

std::string read_text(const fs::path& file) {
  std::string text;
  read_pieces(file, [&](std::string_view piece) { text += piece; });
  return text;
}

void append_line(const fs::path& file, std::string_view line) {
  Descriptor out(file, O_WRONLY | O_CREAT | O_APPEND);
  const bool written = out && write_all(out.get(), std::string(line) + '\n') && out.close();
  require(written, "cannot append to {}: {}", file.string(), reason(errno));
}

void make_writable_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  require(!error, "cannot create folder {}: {}", folder.string(), error.message());
  require(fs::is_directory(folder, error), "{} is not a folder", folder.string());
  const fs::path probe = temporary_name(folder / "probe");
  const Descriptor file(probe, O_WRONLY | O_CREAT | O_EXCL);
  require(static_cast<bool>(file), "cannot write to folder {}: {}", folder.string(), reason(errno));
  ::unlink(probe.c_str());
}

OutputFolder::OutputFolder(const fs::path& file) {
  std::error_code error;
  const fs::path name = file.filename();
  require(!name.empty() && name != "." && name != ".." && !fs::is_directory(file, error),
          "{} is a folder; a file is to be written", file.string());
  const fs::path folder = folder_of(file);
  for (fs::path at = folder; !at.empty() && !fs::exists(at, error); at = at.parent_path()) made_.push_back(at);
  make_writable_folder(folder);
}

OutputFolder::~OutputFolder() {
  std::error_code not_empty;
  for (const fs::path& folder : made_)
    if (!fs::remove(folder, not_empty)) break;
}

std::map<std::string, std::string> read_sums(const fs::path& folder) {
  std::map<std::string, std::string> listed;
  const fs::path sums = folder / "SHA256SUMS";
  if (!fs::exists(sums)) return listed;
  std::istringstream lines(read_text(sums));
  for (std::string line; std::getline(lines, line);) {
    line.erase(line.find_last_not_of(" \t\r") + 1);
    const std::size_t hash = line.find_first_of(" \t"),
                      name = line.find_first_not_of(" \t*", hash);  // '*': a binary file
    if (name != std::string::npos) listed[line.substr(name)] = line.substr(0, hash);
  }
  return listed;
}

void write_sums(const fs::path& folder, const std::map<std::string, std::string>& hashes) {
  std::string text;
  for (const auto& [name, hash] : hashes) text += fmt::format("{}  {}\n", hash, name);
  write_text(folder / "SHA256SUMS", text);
}

std::string sha256(std::string_view bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.hex();
}

std::string sha256_file(const fs::path& file) {
  Sha256 hash;
  read_pieces(file, [&](std::string_view piece) { hash.update(piece); });
  return hash.hex();
}

std::uint64_t fnv1a(std::string_view bytes, std::uint64_t seed) {
  for (const char c : bytes) seed = (seed ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return seed;
}

FolderLock::FolderLock(const fs::path& folder, Kind kind) {
  const fs::path file = folder / ".lock";
  Descriptor lock(file, O_RDWR | O_CREAT);
  require(static_cast<bool>(lock), "cannot write to folder {}: {}", folder.string(), reason(errno));
  if (::flock(lock.get(), (kind == Kind::shared ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) {
      const std::string holder = read_text(file);
      fail<FolderBusy>("folder {} is in use by another process{}; wait for it to end or choose another folder",
                       folder.string(), holder.empty() ? "" : " (" + holder + ", or one that it started)");
    }
    log::warn("folder {} cannot be locked ({}); make sure that no other process writes to it", folder.string(),
              reason(errno));
  } else {
    // Only told to whoever meets the lock, so a failure changes nothing. Shared holders have no name, and touch
    // no file without one.
    const bool cleared = fs::file_size(file) == 0 || ::ftruncate(lock.get(), 0) == 0;
    if (cleared && kind == Kind::exclusive)
      write_all(lock.get(), fmt::format("process {} on host {}", getpid(), hostname_hash()));
  }
  descriptor_ = ::dup(lock.get());
  require(descriptor_ >= 0, "cannot lock folder {}: {}", folder.string(), reason(errno));
}

FolderLock::~FolderLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace sns
