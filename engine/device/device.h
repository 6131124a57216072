#pragma once
// Where tensors live and how numbers get there. Everything else in engine/ is the same for every device.

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>
#include <c10/util/ArrayRef.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/loading/compute_dtypes.h"

namespace stepcast::engine {

// One compute device.
//
// Thread-safety: used by one thread at a time.
class ComputeDevice {
 public:
  virtual ~ComputeDevice() = default;

  virtual c10::Device device() const = 0;

  // "cpu", "cuda:0".
  std::string name() const { return device().str(); }

  // What `dtype: auto` comes to.
  virtual model::AutoDtypes auto_dtypes() const = 0;

  // A host tensor to be filled and handed to Upload; contents undefined.
  virtual at::Tensor HostBuffer(c10::IntArrayRef sizes, c10::ScalarType dtype) const = 0;

  // `host` on the device, without waiting for the copy. On the CPU: `host` itself.
  // REQUIRES: `host` came from HostBuffer and is not written again.
  virtual at::Tensor Upload(const at::Tensor& host) const = 0;

  // Makes this device current for the calling thread. Called once by each thread before it uses tensors.
  virtual void BindThread() const = 0;

  // Waits until everything handed to the device is done, so that a tick ends when its work does.
  virtual void Synchronize() const = 0;

  // Gives cached blocks back: for another try after memory ran out, or because nobody needs them now.
  virtual void ReleaseCachedMemory() const = 0;

  // Bytes that tensors could still take; 0: not known.
  virtual int64_t FreeMemory() const { return 0; }
  // Bytes of memory that the process may use on the device; 0: unknown.
  virtual int64_t TotalMemory() const = 0;

  // One line for the log: used and total memory. "" where the operating system is the better source.
  virtual std::string MemoryReport() const = 0;
};

// Opens `name`: "auto" (the first CUDA device if this build can use one, else the CPU), "cpu" or "cuda:N".
// `threads`: intra-op threads on the CPU, 0: as many as ReadCpuBudget allows.
// Errors: INVALID_ARGUMENT for other names; FAILED_PRECONDITION when CUDA is not built in or has no such device.
absl::StatusOr<std::unique_ptr<ComputeDevice>> OpenDevice(absl::string_view name, int threads);

// "fp32", "bf16", "fp16"; Undefined for "auto". Errors: INVALID_ARGUMENT for other names.
absl::StatusOr<c10::ScalarType> ParseDtype(absl::string_view name);

}  // namespace stepcast::engine
