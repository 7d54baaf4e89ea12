#include "solvers/cuda_plugin.hpp"

#include "core/device_name.hpp"
#include "core/error.hpp"
#include "core/module.hpp"
#include "solvers/cuda_module.hpp"

#include <array>

namespace sns {
namespace {

constexpr const char* kModuleName = "libsns_cuda.so";

struct Module {
  SnsCudaDeviceCount device_count = nullptr;
  SnsCudaDeviceName device_name = nullptr;
  SnsCudaMakeKolmogorov make_kolmogorov = nullptr;
  SnsCudaMakeQg2Layer make_qg2layer = nullptr;
  std::string why;  ///< it is not there
};

Module load() {
  Module module;
  void* const handle = open_module(kModuleName, SNS_CUDA_MODULE_PATH, SNS_CUDA_MODULE_VERSION, module.why);
  if (handle == nullptr) return module;
  const auto function = [&](const char* name) { return module_function(handle, kModuleName, name); };
  module.device_count = reinterpret_cast<SnsCudaDeviceCount>(function("sns_cuda_device_count"));
  module.device_name = reinterpret_cast<SnsCudaDeviceName>(function("sns_cuda_device_name"));
  module.make_kolmogorov = reinterpret_cast<SnsCudaMakeKolmogorov>(function("sns_cuda_make_kolmogorov"));
  module.make_qg2layer = reinterpret_cast<SnsCudaMakeQg2Layer>(function("sns_cuda_make_qg2layer"));
  return module;
}

const Module& cuda_module() {
  static const Module module = load();  // stays open: engines and static CUDA state outlive any owner here
  return module;
}

template <class Params>
std::unique_ptr<spectral::Engine> make_engine(spectral::Engine* (*Module::*make)(const Params*, int, int, char*,
                                                                                 std::size_t),
                                              const Params& params, int members, const std::string& device) {
  const auto name = parse_device(device);
  require(name && name->kind == DeviceName::Kind::cuda, "'{}' is no GPU", device);
  const int number = name->number;
  std::string why;
  require(cuda_usable(why), "device {} cannot be used: {}; use run.device=cpu", device, why);
  std::array<char, 512> message{};
  const int count = cuda_module().device_count(message.data(), message.size());
  require(number < count, "device {} cannot be used: there {}; use run.device=cuda:N with N below {}, or cpu",
          device, count == 1 ? "is 1 GPU, cuda:0" : fmt::format("are {} GPUs, from cuda:0 on", count), count);
  spectral::Engine* engine = (cuda_module().*make)(&params, members, number, message.data(), message.size());
  require(engine != nullptr, "device {} cannot be used: {}", device, message.data());
  return std::unique_ptr<spectral::Engine>(engine);
}

}  // namespace

bool cuda_usable(std::string& why) {
  const Module& module = cuda_module();
  if (module.device_count == nullptr) {
    why = module.why;
    return false;
  }
  std::array<char, 256> message{};
  if (module.device_count(message.data(), message.size()) > 0) return true;
  why = message[0] != '\0' ? message.data() : "no CUDA device answers";
  return false;
}

std::string cuda_device_text() {
  std::string why;
  require(cuda_usable(why), "{}", why);
  std::array<char, 256> text{};
  const int count = cuda_module().device_count(text.data(), text.size());
  std::string names;
  for (int device = 0; device < count; ++device) {
    const bool told = cuda_module().device_name(device, text.data(), text.size()) != 0;
    names += fmt::format("{}{}", device == 0 ? "" : ", ", told ? text.data() : "unknown");
  }
  return fmt::format("{} device{}: {}", count, count == 1 ? "" : "s", names);
}

std::unique_ptr<spectral::Engine> kolmogorov::make_cuda_engine(const Params& params, int members,
                                                               const std::string& device) {
  return make_engine(&Module::make_kolmogorov, params, members, device);
}

std::unique_ptr<spectral::Engine> qg2layer::make_cuda_engine(const Params& params, int members,
                                                             const std::string& device) {
  return make_engine(&Module::make_qg2layer, params, members, device);
}

}  // namespace sns
