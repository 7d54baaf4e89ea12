#pragma once
// Work on a device that is recorded once and repeated by one launch: a network of a hundred small kernels costs
// the host more than the device otherwise.
#include <torch/types.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <tuple>

namespace sns {

/// What was recorded; it reads and writes the memory that it was recorded with.
class RecordedWork {
 public:
  virtual ~RecordedWork() = default;
  virtual void replay() = 0;
};

class GraphRecorder {
 public:
  virtual ~GraphRecorder() = default;
  /// Calls `work`, some times to warm up and once to record it. Throws what `work` throws, and an exception
  /// where the work cannot be recorded.
  virtual std::unique_ptr<RecordedWork> record(const std::function<void()>& work) = 0;
};

/// Records CUDA graphs; one per process. nullptr: this build or machine cannot, and `why` says why. From the
/// module libsns_torch_cuda.so, the one part of the suite that links LibTorch's CUDA half.
GraphRecorder* cuda_graph_recorder(std::string& why);

/// The smallest of 1, 2, 3, 4, 6, 8, 12, 16, 24, ... that is not below `rows`: batches are recorded at these
/// sizes only.
std::int64_t bucket(std::int64_t rows);

/// Evaluations of networks, recorded by size of batch and repeated. Weights must stay where they are.
class RecordedNetworks {
 public:
  using Network = std::function<torch::Tensor(const torch::Tensor& x, const torch::Tensor& condition)>;

  explicit RecordedNetworks(GraphRecorder& recorder) : recorder_(recorder) {}

  /// network(x, condition): x [B, ...]; condition [B] or undefined. `name` tells networks of one model apart,
  /// which must treat the rows of a batch independently. Rows beyond the batch, up to its bucket, hold what
  /// earlier ones left.
  torch::Tensor operator()(const std::string& name, const Network& network, const torch::Tensor& x,
                           const torch::Tensor& condition);

 private:
  struct Recording {
    torch::Tensor x, condition, out;
    std::unique_ptr<RecordedWork> work;
  };
  using Key = std::tuple<std::string, std::int64_t, bool>;  ///< name, bucket, whether there is a condition

  GraphRecorder& recorder_;
  std::map<Key, Recording> recordings_;
};

}  // namespace sns
