#pragma once
// C entry points of libsns_cuda.so. Failures fill `message` and return 0 or null.
#include "solvers/kolmogorov/params.hpp"
#include "solvers/qg2layer/params.hpp"

#include <cstddef>

extern "C" {
using SnsCudaDeviceCount = int (*)(char* message, std::size_t size);
using SnsCudaDeviceName = int (*)(int device, char* name, std::size_t size);
using SnsCudaMakeKolmogorov = sns::spectral::Engine* (*)(const sns::kolmogorov::Params* params, int members,
                                                         int device, char* message, std::size_t size);
using SnsCudaMakeQg2Layer = sns::spectral::Engine* (*)(const sns::qg2layer::Params* params, int members,
                                                       int device, char* message, std::size_t size);
}
