#include "engine/device/cuda/cuda_device.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#ifdef STEPCAST_CUDA
#include <ATen/ops/empty.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>

#include "absl/strings/str_format.h"
#endif

#ifdef STEPCAST_CUDA
// Its own header asks for those of CUDA's mathematics, which nothing here needs.
namespace at::cuda {
cudaDeviceProp* getDeviceProperties(c10::DeviceIndex device);
}
#endif

namespace stepcast::engine {

std::string WhyNoCudaDevice(int runtime, int driver) {
  if (driver == 0) return "no NVIDIA driver is installed, or this container does not see it (NVIDIA container runtime)";
  const std::string served = absl::StrCat(driver / 1000, ".", driver % 1000 / 10);
  // A driver serves every minor version of its major one.
  if (driver / 1000 < runtime / 1000) {
    return absl::StrCat("the NVIDIA driver is too old: it serves CUDA ", served, ", this build needs ", runtime / 1000,
                        ".0; update the driver (docs/operations.md says to which)");
  }
  return absl::StrCat("the NVIDIA driver serves CUDA ", served,
                      ", but shows no device; look at nvidia-smi, CUDA_VISIBLE_DEVICES and the container's devices");
}

#ifdef STEPCAST_CUDA
namespace {

class CudaDevice final : public ComputeDevice {
 public:
  explicit CudaDevice(c10::DeviceIndex index)
      : device_(c10::DeviceType::CUDA, index),
        stream_(c10::cuda::getStreamFromPool(/*isHighPriority=*/true, index)),
        capability_(at::cuda::getDeviceProperties(index)->major) {}

  c10::Device device() const override { return device_; }
  // Tensor cores for float16 came with compute capability 7.0, for bfloat16 with 8.0.
  model::AutoDtypes auto_dtypes() const override {
    if (capability_ >= 8) return {c10::ScalarType::BFloat16, c10::ScalarType::Half};
    if (capability_ == 7) return {c10::ScalarType::Half};
    return {c10::ScalarType::Float};
  }

  // Page-locked, so that the copy runs beside the kernels; the host allocator keeps the block until it is done.
  at::Tensor HostBuffer(c10::IntArrayRef sizes, c10::ScalarType dtype) const override {
    return at::empty(sizes, at::TensorOptions(dtype).pinned_memory(true));
  }
  at::Tensor Upload(const at::Tensor& host) const override { return host.to(device_, /*non_blocking=*/true); }

  void BindThread() const override {
    c10::cuda::set_device(device_.index());
    c10::cuda::setCurrentCUDAStream(stream_);
  }

  void Synchronize() const override { stream_.synchronize(); }
  void ReleaseCachedMemory() const override { c10::cuda::CUDACachingAllocator::emptyCache(); }

  // What the driver has, and what the allocator keeps of freed tensors.
  int64_t FreeMemory() const override {
    const c10::cuda::CUDAGuard guard(device_.index());
    size_t free = 0, total = 0;
    C10_CUDA_CHECK(cudaMemGetInfo(&free, &total));
    const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(device_.index());
    return static_cast<int64_t>(free) + stats.reserved_bytes[0].current - stats.allocated_bytes[0].current;
  }

  int64_t TotalMemory() const override {
    return static_cast<int64_t>(at::cuda::getDeviceProperties(device_.index())->totalGlobalMem);
  }
  std::string MemoryReport() const override {
    const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(device_.index());
    constexpr double kMebibyte = 1024.0 * 1024.0;
    return absl::StrFormat("%s: %.0f MiB in tensors, %.0f MiB reserved", name(),
                           static_cast<double>(stats.allocated_bytes[0].current) / kMebibyte,
                           static_cast<double>(stats.reserved_bytes[0].current) / kMebibyte);
  }

 private:
  const c10::Device device_;
  const c10::cuda::CUDAStream stream_;
  const int capability_;  // the major number
};

}  // namespace

int CudaDeviceCount() { return c10::cuda::device_count(); }

absl::StatusOr<std::unique_ptr<ComputeDevice>> OpenCudaDevice(int index) {
  const int count = CudaDeviceCount();
  if (count == 0) {
    int runtime = 0, driver = 0;
    C10_CUDA_IGNORE_ERROR(cudaRuntimeGetVersion(&runtime));
    C10_CUDA_IGNORE_ERROR(cudaDriverGetVersion(&driver));
    return absl::FailedPreconditionError(absl::StrCat("device cuda:", index, ": ", WhyNoCudaDevice(runtime, driver)));
  }
  if (index >= count) {
    return absl::FailedPreconditionError(
        absl::StrCat("device cuda:", index, " does not exist; this machine has cuda:0 to cuda:", count - 1));
  }
  return std::make_unique<CudaDevice>(static_cast<c10::DeviceIndex>(index));
}

#else

int CudaDeviceCount() { return 0; }

absl::StatusOr<std::unique_ptr<ComputeDevice>> OpenCudaDevice(int index) {
  return absl::FailedPreconditionError(absl::StrCat(
      "device cuda:", index, ": this build has no CUDA support; configure with -DSTEPCAST_CUDA=ON or use device: cpu"));
}

#endif

}  // namespace stepcast::engine
