#pragma once
// Structured lines on stderr: one JSON object, or one readable line, per event. Prompts never enter a line.

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "core/clock.h"
#include "core/job_event.h"
#include "server/config/config.h"

namespace stepcast {

// One key of a line. Keys are ours and plain ASCII; values may hold anything.
struct LogField {
  std::string_view key;
  std::variant<std::string_view, int64_t, double> value;
};

// Sets level and format, routes what gRPC and protobuf print into the same lines (rate-limited: protobuf prints one
// line for each malformed string that a client sends), and ignores SIGPIPE. Call once, before other threads start.
void InitLogging(const LogConfig& config);

// The level from now on. Thread-safety: may be called from any thread.
void SetLogLevel(LogLevel level);

// Waits until all lines are written; false after `patience`: nobody reads them. Before the process ends.
bool FlushLog(absl::Duration patience);

// Lines that were dropped because nobody read them (LineWriter).
int64_t DroppedLogLines();

// Writes one line, without waiting. Before InitLogging: text, level info.
//
// Thread-safety: may be called from any thread; the engine's does not.
void Log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields = {});
void Log(LogLevel level, std::string_view message, absl::Span<const LogField> fields);

// Where a call's time went; of the picture that finished last.
struct StageTimes {
  absl::Duration encode = {};
  absl::Duration denoise = {};
  absl::Duration decode = {};
};

// What the pictures of a call took.
struct CallWork {
  absl::Duration queued = {};  // of the one that waited longest
  int64_t evaluations = 0;
  StageTimes stages = {};
  DeviceCost cost = {};
};

// What one finished call looked like; becomes the line "call".
struct AccessRecord {
  std::string_view method = {};  // "Generate"
  std::string_view code = {};    // "OK"
  std::string_view reason = {};  // ErrorInfo reason, "" when OK
  std::string_view model = {};
  std::string_view tenant = {};  // "" for a call that was not let in
  std::string_view token = {};   // its name; "" where there is none
  std::string_view request_id = {};
  std::string_view peer = {};
  absl::Duration duration = {};  // from receipt to the last byte handed to the transport
  int64_t bytes = 0;             // of all messages written
  std::string_view trace_id = {};
  std::string_view span_id = {};
  CallWork work = {};
  std::string_view prompt = {};  // "": not told
};
void LogAccess(const AccessRecord& record);

// The body of a JSON line without braces: `"msg":"...","key":...`. Invalid UTF-8 becomes U+FFFD.
std::string JsonBody(std::string_view message, absl::Span<const LogField> fields);
inline std::string JsonBody(std::string_view message, std::initializer_list<LogField> fields) {
  return JsonBody(message, absl::MakeConstSpan(fields.begin(), fields.size()));
}
// `message key=value key="value with spaces"`; control characters are escaped.
std::string TextBody(std::string_view message, absl::Span<const LogField> fields);

inline std::string TextBody(std::string_view message, std::initializer_list<LogField> fields) {
  return TextBody(message, absl::MakeConstSpan(fields.begin(), fields.size()));
}

// Lets `burst` events through per `period` and counts the others.
//
// Thread-safety: none; callers hold their own lock.
class LogLimiter {
 public:
  LogLimiter(int burst, absl::Duration period, const Clock& clock) : burst_(burst), period_(period), clock_(clock) {}

  // Whether to write this event; `suppressed` receives how many were held back since the last one written.
  bool Allow(int64_t& suppressed);

 private:
  const int burst_;
  const absl::Duration period_;
  const Clock& clock_;
  absl::Time window_start_ = absl::InfinitePast();
  int written_ = 0;
  int64_t suppressed_ = 0;
};

}  // namespace stepcast
