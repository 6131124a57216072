// Bytes as a resume token, which nobody but the server can make; and as the state within one that it made, which is
// read back and refused once a byte of it is another. The same bytes as a traceparent.

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "core/clock.h"
#include "server/call/resume_tokens.h"
#include "server/wire/trace_context.h"
#include "tests/fuzz/scratch.h"

namespace stepcast {
namespace {

using fuzz::Check;

class StandingClock final : public Clock {
 public:
  absl::Time Now() const override { return absl::FromUnixSeconds(1'800'000'000); }
};

void TryToken(const std::string& bytes) {
  static const StandingClock& clock = *new StandingClock;
  static const ResumeTokens& tokens = *new ResumeTokens({.keys = {std::string(32, 'k')}}, clock);
  const ResumeBinding binding{.picture = std::string(64, 'a'), .model = std::string(64, 'b'), .numerics = "fp32"};
  Check(!tokens.Read(bytes, binding).ok());

  const auto state = std::make_shared<const std::string>(bytes);
  std::string token = tokens.Issue(binding, {.evaluations_done = 3, .evaluations_total = 9, .state = state});
  if (token.empty()) return;
  const absl::StatusOr<ResumePoint> point = tokens.Read(token, binding);
  Check(point.ok() && point->evaluations == 3);
  if (bytes.size() < 2) return;
  // Which byte, and how, the input says.
  const auto place = static_cast<unsigned char>(bytes[0]) * 257u + static_cast<unsigned char>(bytes[1]);
  const auto change = static_cast<char>(bytes.back() == 0 ? 1 : bytes.back());
  token[place % token.size()] = static_cast<char>(token[place % token.size()] ^ change);
  Check(!tokens.Read(token, binding).ok());
}

void TryTrace(std::string_view bytes) {
  const TraceContext trace = ContinueTrace(bytes);
  Check(trace.trace_id.size() == 32 && trace.span_id.size() == 16);
  const TraceContext next = ContinueTrace(trace.ToHeader());
  Check(next.trace_id == trace.trace_id && next.span_id != trace.span_id);
}

}  // namespace
}  // namespace stepcast

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  stepcast::TryToken(bytes);
  stepcast::TryTrace(bytes);
  return 0;
}
