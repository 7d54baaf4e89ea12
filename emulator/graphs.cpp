#include "emulator/graphs.hpp"

#include "core/error.hpp"
#include "core/module.hpp"
#include "emulator/device.hpp"

#include <ATen/Functions.h>
#include <c10/core/DeviceGuard.h>

namespace sns {
namespace {

constexpr const char* kModuleName = "libsns_torch_cuda.so";

using MakeRecorder = GraphRecorder* (*)();

/// A buffer like `rows`, for `size` of them; zeros are valid input of every network.
torch::Tensor room_for(const torch::Tensor& rows, std::int64_t size) {
  std::vector<std::int64_t> shape = rows.sizes().vec();
  shape[0] = size;
  return at::zeros(shape, rows.options());
}

}  // namespace

GraphRecorder* cuda_graph_recorder(std::string& why) {
  static std::string reason = load_cuda_backend();
  static GraphRecorder* const recorder = []() -> GraphRecorder* {
    if (!reason.empty()) return nullptr;
    void* const module =
        open_module(kModuleName, SNS_TORCH_CUDA_MODULE_PATH, SNS_TORCH_CUDA_MODULE_VERSION, reason);
    if (module == nullptr) return nullptr;
    return reinterpret_cast<MakeRecorder>(module_function(module, kModuleName, "sns_make_graph_recorder"))();
  }();
  why = reason;
  return recorder;
}

std::int64_t bucket(std::int64_t rows) {
  std::int64_t power = 1;
  while (2 * power <= rows) power *= 2;
  if (rows == power) return power;
  return power > 1 && 2 * rows <= 3 * power ? 3 * power / 2 : 2 * power;
}

torch::Tensor RecordedNetworks::operator()(const std::string& name, const Network& network,
                                           const torch::Tensor& x, const torch::Tensor& condition) {
  const c10::DeviceGuard guard(x.device());
  const std::int64_t rows = x.size(0), size = bucket(rows);
  const Key key{name, size, condition.defined()};
  auto found = recordings_.find(key);
  if (found == recordings_.end()) {
    found = recordings_.emplace(key, Recording{}).first;  // where the recorded work may refer to it
    Recording& fresh = found->second;
    fresh.x = room_for(x, size);
    if (condition.defined()) fresh.condition = room_for(condition, size);
    try {
      fresh.work = recorder_.record([&] { fresh.out = network(fresh.x, fresh.condition); });
    } catch (...) {
      recordings_.erase(found);
      throw;
    }
  }
  Recording& recording = found->second;
  recording.x.narrow(0, 0, rows).copy_(x);
  if (condition.defined()) recording.condition.narrow(0, 0, rows).copy_(condition);
  recording.work->replay();
  return recording.out.narrow(0, 0, rows).clone();
}

}  // namespace sns
