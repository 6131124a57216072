#include "engine/device/device.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "core/cpu_budget.h"
#include "core/dtype.h"
#include "core/free_memory.h"
#include "core/memory_limit.h"
#include "core/status_macros.h"
#include "core/string_view.h"
#include "engine/device/cuda/cuda_device.h"
#include "model/layers/native_bfloat16.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace stepcast::engine {
namespace {

class CpuDevice final : public ComputeDevice {
 public:
  explicit CpuDevice(int threads) : threads_(threads) {}

  c10::Device device() const override { return c10::Device(c10::DeviceType::CPU); }
  model::AutoDtypes auto_dtypes() const override {
    return {model::HasNativeBfloat16() ? c10::ScalarType::BFloat16 : c10::ScalarType::Float};
  }

  at::Tensor HostBuffer(c10::IntArrayRef sizes, c10::ScalarType dtype) const override {
    return at::empty(sizes, at::TensorOptions(dtype));
  }
  at::Tensor Upload(const at::Tensor& host) const override { return host; }

  // OpenMP keeps the thread count per calling thread.
  void BindThread() const override { at::set_num_threads(threads_); }

  void Synchronize() const override {}
  // What the allocator keeps of freed tensors is tens of megabytes after a large tick.
  void ReleaseCachedMemory() const override {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
  }
  int64_t FreeMemory() const override { return ReadFreeMemory(); }
  int64_t TotalMemory() const override { return ReadMemoryLimit(); }
  std::string MemoryReport() const override { return ""; }

 private:
  const int threads_;
};

std::unique_ptr<ComputeDevice> MakeCpuDevice(int threads) {
  return std::make_unique<CpuDevice>(threads > 0 ? threads : ReadCpuBudget().threads);
}

std::optional<int> ParseCudaIndex(absl::string_view name) {
  int index = 0;
  if (name == "cuda") return 0;
  if (!absl::ConsumePrefix(&name, "cuda:") || name.empty() || name.size() > 2) return std::nullopt;
  if (!std::ranges::all_of(name, absl::ascii_isdigit) || !absl::SimpleAtoi(name, &index)) return std::nullopt;
  return index;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ComputeDevice>> OpenDevice(absl::string_view name, int threads) {
  if (threads < 0 || threads > 1024) {
    return absl::InvalidArgumentError(
        absl::StrCat("threads is ", threads, "; allowed: 0 (one per usable CPU) to 1024"));
  }
  if (name == "cpu") return MakeCpuDevice(threads);
  if (name == "auto") {
    if (CudaDeviceCount() > 0) return OpenCudaDevice(0);
    return MakeCpuDevice(threads);
  }
  const std::optional<int> index = ParseCudaIndex(name);
  if (!index) {
    return absl::InvalidArgumentError(absl::StrCat("device is '", name, "'; allowed: auto, cpu, cuda:N"));
  }
  return OpenCudaDevice(*index);
}

absl::StatusOr<c10::ScalarType> ParseDtype(absl::string_view name) {
  const std::optional<Dtype> dtype = DtypeFromName(ToStd(name));
  if (dtype.has_value()) return model::ToScalarType(*dtype);
  return absl::InvalidArgumentError(absl::StrCat("dtype is '", name, "'; allowed: ", kDtypeNames));
}

}  // namespace stepcast::engine
