#include "emulator/safetensors.hpp"

#include "core/error.hpp"
#include "core/files.hpp"

#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <fstream>
#include <set>

namespace sns {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");

constexpr std::uint64_t kHeaderLimit = 100'000'000;  // as in the Python package

struct Type {
  const char* name;
  torch::ScalarType torch;
  std::uint64_t size;
};
// Descending alignment: the order in which the Python package lays tensors out.
constexpr Type kTypes[] = {{"I64", torch::kInt64, 8},     {"F64", torch::kFloat64, 8},
                           {"F32", torch::kFloat32, 4},   {"I32", torch::kInt32, 4},
                           {"BF16", torch::kBFloat16, 2}, {"F16", torch::kFloat16, 2},
                           {"I16", torch::kInt16, 2},     {"I8", torch::kInt8, 1},
                           {"U8", torch::kUInt8, 1},      {"BOOL", torch::kBool, 1}};

std::size_t rank(torch::ScalarType type, const std::string& tensor) {
  for (std::size_t i = 0; i < std::size(kTypes); ++i)
    if (kTypes[i].torch == type) return i;
  fail("tensor {}: its element type cannot be stored as safetensors", tensor);
}

struct Entry {
  const Type* type;
  std::vector<std::int64_t> shape;
  std::uint64_t begin, end;
};

/// Read-only memory map of a whole file.
class Mapping {
 public:
  explicit Mapping(const std::filesystem::path& file) {
    const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    require(descriptor >= 0, "{}: cannot be opened: {}", file.string(), std::strerror(errno));
    struct stat status {};
    const bool regular = ::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
    size_ = regular ? static_cast<std::size_t>(status.st_size) : 0;
    if (size_ > 0) address_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
    ::close(descriptor);
    require(regular, "{}: not a regular file", file.string());
    require(address_ != MAP_FAILED, "{}: cannot be mapped", file.string());
  }
  ~Mapping() {
    if (address_) ::munmap(address_, size_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  const char* data() const { return static_cast<const char*>(address_); }
  std::uint64_t size() const { return size_; }

 private:
  void* address_ = nullptr;
  std::size_t size_ = 0;
};

nlohmann::json parse_header(const std::string& file, std::string_view text) {
  // The parser keeps the last of equal keys; the callback sees them all.
  std::vector<std::set<std::string>> open;
  std::string duplicate;
  const auto watch = [&](int, nlohmann::json::parse_event_t event, nlohmann::json& parsed) {
    using Event = nlohmann::json::parse_event_t;
    if (event == Event::object_start) open.emplace_back();
    if (event == Event::object_end) open.pop_back();
    if (event == Event::key && !open.back().insert(parsed.get<std::string>()).second)
      duplicate = parsed.get<std::string>();
    return true;
  };
  nlohmann::json header;
  try {
    header = nlohmann::json::parse(text, watch);
  } catch (const nlohmann::json::exception&) {
    fail("{}: not a safetensors file (its header is not JSON)", file);
  }
  require(header.is_object(), "{}: not a safetensors file (its header is not a JSON object)", file);
  require(duplicate.empty(), "{}: '{}' appears twice in the header", file, duplicate);
  return header;
}

Entry parse_entry(const std::string& file, const std::string& name, const nlohmann::json& item) {
  const auto bad = [&](const char* why) { fail("{}: tensor '{}': {}", file, name, why); };
  if (!item.is_object() || !item.contains("dtype") || !item.contains("shape") || !item.contains("data_offsets"))
    bad("dtype, shape or data_offsets is missing");
  const auto &dtype = item["dtype"], &shape = item["shape"], &offsets = item["data_offsets"];
  const auto counts = [](const nlohmann::json& list) {
    return list.is_array() &&
           std::all_of(list.begin(), list.end(), [](const auto& v) { return v.is_number_unsigned(); });
  };
  if (!dtype.is_string() || !counts(shape) || !counts(offsets) || offsets.size() != 2)
    bad("malformed dtype, shape or data_offsets");
  const auto type = std::find_if(std::begin(kTypes), std::end(kTypes),
                                 [&](const Type& t) { return dtype.get<std::string>() == t.name; });
  require(type != std::end(kTypes), "{}: tensor '{}': unknown dtype '{}'", file, name,
          dtype.get<std::string>());
  Entry entry{type, {}, offsets[0].get<std::uint64_t>(), offsets[1].get<std::uint64_t>()};
  std::uint64_t bytes = type->size;
  for (const auto& n : shape) {
    const auto extent = n.get<std::uint64_t>();
    if (__builtin_mul_overflow(bytes, extent, &bytes) || extent > std::uint64_t{1} << 62)
      bad("its shape is too large");
    entry.shape.push_back(static_cast<std::int64_t>(extent));
  }
  if (entry.end < entry.begin || entry.end - entry.begin != bytes) bad("data_offsets disagree with its shape");
  return entry;
}

}  // namespace

struct SafeTensors::State {
  explicit State(const std::filesystem::path& file) : path(file), mapping(file) {}
  std::filesystem::path path;
  Mapping mapping;
  std::uint64_t data_begin = 0;
  std::vector<std::string> names;
  std::map<std::string, Entry> entries;
  std::map<std::string, std::string> metadata;

