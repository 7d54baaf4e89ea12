#pragma once
// C entry points of libsns_cuda.so. Failures fill `message` and return 0 or null.
#include "solvers/kolmogorov/params.hpp"

#include <cstddef>

extern "C" {
using SnsCudaDeviceCount = int (*)(char* message, std::size_t size);
using SnsCudaMakeKolmogorov = sns::spectral::Engine* (*)(const sns::kolmogorov::Params* params, int members,
                                                         int device, char* message, std::size_t size);
}
