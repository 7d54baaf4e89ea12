// Two-layer quasi-geostrophic flow on cuFFT.
#include "solvers/cuda_module.hpp"
#include "solvers/qg2layer/equation.hpp"
#include "solvers/spectral/batch_engine.hpp"
#include "solvers/spectral/cufft_backend.cuh"

#include <cstdio>
#include <exception>

namespace sns::qg2layer {
namespace {

template <class Real>
spectral::Engine* make(const Params& params, int members, int device) {
  using Backend = spectral::CufftBackend<Real>;
  using Transforms = spectral::RealFluxTransforms<Backend, FluxShape>;
  const Backend backend(device);
  const typename Backend::Session session(backend);
  return new spectral::BatchEngine<Backend, Equation<Backend, Transforms>>(backend, params, members, members,
                                                                           1);
}

}  // namespace
}  // namespace sns::qg2layer

extern "C" sns::spectral::Engine* sns_cuda_make_qg2layer(const sns::qg2layer::Params* params, int members,
                                                         int device, char* message, std::size_t size) {
  try {
    return params->single_precision ? sns::qg2layer::make<float>(*params, members, device)
                                    : sns::qg2layer::make<double>(*params, members, device);
  } catch (const std::exception& error) {
    std::snprintf(message, size, "%s", error.what());
    return nullptr;
  }
}
