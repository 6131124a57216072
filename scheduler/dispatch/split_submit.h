#pragma once
// The jobs of one request on several loops: admitted everywhere or nowhere.

#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "scheduler/loop/engine_loop.h"

namespace stepcast {

// Some jobs of a request, and the loop that is to run them.
struct RequestPart {
  EngineLoop* loop = nullptr;  // outlives the decision
  std::vector<JobSpec> specs = {};
};

// As EngineLoop::Submit for all parts together: `on_decision` is called exactly once, before any event of the jobs.
// Their ids are in order of image index; position and wait are those of the part that starts first, the total that of
// the part that ends last. When one part is refused, what others admitted is cancelled and nobody hears of it.
// REQUIRES: at least one part, each with specs; all specs of one part share a sink.
void SubmitParts(std::vector<RequestPart> parts, absl::AnyInvocable<void(absl::StatusOr<Admission>) &&> on_decision);

// What SubmitParts would answer; nothing is admitted.
void EstimateParts(std::vector<RequestPart> parts,
                   absl::AnyInvocable<void(absl::StatusOr<AdmissionVerdict>) &&> on_verdict);

// The refusal to tell of two: one for want of room rather than another, of those the one that asks to come back sooner.
// OK gives way to either.
absl::Status MilderRefusal(const absl::Status& a, const absl::Status& b);

}  // namespace stepcast
