#include "engine/device/torch_guard.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <initializer_list>
#include <new>
#include <random>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/error_reason.h"

namespace stepcast::engine {
namespace {

constexpr char kDeviceMemory[] = "DEVICE_MEMORY";

enum class FaultKind { kNone, kOutOfMemory, kDeviceLost, kOther };

// What is left of an exception once it is gone.
struct Fault {
  FaultKind kind = FaultKind::kNone;
  std::string text;
};

bool ContainsAny(absl::string_view text, std::initializer_list<absl::string_view> parts) {
  return std::ranges::any_of(parts, [text](absl::string_view part) { return absl::StrContains(text, part); });
}

// LibTorch reports most of what its libraries say as a plain c10::Error, which only its text tells apart.
FaultKind KindOf(absl::string_view text) {
  if (ContainsAny(text, {"DefaultCPUAllocator: can't allocate memory", "DefaultCPUAllocator: not enough memory",
                         "CUDA out of memory", "CUDNN_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_ALLOC_FAILED"})) {
    return FaultKind::kOutOfMemory;
  }
  // After these every later CUDA call of the process fails as well.
  if (ContainsAny(text,
                  {"an illegal memory access was encountered", "unspecified launch failure", "misaligned address",
                   "an illegal instruction was encountered", "device-side assert triggered", "uncorrectable ECC error",
                   "uncorrectable NVLink error", "hardware stack error", "the launch timed out and was terminated"})) {
    return FaultKind::kDeviceLost;
  }
  return FaultKind::kOther;
}

Fault RunAndCatch(absl::FunctionRef<void()> body) {
  try {
    body();
    return {};
  } catch (const c10::OutOfMemoryError& error) {
    return {FaultKind::kOutOfMemory, error.what()};
  } catch (const c10::Error& error) {
    return {KindOf(error.what_without_backtrace()), error.what()};
  } catch (const std::bad_alloc& error) {
    return {FaultKind::kOutOfMemory, error.what()};
  } catch (const std::exception& error) {
    return {KindOf(error.what()), error.what()};
  } catch (...) {
    return {FaultKind::kOther, "an exception that is no std::exception"};
  }
}

// Random, so that it tells a client nothing and is unique across replicas.
std::string NewErrorId() {
  std::random_device entropy;
  const uint64_t id = (static_cast<uint64_t>(entropy()) << 32) | entropy();
  return absl::StrFormat("%016x", id);
}

}  // namespace

TorchGuard::TorchGuard(ErrorLog log) : log_(std::move(log)) {}

absl::Status TorchGuard::Run(absl::string_view what, absl::FunctionRef<void()> body) const {
  const Fault fault = RunAndCatch(body);
  if (fault.kind == FaultKind::kNone) return absl::OkStatus();
  const std::string id = NewErrorId();
  if (log_) log_(absl::StrCat("error_id=", id, " in ", what, ": ", fault.text));
  const std::string where = absl::StrCat(" in ", what, " (error id ", id, ")");
  switch (fault.kind) {
    case FaultKind::kOutOfMemory:
      return WithReason(absl::ResourceExhaustedError(absl::StrCat("out of memory", where, "; try again later")),
                        kDeviceMemory);
    case FaultKind::kDeviceLost:
      return WithReason(absl::UnavailableError(absl::StrCat("the device was lost", where)), "DEVICE_LOST");
    default:
      return WithReason(absl::InternalError(absl::StrCat("the engine failed", where)), "ENGINE_ERROR");
  }
}

bool IsOutOfMemory(const absl::Status& status) {
  return absl::IsResourceExhausted(status) && ErrorReason(status) == kDeviceMemory;
}

}  // namespace stepcast::engine
