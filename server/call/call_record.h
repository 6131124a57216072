#pragma once
// One call from receipt to its end: who asks, until when, and what is told about it afterwards.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/clock.h"
#include "grpcpp/server_context.h"
#include "server/call/late_work.h"
#include "server/identity/gate.h"
#include "server/telemetry/logging.h"
#include "server/telemetry/server_metrics.h"
#include "server/wire/trace_context.h"

namespace stepcast {

// How a call ended.
struct CallOutcome {
  absl::Status status = {};
  std::string model = {};  // id; "" where the call names none that exists
  bool admitted = false;   // it was let into the queue
  int64_t bytes = 0;       // of all messages written
  CallWork work = {};
  // Set while jobs go on that have been told to end: where their work is told, of which `work` is not the whole.
  std::shared_ptr<LateWork> late = {};
  std::string prompt = {};  // "" unless the operator asks for it (LogConfig::prompts)
};

// What every call is let in and counted by; all must outlive the calls.
struct CallBooks {
  const Gate& gate;
  ServerMetrics& metrics;
  const Clock& clock;
};

// Belongs to the reactor of one call; `context` must outlive it.
//
// Thread-safety: the constructor runs on the thread that received the call, Finish once on any other.
class CallRecord {
 public:
  // Takes the call's name from `method` ("Generate"), its identity from the metadata x-request-id (1..128 printable
  // ASCII characters; anything else is replaced by a fresh one, as are two that differ), and `default_deadline` for a
  // call without a deadline. Asks the gate who calls.
  CallRecord(std::string_view method, grpc::CallbackServerContext& context, const CallBooks& books,
             absl::Duration default_deadline = absl::InfiniteDuration());

  // Who calls; or why that one may not, with which the call must end, before its message is read.
  const absl::StatusOr<Caller>& caller() const { return caller_; }

  absl::Time arrival() const { return arrival_; }
  absl::Time deadline() const { return deadline_; }
  const std::string& request_id() const { return request_id_; }
  const TraceContext& trace() const { return trace_; }

  // Everything that the client's metadata says under `key` (lower case), in no order.
  std::vector<std::string_view> Metadata(const std::string& key) const;

  // Writes the access line, at once or when its late work is known, counts the call, sets the trailers and returns
  // what the reactor finishes with.
  // REQUIRES: called once, before the reactor's Finish.
  grpc::Status Finish(const CallOutcome& outcome);

 private:
  void WriteLine(const CallOutcome& outcome, std::string_view code, const std::string& reason,
                 absl::Duration duration) const;

  const std::string_view method_;
  grpc::CallbackServerContext& context_;
  const CallBooks books_;
  const absl::Time arrival_;
  const absl::Time deadline_;
  const std::string request_id_;
  const TraceContext trace_;
  const absl::StatusOr<Caller> caller_;
};

}  // namespace stepcast
