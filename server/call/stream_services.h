#pragma once
// What a GenerationStream works with.

#include <cstdint>
#include <functional>

#include "absl/time/time.h"
#include "codec/codec_pool.h"
#include "core/clock.h"
#include "scheduler/dispatch/dispatcher.h"
#include "server/call/call_record.h"
#include "server/call/completion_pace.h"
#include "server/call/quarantine.h"
#include "server/call/resume_tokens.h"
#include "server/catalog/adapters/lora_store.h"
#include "server/catalog/model_store.h"
#include "server/telemetry/server_metrics.h"
#include "stepcast/v1/image_generation.pb.h"

namespace stepcast {

// Where the messages of one call go: a reactor.
class ResponseTransport {
 public:
  virtual ~ResponseTransport() = default;

  // Takes a message. True: it is on its way, and GenerationStream::OnWritten comes once it is through; false: it is
  // through already. `message` need not outlive the call.
  virtual bool Send(v1::GenerateResponse&& message) = 0;

  // The last call; the transport may be gone as soon as it returns. Nothing is on its way then.
  virtual void End(CallOutcome outcome) = 0;

  // Breaks what is on its way; OnWritten(false) follows.
  virtual void Abort() = 0;
};

// What all streams share. Each keeps a copy, because its last codec task may run while the server goes away; what the
// references name lives longer than both pools, but for the loops, which no ended stream calls.
struct StreamServices {
  Dispatcher& loops;
  CodecPool& codec;    // encodes
  CodecPool& writers;  // starts writes for the engine thread, which never enters gRPC
  ServerMetrics& metrics;
  CompletionPace& pace;
  const Clock& clock;
  const ResumeTokens* tokens = nullptr;  // null: unfinished pictures end with their call
  Quarantine* quarantine = nullptr;      // null: nothing is
  ModelStore* models = nullptr;          // keeps a request's model in memory; null: it stays there anyway
  LoraStore* loras = nullptr;            // the same of its LoRAs
  std::function<void()> on_device_lost = [] {};
  int64_t chunk_bytes = 3 << 20;
  bool log_prompts = false;
  int64_t max_waiting_bytes = 16 << 20;              // of encoded pictures; more are encoded as these are written
  absl::Duration preview_stall = absl::Seconds(10);  // a write this old: previews are dropped
  absl::Duration client_stall = absl::Seconds(30);   // a write this old: the call is cancelled
};

}  // namespace stepcast
