#include "datagen/checkpoint.hpp"

#include "core/error.hpp"
#include "core/files.hpp"
#include "core/log.hpp"

#include <cstring>

namespace sns {

Checkpoint take_checkpoint(const Solver& solver, int first, const std::vector<MemberStatus>& status) {
  Checkpoint checkpoint;
  checkpoint.status = status;
  for (std::size_t i = 0; i < status.size(); ++i) {
    checkpoint.states.push_back(status[i].alive ? solver.save(first + static_cast<int>(i))
                                                : std::vector<std::byte>{});
  }
  return checkpoint;
}

void restore_members(Solver& solver, int first, const Checkpoint& checkpoint) {
  for (std::size_t i = 0; i < checkpoint.states.size(); ++i) {
    const int member = first + static_cast<int>(i);
    if (checkpoint.status[i].alive) {
      solver.restore(member, checkpoint.states[i]);
    } else {
      solver.retire(member, checkpoint.status[i]);
    }
  }
}

void write_checkpoint(h5::Group group, const Checkpoint& checkpoint) {
  group.set_attribute("identity", checkpoint.identity);
  group.set_attribute("step", checkpoint.step);
  group.set_attribute("records", checkpoint.records);
  group.set_attribute("extra_records", checkpoint.extra_records);
  std::vector<std::uint8_t> bytes;
  std::vector<std::int64_t> sizes, failed_steps;
  std::vector<std::string> reasons;
  for (std::size_t i = 0; i < checkpoint.states.size(); ++i) {
    const auto& state = checkpoint.states[i];
    const auto* data = reinterpret_cast<const std::uint8_t*>(state.data());
    bytes.insert(bytes.end(), data, data + state.size());
    sizes.push_back(static_cast<std::int64_t>(state.size()));
    failed_steps.push_back(checkpoint.status[i].alive ? -1 : checkpoint.status[i].failed_step);
    reasons.push_back(checkpoint.status[i].reason);
  }
  group.set_attribute("sha256", sha256({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
  group.write<std::uint8_t>("states", {bytes.size()}, bytes);
  group.write<std::int64_t>("sizes", {sizes.size()}, sizes);
  group.write<std::int64_t>("failed_step", {failed_steps.size()}, failed_steps);
  group.write_strings("failed_reason", reasons);
}

Checkpoint read_checkpoint(const h5::Group& group) {
  Checkpoint checkpoint;
  checkpoint.identity = group.attribute<std::string>("identity");
  checkpoint.step = group.attribute<std::int64_t>("step");
  checkpoint.records = group.attribute<std::int64_t>("records");
  checkpoint.extra_records = group.attribute<std::int64_t>("extra_records");
  const auto bytes = group.dataset("states").read<std::uint8_t>();
  const auto sizes = group.dataset("sizes").read<std::int64_t>();
  const auto failed_steps = group.dataset("failed_step").read<std::int64_t>();
  const auto reasons = group.dataset("failed_reason").read_strings();
  const std::string hash = sha256({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  require(hash == group.attribute<std::string>("sha256"), "{}: the checkpoint is damaged", group.label());
  std::size_t total = 0;
  for (const std::int64_t size : sizes) {
    require(size >= 0 && static_cast<std::size_t>(size) <= bytes.size() - total,
            "{}: the checkpoint is damaged", group.label());
    total += static_cast<std::size_t>(size);
  }
  require(total == bytes.size() && failed_steps.size() == sizes.size() && reasons.size() == sizes.size(),
          "{}: the checkpoint is damaged", group.label());
  std::size_t offset = 0;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const auto size = static_cast<std::size_t>(sizes[i]);
    std::vector<std::byte> state(size);
    if (size > 0) std::memcpy(state.data(), bytes.data() + offset, size);
    offset += size;
    checkpoint.states.push_back(std::move(state));
    checkpoint.status.push_back({failed_steps[i] < 0, failed_steps[i], reasons[i]});
  }
  return checkpoint;
}

void save_checkpoint(const std::filesystem::path& file, const Checkpoint& checkpoint) {
  write_atomically(file, [&](const std::filesystem::path& temporary) {
    h5::File output = h5::File::create(temporary);
    write_checkpoint(output, checkpoint);
    output.close();
  });
}

std::optional<Checkpoint> load_checkpoint(const std::filesystem::path& file, const std::string& identity,
                                          const char* consequence) {
  if (!std::filesystem::exists(file)) return std::nullopt;
  try {
    Checkpoint checkpoint = read_checkpoint(h5::File::open_read(file));
    if (checkpoint.identity == identity) return checkpoint;
    log::warn("{} belongs to another run{}", file.string(), consequence);
  } catch (const Error& error) {
    log::warn("{}{}", error.what(), consequence);
  }
  return std::nullopt;
}

}  // namespace sns
