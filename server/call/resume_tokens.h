#pragma once
// Unfinished pictures as tokens that only this deployment can make.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/clock.h"
#include "core/generation_request.h"
#include "core/job_event.h"
#include "stepcast/v1/image_generation.pb.h"

namespace stepcast {

// What a token is good for: one picture of one request, by one model, in arithmetic that gives equal bits.
struct ResumeBinding {
  std::string picture;   // PictureDigest
  std::string model;     // Model.sha256
  std::string numerics;  // compute types of the model, then LoadedEngine::numerics
};

// All but the picture. `numerics`: LoadedEngine::numerics.
ResumeBinding BindingOf(const GenerationRequest& request, const std::string& numerics);

// SHA-256 over what decides the picture `image_index` of a request, as ToEffectiveRequest tells it: how it is encoded,
// shown and scheduled does not count. 64 hex digits.
std::string PictureDigest(const v1::GenerateRequest& effective, int image_index);

struct ResumeTokenOptions {
  std::vector<std::string> keys;  // >= 1 of 32 bytes or more; the first signs, all verify
  absl::Duration ttl = absl::Hours(1);
  int64_t max_bytes = 3 << 20;  // of a token
};

// Issues and reads tokens: a head, the state, and an HMAC-SHA-256 over both (RFC 2104).
//
// Thread-safety: const methods may be called from any thread.
class ResumeTokens {
 public:
  // `clock` must outlive this. REQUIRES: options.keys is not empty.
  ResumeTokens(ResumeTokenOptions options, const Clock& clock) : options_(std::move(options)), clock_(clock) {}

  // "" where the picture has no state, or one too large for a token.
  std::string Issue(const ResumeBinding& binding, const JobSaved& saved) const;

  // Errors, made by MakeError: RESUME_TOKEN_INVALID, saying whether it is damaged or foreign, has expired, or is
  // another picture's, model's or machine's.
  absl::StatusOr<ResumePoint> Read(std::string_view token, const ResumeBinding& binding) const;

 private:
  const ResumeTokenOptions options_;
  const Clock& clock_;
};

}  // namespace stepcast
