#pragma once
// The cuFFT backend lives in a module of its own (libsns_cuda.so beside the program) that is opened when it is
// asked for, so that the program runs on machines without CUDA libraries.
#include "solvers/kolmogorov/params.hpp"
#include "solvers/qg2layer/params.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace sns {

/// True if the module loads and a CUDA device answers; otherwise `why` says what is missing.
bool cuda_usable(std::string& why);
/// "1 device: NVIDIA H100"; error as cuda_usable says where there is none.
std::string cuda_device_text();

namespace kolmogorov {
/// All members as one batch on "cuda" or "cuda:N". Error if the module or the device is not there.
std::unique_ptr<spectral::Engine> make_cuda_engine(const Params& params, int members,
                                                   const std::string& device);
}  // namespace kolmogorov

namespace qg2layer {
/// As for Kolmogorov flow.
std::unique_ptr<spectral::Engine> make_cuda_engine(const Params& params, int members,
                                                   const std::string& device);
}  // namespace qg2layer

}  // namespace sns
