#include "solvers/spectral/cuda_device.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string_view>

namespace sns::spectral {
namespace {

/// What helps, as "; ...", or nothing.
std::string hint(cudaError_t status) {
  switch (status) {
    case cudaErrorMemoryAllocation:
      return "; take fewer members, a smaller grid or solver.precision=float32, or free the device";
    case cudaErrorNoDevice:
    case cudaErrorInvalidDevice:
      return "; 'nvidia-smi' and CUDA_VISIBLE_DEVICES tell which devices there are";
    case cudaErrorInsufficientDriver:
    case cudaErrorSystemDriverMismatch:
    case cudaErrorCompatNotSupportedOnDevice:
      return "; CUDA 13 needs an NVIDIA driver of version 580 or later";
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorInvalidDeviceFunction:
    case cudaErrorUnsupportedPtxVersion:
    case cudaErrorInvalidPtx:
      return "; this build holds code for compute capability 8.0 and 9.0 and PTX for later ones: configure "
             "with "
             "CMAKE_CUDA_ARCHITECTURES of the device";
    case cudaErrorDevicesUnavailable:
      return "; another process holds the device exclusively";
    case cudaErrorStreamCaptureUnsupported:
    case cudaErrorStreamCaptureInvalidated:
    case cudaErrorStreamCaptureImplicit:
    case cudaErrorStreamCaptureUnjoined:
      return "; SNS_CUDA_GRAPHS=0 in the environment runs without graphs";
    case cudaErrorIllegalAddress:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorLaunchFailure:
      return "; an error of this program: 'compute-sanitizer' before the same command says where";
    default:
      return "";
  }
}

std::string hint(cufftResult status) {
  switch (status) {
    case CUFFT_ALLOC_FAILED:
    case CUFFT_NO_WORKSPACE:
      return hint(cudaErrorMemoryAllocation);
    case CUFFT_INVALID_SIZE:
      return "; cuFFT cannot transform grids of this size";
    case CUFFT_SETUP_FAILED:
    case CUFFT_MISSING_DEPENDENCY:
      return "; cuFFT of CUDA 13 (libcufft.so.12) and its driver must be installed whole";
    default:
      return "";
  }
}

const char* name(cufftResult status) {
  switch (status) {
    case CUFFT_INVALID_PLAN:
      return "CUFFT_INVALID_PLAN";
    case CUFFT_ALLOC_FAILED:
      return "CUFFT_ALLOC_FAILED";
    case CUFFT_INVALID_TYPE:
      return "CUFFT_INVALID_TYPE";
    case CUFFT_INVALID_VALUE:
      return "CUFFT_INVALID_VALUE";
    case CUFFT_INTERNAL_ERROR:
      return "CUFFT_INTERNAL_ERROR";
    case CUFFT_EXEC_FAILED:
      return "CUFFT_EXEC_FAILED";
    case CUFFT_SETUP_FAILED:
      return "CUFFT_SETUP_FAILED";
    case CUFFT_INVALID_SIZE:
      return "CUFFT_INVALID_SIZE";
    case CUFFT_UNALIGNED_DATA:
      return "CUFFT_UNALIGNED_DATA";
    case CUFFT_INVALID_DEVICE:
      return "CUFFT_INVALID_DEVICE";
    case CUFFT_NO_WORKSPACE:
      return "CUFFT_NO_WORKSPACE";
    case CUFFT_NOT_IMPLEMENTED:
      return "CUFFT_NOT_IMPLEMENTED";
    case CUFFT_NOT_SUPPORTED:
      return "CUFFT_NOT_SUPPORTED";
    case CUFFT_MISSING_DEPENDENCY:
      return "CUFFT_MISSING_DEPENDENCY";
    default:
      return "of another kind";
  }
}

std::string size_text(std::size_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g MiB", static_cast<double>(bytes) / (1 << 20));
  return text;
}

}  // namespace

std::string cuda_error_text(cudaError_t status, const std::string& call) {
  return call + ": " + cudaGetErrorString(status) + " [" + cudaGetErrorName(status) + "]" + hint(status);
}
std::string cufft_error_text(cufftResult status, const std::string& call) {
  return call + ": cuFFT error " + std::to_string(static_cast<int>(status)) + " [" + name(status) + "]" +
         hint(status);
}
void throw_cuda(cudaError_t status, const std::string& call) {
  cudaGetLastError();  // LibTorch shares the runtime: none of its checks may find this error
  throw std::runtime_error(cuda_error_text(status, call));
}
void check_cufft(cufftResult status, const char* call) {
  if (status == CUFFT_SUCCESS) return;
  cudaGetLastError();  // as above
  throw std::runtime_error(cufft_error_text(status, call));
}

void* allocate_on_device(std::size_t bytes) {
  if (bytes == 0) return nullptr;
  void* data = nullptr;
  const cudaError_t status = cudaMalloc(&data, bytes);
  if (status != cudaSuccess) throw_cuda(status, "cudaMalloc (" + size_text(bytes) + ")");
  check_cuda(cudaMemset(data, 0, bytes), "cudaMemset");
  check_cuda(cudaStreamSynchronize(nullptr), "cudaStreamSynchronize after cudaMemset");
  return data;
}

CudaSession::CudaSession(int device) {
  check_cuda(cudaSetDevice(device), "cudaSetDevice");
  check_cuda(cudaThreadExchangeStreamCaptureMode(&mode_), "cudaThreadExchangeStreamCaptureMode");
}

CudaQueue::CudaQueue(int device) : device_(device) {
  const char* const switched = std::getenv("SNS_CUDA_GRAPHS");
  graphs_ = switched == nullptr || std::string_view(switched) != "0";
  check_cuda(cudaSetDevice(device), "cudaSetDevice");
  check_cuda(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
}
CudaQueue::~CudaQueue() {
  cudaStreamSynchronize(stream_);
  cudaStreamDestroy(stream_);
}

void CudaQueue::wait() const {
  check_cuda(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
}
void CudaQueue::copy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) const {
  check_cuda(cudaMemcpyAsync(to, from, bytes, kind, stream_), "cudaMemcpyAsync");
  if (kind != cudaMemcpyDeviceToDevice) wait();
}
void CudaQueue::zero(void* data, std::size_t bytes) const {
  check_cuda(cudaMemsetAsync(data, 0, bytes, stream_), "cudaMemsetAsync");
}

void CudaQueue::reserve_workspace(std::size_t bytes) {
  if (bytes <= workspace_.size()) return;
  wait();  // for transforms that use the old one
  workspace_ = {};
  workspace_ = DeviceBuffer<std::byte>(bytes);
}

CufftPlan::CufftPlan(CudaQueue& queue, int n, cufftType type, int batch) : queue_(queue) {
  check_cufft(cufftCreate(&plan_), "cufftCreate");
  try {
    check_cufft(cufftSetAutoAllocation(plan_, 0), "cufftSetAutoAllocation");
    long long shape[2] = {n, n};
    std::size_t bytes = 0;
    check_cufft(cufftMakePlanMany64(plan_, 2, shape, nullptr, 1, 0, nullptr, 1, 0, type, batch, &bytes),
                "cufftMakePlanMany64");
    check_cufft(cufftSetStream(plan_, queue.stream()), "cufftSetStream");
    // Without automatic allocation a plan must be given a workspace, also where it says that it needs none.
    constexpr std::size_t kLeast = 256;
    queue.reserve_workspace(std::max(bytes, kLeast));
  } catch (...) {
    cufftDestroy(plan_);
    throw;
  }
}

cufftHandle CufftPlan::ready() {
  if (workspace_ != queue_.workspace()) {
    check_cufft(cufftSetWorkArea(plan_, queue_.workspace()), "cufftSetWorkArea");
    workspace_ = queue_.workspace();
  }
  return plan_;
}

void CudaGraph::begin() const {
  check_cuda(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeRelaxed), "cudaStreamBeginCapture");
}
void CudaGraph::abandon() const {
  cudaGraph_t unfinished = nullptr;
  cudaStreamEndCapture(stream_, &unfinished);
  if (unfinished != nullptr) cudaGraphDestroy(unfinished);
  cudaGetLastError();
}
void CudaGraph::end() {
  cudaGraph_t recorded = nullptr;
  check_cuda(cudaStreamEndCapture(stream_, &recorded), "cudaStreamEndCapture");
  const cudaError_t status = cudaGraphInstantiate(&graph_, recorded, 0);
  cudaGraphDestroy(recorded);
  check_cuda(status, "cudaGraphInstantiate");
}
void CudaGraph::launch() const {
  check_cuda(cudaGraphLaunch(graph_, stream_), "cudaGraphLaunch");
}

}  // namespace sns::spectral