  const Entry& find(const std::string& name) const {
    const auto found = entries.find(name);
    require(found != entries.end(), "{}: there is no tensor '{}'", path.string(), name);
    return found->second;
  }
};

SafeTensors::SafeTensors(const std::filesystem::path& file) : state_(std::make_unique<State>(file)) {
  const std::string name = file.string();
  const Mapping& map = state_->mapping;
  require(map.size() >= 8, "{}: not a safetensors file, or truncated ({} bytes)", name, map.size());
  std::uint64_t header_size = 0;
  std::memcpy(&header_size, map.data(), 8);
  require(header_size <= kHeaderLimit,
          "{}: not a safetensors file (a header of {} bytes; at most {} are allowed)", name, header_size,
          kHeaderLimit);
  require(header_size <= map.size() - 8, "{}: truncated: the header ends at byte {}, the file at {}", name,
          header_size + 8, map.size());
  const auto header = parse_header(name, {map.data() + 8, header_size});
  state_->data_begin = 8 + header_size;

  for (const auto& [key, item] : header.items()) {
    if (key != "__metadata__") {
      state_->entries.emplace(key, parse_entry(name, key, item));
      state_->names.push_back(key);
      continue;
    }
    require(item.is_object(), "{}: __metadata__ is not a map of strings", name);
    for (const auto& [k, v] : item.items()) {
      require(v.is_string(), "{}: __metadata__ '{}' is not a string", name, k);
      state_->metadata[k] = v.get<std::string>();
    }
  }
  std::sort(state_->names.begin(), state_->names.end(), [&](const std::string& a, const std::string& b) {
    const Entry &x = state_->entries.at(a), &y = state_->entries.at(b);
    return std::tie(x.begin, x.end) < std::tie(y.begin, y.end);
  });
  std::uint64_t end = 0;
  for (const std::string& tensor : state_->names) {
    const Entry& entry = state_->entries.at(tensor);
    require(entry.begin == end, "{}: tensor '{}' {} the one before it", name, tensor,
            entry.begin < end ? "overlaps" : "leaves a hole after");
    end = entry.end;
  }
  const std::uint64_t available = map.size() - state_->data_begin;
  require(end <= available, "{}: truncated: {} bytes of tensors, {} are there", name, end, available);
  require(end == available, "{}: {} bytes follow the last tensor", name, available - end);
}

SafeTensors::~SafeTensors() = default;

const std::vector<std::string>& SafeTensors::names() const {
  return state_->names;
}
bool SafeTensors::contains(const std::string& name) const {
  return state_->entries.contains(name);
}
std::vector<std::int64_t> SafeTensors::shape(const std::string& name) const {
  return state_->find(name).shape;
}
const std::map<std::string, std::string>& SafeTensors::metadata() const {
  return state_->metadata;
}
const std::filesystem::path& SafeTensors::path() const {
  return state_->path;
}

torch::Tensor SafeTensors::tensor(const std::string& name) const {
  const Entry& entry = state_->find(name);
  torch::Tensor tensor = torch::empty(entry.shape, entry.type->torch);
  if (entry.end > entry.begin)
    std::memcpy(tensor.data_ptr(), state_->mapping.data() + state_->data_begin + entry.begin,
                entry.end - entry.begin);
  return tensor;
}

void save_safetensors(const std::filesystem::path& file, const NamedTensors& tensors,
                      const std::map<std::string, std::string>& metadata) {
  NamedTensors sorted;
  for (const auto& [name, tensor] : tensors) sorted.emplace_back(name, tensor.detach().cpu().contiguous());
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
    const auto x = rank(a.second.scalar_type(), a.first), y = rank(b.second.scalar_type(), b.first);
    return x != y ? x < y : a.first < b.first;
  });
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t offset = 0;
  for (const auto& [name, tensor] : sorted) {
    require(!header.contains(name) && name != "__metadata__", "{}: two tensors are called '{}'", file.string(),
            name);
    const std::uint64_t end = offset + tensor.nbytes();
    header[name] = {{"dtype", kTypes[rank(tensor.scalar_type(), name)].name},
                    {"shape", tensor.sizes().vec()},
                    {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  const std::uint64_t header_size = text.size();

  write_atomically(file, [&](const std::filesystem::path& temporary) {
    std::ofstream out(temporary, std::ios::binary);
    out.write(reinterpret_cast<const char*>(&header_size), 8);
    out.write(text.data(), static_cast<std::streamsize>(text.size()));
    for (const auto& item : sorted)
      out.write(static_cast<const char*>(item.second.data_ptr()),
                static_cast<std::streamsize>(item.second.nbytes()));
    out.flush();
    require(out.good(), "{}: cannot be written ({})", file.string(), std::strerror(errno));
  });
}

NamedTensors load_safetensors(const std::filesystem::path& file) {
  const SafeTensors source(file);
  NamedTensors tensors;
  for (const std::string& name : source.names()) tensors.emplace_back(name, source.tensor(name));
  return tensors;
}

}  // namespace sns
