#pragma once
// Where a job is in its life. scheduler/README.md tells the life of a job.

#include <string_view>

#include "scheduler/words/phase.h"

namespace stepcast {

enum class JobStatus { kWaiting, kEncoding, kRunning, kParked, kDecoding, kSucceeded, kFailed, kCancelled, kExpired };

// "waiting", "encoding", ...
std::string_view JobStatusName(JobStatus status);

// The one transition table. Terminal states lead nowhere.
bool CanMove(JobStatus from, JobStatus to);
bool IsTerminal(JobStatus status);

// What a job is while it waits for ticks of `phase` and is not new.
JobStatus StatusIn(Phase phase);

}  // namespace stepcast
