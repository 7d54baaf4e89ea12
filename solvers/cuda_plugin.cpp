#include "solvers/cuda_plugin.hpp"

#include "core/error.hpp"
#include "solvers/cuda_module.hpp"

#include <dlfcn.h>

#include <array>
#include <charconv>
#include <filesystem>
#include <initializer_list>

namespace sns {
namespace {

constexpr const char* kModuleName = "libsns_cuda.so";

/// Folder of this program or library, where the build and the installation put the module.
std::filesystem::path own_folder() {
  std::error_code ignored;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", ignored);
  return ignored ? std::filesystem::path(".") : program.parent_path();
}

struct Module {
  SnsCudaDeviceCount device_count = nullptr;
  SnsCudaDeviceName device_name = nullptr;
  SnsCudaMakeKolmogorov make_kolmogorov = nullptr;
  SnsCudaMakeQg2Layer make_qg2layer = nullptr;
  std::string why = "this build has no CUDA backend (nvcc was not found at configuration)";
};

Module load() {
  Module module;
  if (std::string_view(SNS_CUDA_MODULE_PATH).empty()) return module;
  void* handle = nullptr;
  module.why = fmt::format("{} was not found", kModuleName);
  for (const std::filesystem::path& place :
       {own_folder() / kModuleName, own_folder() / ".." / "lib" / kModuleName,
        std::filesystem::path(SNS_CUDA_MODULE_PATH)}) {
    if (handle != nullptr || !std::filesystem::exists(place)) continue;
    handle = dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) module.why = fmt::format("{} does not load: {}", place.string(), dlerror());
  }
  if (handle == nullptr) return module;
  module.device_count = reinterpret_cast<SnsCudaDeviceCount>(dlsym(handle, "sns_cuda_device_count"));
  module.device_name = reinterpret_cast<SnsCudaDeviceName>(dlsym(handle, "sns_cuda_device_name"));
  module.make_kolmogorov = reinterpret_cast<SnsCudaMakeKolmogorov>(dlsym(handle, "sns_cuda_make_kolmogorov"));
  module.make_qg2layer = reinterpret_cast<SnsCudaMakeQg2Layer>(dlsym(handle, "sns_cuda_make_qg2layer"));
  require(module.device_count != nullptr && module.device_name != nullptr &&
              module.make_kolmogorov != nullptr && module.make_qg2layer != nullptr,
          "{} is of another version", kModuleName);
  return module;
}

const Module& cuda_module() {
  static const Module module = load();  // stays open: engines and static CUDA state outlive any owner here
  return module;
}

int device_number(const std::string& device) {
  if (device == "cuda") return 0;
  const std::string_view digits = std::string_view(device).substr(std::string_view("cuda:").size());
  int number = -1;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc{} || end != digits.data() + digits.size() || number < 0)
    fail<ConfigError>("device '{}' is unknown: auto, cpu, cuda or cuda:N", device);
  return number;
}

template <class Params>
std::unique_ptr<spectral::Engine> make_engine(spectral::Engine* (*Module::*make)(const Params*, int, int, char*,
                                                                                 std::size_t),
                                              const Params& params, int members, const std::string& device) {
  const int number = device_number(device);
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
