#include "scheduler/words/job_status.h"

#include <array>
#include <cstddef>

namespace stepcast {
namespace {

constexpr size_t kStatusCount = static_cast<size_t>(JobStatus::kExpired) + 1;

constexpr std::array<std::string_view, kStatusCount> kNames = {
    "waiting", "encoding", "running", "parked", "decoding", "succeeded", "failed", "cancelled", "expired",
};

constexpr unsigned Bit(JobStatus status) { return 1u << static_cast<unsigned>(status); }

// What may end a job in any live state.
constexpr unsigned kEnds = Bit(JobStatus::kFailed) | Bit(JobStatus::kCancelled) | Bit(JobStatus::kExpired);

// Indexed by the state that is left: the states that may follow. What a job is follows what it waits for, and that may
// begin anew with each stage.
constexpr std::array<unsigned, kStatusCount> kNext = {
    // kWaiting: kRunning when the embeddings were cached, kDecoding when a resumed job lacks only that.
    Bit(JobStatus::kEncoding) | Bit(JobStatus::kRunning) | Bit(JobStatus::kDecoding) | kEnds,
    Bit(JobStatus::kRunning) | Bit(JobStatus::kDecoding) | kEnds,                               // kEncoding
    Bit(JobStatus::kParked) | Bit(JobStatus::kEncoding) | Bit(JobStatus::kDecoding) | kEnds,    // kRunning
    Bit(JobStatus::kRunning) | kEnds,                                                           // kParked
    Bit(JobStatus::kEncoding) | Bit(JobStatus::kRunning) | Bit(JobStatus::kSucceeded) | kEnds,  // kDecoding
    0,                                                                                          // kSucceeded
    0,                                                                                          // kFailed
    0,                                                                                          // kCancelled
    0,                                                                                          // kExpired
};

}  // namespace

std::string_view JobStatusName(JobStatus status) { return kNames[static_cast<size_t>(status)]; }

bool CanMove(JobStatus from, JobStatus to) { return (kNext[static_cast<size_t>(from)] & Bit(to)) != 0; }

bool IsTerminal(JobStatus status) { return kNext[static_cast<size_t>(status)] == 0; }

JobStatus StatusIn(Phase phase) {
  switch (phase) {
    case Phase::kEncode:
    case Phase::kEncodePicture:
      return JobStatus::kEncoding;
    case Phase::kDenoise:
    case Phase::kPreview:
      break;
    case Phase::kDecode:
    case Phase::kUpscale:
      return JobStatus::kDecoding;
  }
  return JobStatus::kRunning;
}

}  // namespace stepcast
