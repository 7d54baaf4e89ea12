// Messages of failing CUDA calls, which need no device.
#include "solvers/spectral/cuda_device.hpp"

#include <doctest/doctest.h>

#include <stdexcept>

using namespace sns::spectral;

namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a failing call is named, with CUDA's reason and what helps") {
  const std::string memory = cuda_error_text(cudaErrorMemoryAllocation, "cudaMalloc (2 MiB)");
  CHECK(memory.starts_with("cudaMalloc (2 MiB): out of memory [cudaErrorMemoryAllocation]; "));
  CHECK(contains(memory, "fewer members"));
  CHECK(contains(cuda_error_text(cudaErrorInsufficientDriver, "x"), "580"));
  CHECK(contains(cuda_error_text(cudaErrorNoKernelImageForDevice, "x"), "CMAKE_CUDA_ARCHITECTURES"));
  CHECK(contains(cuda_error_text(cudaErrorInvalidDevice, "x"), "nvidia-smi"));
  CHECK(contains(cuda_error_text(cudaErrorIllegalAddress, "x"), "compute-sanitizer"));
  CHECK(contains(cuda_error_text(cudaErrorStreamCaptureInvalidated, "x"), "SNS_CUDA_GRAPHS=0"));
  CHECK(cuda_error_text(cudaErrorInvalidValue, "x") == "x: invalid argument [cudaErrorInvalidValue]");
  const std::string plan = cufft_error_text(CUFFT_ALLOC_FAILED, "cufftMakePlanMany64");
  CHECK(plan.starts_with("cufftMakePlanMany64: cuFFT error 2 [CUFFT_ALLOC_FAILED]; "));
  CHECK(contains(plan, "fewer members"));
  CHECK_THROWS_WITH_AS(check_cufft(CUFFT_EXEC_FAILED, "cufftExecC2R"),
                       "cufftExecC2R: cuFFT error 6 [CUFFT_EXEC_FAILED]", std::runtime_error);
  CHECK_NOTHROW(check_cufft(CUFFT_SUCCESS, "x"));
  CHECK_NOTHROW(check_cuda(cudaSuccess, "x"));
}

TEST_CASE("a device that is not there is an exception, with or without a driver") {
  CHECK_THROWS_WITH_AS(CudaQueue(4096), doctest::Contains("cudaSetDevice: "), std::runtime_error);
  CHECK_THROWS_WITH_AS(CudaSession(4096), doctest::Contains("[cudaError"), std::runtime_error);
}

TEST_CASE("no memory is asked for where none is needed") {
  CHECK(allocate_on_device(0) == nullptr);
  DeviceBuffer<double> empty(0);
  CHECK(empty.data() == nullptr);
  CHECK(empty.size() == 0);
}
