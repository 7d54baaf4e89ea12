#include "solvers/qg2layer/equation.hpp"
#include "solvers/spectral/batch_engine.hpp"
#include "solvers/spectral/fftw_backend.hpp"
#include "solvers/spectral/lane_flux_transforms.hpp"

namespace sns::qg2layer {
namespace {

template <class Real>
std::unique_ptr<spectral::Engine> make(const Params& params, int members, int workers) {
  using Backend = spectral::FftwBackend<Real>;
  using Transforms = spectral::LaneFluxTransforms<Real, FluxShape>;
  return std::make_unique<spectral::BatchEngine<Backend, Equation<Backend, Transforms>>>(
      Backend{params.planning}, params, members, 1, workers);
}

}  // namespace

std::unique_ptr<spectral::Engine> make_fftw_engine(const Params& params, int members, int workers) {
  return params.single_precision ? make<float>(params, members, workers)
                                 : make<double>(params, members, workers);
}

}  // namespace sns::qg2layer
