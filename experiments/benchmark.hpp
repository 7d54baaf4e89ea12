#pragma once
// How fast a configuration's solver and networks run on a device, and how near that is to what the device can
// do: `sns bench`. No LibTorch here.
#include "core/config.hpp"
#include "core/run_config.hpp"
#include "emulator/training/trainer.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace sns {

struct BenchmarkOptions {
  bool solver = true, models = true;  ///< what is timed
  std::vector<std::string> names;     ///< models; empty: all of the file
  std::vector<std::string>
      precisions;              ///< float32 | tf32 | bfloat16; empty: those that the device is faster in
  bool channels_last = false;  ///< networks on a GPU
  std::optional<int> members;  ///< of the solver; none: a thread each on the CPU, 32 on a GPU
  double seconds = 1;          ///< for each figure, warm-up apart
};

/// Rates of the device itself, measured in the same run.
struct MachineRates {
  double copy_bytes = 0;   ///< per second, read and written, of a copy far larger than the caches
  double triad_bytes = 0;  ///< per second, of a = b + c x with three such arrays
  std::vector<std::pair<std::string, double>>
      matmul_flops;  ///< precision and operations per second of a square product
};

struct SolverRates {
  std::string system, precision, backend;
  std::vector<std::int64_t> grid;
  int members = 1, threads = 1;
  double steps = 0;  ///< per second, of all members together
  /// Moved through the device's memory by one such step, as the backend counts it; 0: not counted.
  double bytes_per_step = 0;
};

/// One way of using a network.
struct NetworkRate {
  std::string what;  ///< forward | training step
  std::string precision;
  std::int64_t batch = 1;
  double milliseconds = 0;
  double flops_per_image = 0;  ///< of convolutions and matrix products (FlopCounter)
  double images() const { return 1e3 * static_cast<double>(batch) / milliseconds; }  ///< per second
  double flops() const { return flops_per_image * images(); }                        ///< per second
};

struct ModelRates {
  std::string name, kind;
  std::int64_t parameters = 0;
  std::vector<NetworkRate> rates;
};

struct BenchmarkResult {
  std::string device;  ///< "cpu", "cuda:0"
  int threads = 1;
  MachineRates machine;
  std::optional<SolverRates> solver;
  std::vector<ModelRates> models;
};

/// Times what the options ask for, on run.device with run.threads. Networks have initial weights; batches are
/// those of rollouts (rollout.members) and of training (training.batch). ConfigError for an unknown model, or a
/// device without bfloat16 arithmetic that is asked for it; Error if the solver's state fails.
BenchmarkResult run_benchmark(const Config& config, const RunConfig& run, const BenchmarkOptions& options);

/// Rates of a device: arrays of `bytes` each, products of matrices with `order` rows.
MachineRates measure_machine(const std::string& device, const std::vector<std::string>& precisions,
                             double seconds, std::int64_t bytes, std::int64_t order);
SolverRates measure_solver(const Config& config, const RunConfig& run, const BenchmarkOptions& options);
/// Of a model for frames of `channels` fields and `points` points along a side; `rollout_batch`: states at a
/// time.
ModelRates measure_model(const ModelSpec& spec, int channels, int points, std::int64_t rollout_batch,
                         const std::string& device, const std::vector<std::string>& precisions, double seconds);

/// Everything, with the shares of the machine's rates. To stdout, as tables.
void print_benchmark(const BenchmarkResult& result);
nlohmann::json to_json(const BenchmarkResult& result);

}  // namespace sns
