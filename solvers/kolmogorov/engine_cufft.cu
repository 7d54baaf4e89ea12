// Kolmogorov flow on cuFFT, and which devices there are.
#include "solvers/cuda_module.hpp"
#include "solvers/kolmogorov/equation.hpp"
#include "solvers/spectral/batch_engine.hpp"
#include "solvers/spectral/cufft_backend.cuh"

#include <cstdio>
#include <exception>

namespace sns::kolmogorov {
namespace {

template <class Backend, template <class> class Form>
spectral::Engine* make(const Params& params, int members, int device) {
  const Backend backend(device);
  const typename Backend::Session session(backend);
  return new spectral::BatchEngine<Backend, Equation<Backend, Form<Backend>>>(backend, params, members, members,
                                                                              1);
}

template <class Real>
spectral::Engine* make_precision(const Params& params, int members, int device) {
  using Backend = spectral::CufftBackend<Real>;
  if (params.advection == Advection::advective) return make<Backend, AdvectiveForm>(params, members, device);
  return make<Backend, BasdevantForm>(params, members, device);
}

}  // namespace
}  // namespace sns::kolmogorov

extern "C" int sns_cuda_device_count(char* message, std::size_t size) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaSuccess) return count;
  cudaGetLastError();
  std::snprintf(message, size, "%s", sns::spectral::cuda_error_text(status, "cudaGetDeviceCount").c_str());
  return 0;
}

extern "C" int sns_cuda_device_name(int device, char* name, std::size_t size) {
  cudaDeviceProp properties{};
  const cudaError_t status = cudaGetDeviceProperties(&properties, device);
  std::snprintf(name, size, "%s", status == cudaSuccess ? properties.name : cudaGetErrorString(status));
  return status == cudaSuccess ? 1 : 0;
}

extern "C" sns::spectral::Engine* sns_cuda_make_kolmogorov(const sns::kolmogorov::Params* params, int members,
                                                           int device, char* message, std::size_t size) {
  try {
    return params->single_precision ? sns::kolmogorov::make_precision<float>(*params, members, device)
                                    : sns::kolmogorov::make_precision<double>(*params, members, device);
  } catch (const std::exception& error) {
    std::snprintf(message, size, "%s", error.what());
    return nullptr;
  }
}
