#pragma once
// A painting call that was checked.

#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/generation_request.h"
#include "sampling/program/sampling_program.h"
#include "server/call/resume_tokens.h"
#include "server/catalog/model_registry.h"
#include "stepcast/v1/image_generation.pb.h"

namespace stepcast {

// What a stream is made for.
struct StreamRequest {
  SharedRequest request;
  sampling::SharedProgram program;
  sampling::SharedProgram inversion = {};  // of a request that inverts its picture: what comes before `program`
  ResumeBinding binding = {};              // of picture 0; where tokens are handed out
  v1::Accepted accepted;                   // complete but for the queue position
  absl::Time arrival;
  absl::Time deadline;
  // The same request as it is against other models: its own may come back from disk as another one. May be empty.
  std::function<absl::StatusOr<StreamRequest>(const ModelRegistry&)> again = {};
  std::shared_ptr<void> upload_share =
      {};  // of the budget that its pictures are counted in, for as long as they are held
};

}  // namespace stepcast
