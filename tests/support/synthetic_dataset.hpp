#pragma once
// A tiny data set in the layout of `sns datagen`: travelling waves, exactly predictable, different in every
// trajectory.
#include "core/files.hpp"
#include "core/hdf5.hpp"

#include <cmath>
#include <filesystem>
#include <numbers>
#include <string>
#include <vector>

namespace sns::test {

struct SyntheticDataset {
  int points = 8;
  int frames = 12;
  std::vector<std::string> fields = {"vorticity"};
  double field_std = 2.0;  ///< written to stats.yaml, doubled from field to field
  int train_files = 2, samples_per_file = 3;
};

/// Value of a field at a grid point; trajectory ids count over all splits.
inline float wave(int field, int trajectory, int frame, int i, int j, int points) {
  const double k = 2 * std::numbers::pi / points;
  const double phase = 0.1 * frame + 1.7 * trajectory;
  return static_cast<float>(2.8 * std::sin(k * i + phase + field) * std::cos(k * j - 0.3 * phase));
}

/// Writes data/train (several files), data/valid and data/test (one file each) and stats.yaml.
inline void write_synthetic_dataset(const std::filesystem::path& folder, const SyntheticDataset& d = {}) {
  int trajectory = 0;
  const auto write_file = [&](const std::string& split, int number) {
    std::filesystem::create_directories(folder / "data" / split);
    auto file = h5::File::create(folder / "data" / split / ("waves_" + std::to_string(number) + ".h5"));
    file.set_attribute("dataset_name", "waves");
    const auto samples = static_cast<std::uint64_t>(d.samples_per_file);
    const auto frames = static_cast<std::uint64_t>(d.frames), points = static_cast<std::uint64_t>(d.points);
    std::vector<double> time;
    for (int t = 0; t < d.frames; ++t) time.push_back(0.25 * t);
    file.make_group("dimensions").write<double>("time", {frames}, time);
    auto group = file.make_group("t0_fields");
    group.set_attribute("field_names", d.fields);
    for (std::size_t f = 0; f < d.fields.size(); ++f) {
      std::vector<float> values;
      for (int s = 0; s < d.samples_per_file; ++s)
        for (int t = 0; t < d.frames; ++t)
          for (int i = 0; i < d.points; ++i)
            for (int j = 0; j < d.points; ++j)
              values.push_back(wave(static_cast<int>(f), trajectory + s, t, i, j, d.points));
      group.write<float>(d.fields[f], {samples, frames, points, points}, values);
    }
    trajectory += d.samples_per_file;
    file.close();
  };
  for (int n = 0; n < d.train_files; ++n) write_file("train", n);
  write_file("valid", 0);
  write_file("test", 0);
  std::string std_text;
  double scale = d.field_std;
  for (const auto& field : d.fields) {
    std_text += "  " + field + ": " + std::to_string(scale) + "\n";
    scale *= 2;
  }
  write_text(folder / "stats.yaml", "std:\n" + std_text);
}

}  // namespace sns::test
