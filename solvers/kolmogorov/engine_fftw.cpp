#include "solvers/kolmogorov/equation.hpp"
#include "solvers/spectral/batch_engine.hpp"
#include "solvers/spectral/fftw_backend.hpp"

namespace sns::kolmogorov {
namespace {

template <class Backend, template <class> class Form>
std::unique_ptr<spectral::Engine> make(const Params& params, int members, int workers) {
  return std::make_unique<spectral::BatchEngine<Backend, Equation<Backend, Form<Backend>>>>(
      Backend{params.planning}, params, members, 1, workers);
}

template <class Real>
std::unique_ptr<spectral::Engine> make_precision(const Params& params, int members, int workers) {
  using Backend = spectral::FftwBackend<Real>;
  if (params.advection == Advection::advective) return make<Backend, AdvectiveForm>(params, members, workers);
  return make<Backend, BasdevantForm>(params, members, workers);
}

}  // namespace

std::unique_ptr<spectral::Engine> make_fftw_engine(const Params& params, int members, int workers) {
  return params.single_precision ? make_precision<float>(params, members, workers)
                                 : make_precision<double>(params, members, workers);
}

}  // namespace sns::kolmogorov
