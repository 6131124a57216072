#pragma once
// Everything the server counts, as Prometheus series. server/README.md lists the names.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "core/clock.h"
#include "core/metrics.h"
#include "core/model_info.h"
#include "server/telemetry/lora_metrics.h"
#include "server/telemetry/model_metrics.h"
#include "server/telemetry/operations_metrics.h"
#include "server/telemetry/tenant_metrics.h"
#include "server/telemetry/upload_metrics.h"

namespace prometheus {
class Registry;
}

namespace stepcast {

// What became of one preview.
enum class PreviewOutcome { kSent, kReplaced, kDropped };

// What became of the evaluations of one image.
enum class StepKind { kUseful, kWasted };

// One finished call, as counted.
struct CallCount {
  std::string_view method;  // "Generate"
  std::string_view model;   // "" where the call has none, or names none that exists
  std::string_view code;    // "OK"
  std::string_view reason;  // ErrorInfo reason; "" when OK
  std::string_view tenant = {};
  bool admitted = false;    // refused calls count as rejections, admitted ones have an outcome
  absl::Duration duration;  // from receipt to the end
};

// The series. Label sets are made at start and references kept, so that counting is one hash look-up and one atomic
// add (histograms: one uncontended mutex). Unknown label values are counted under "" and "UNKNOWN", never added:
// clients cannot grow the number of series.
//
// Thread-safety: all methods but AddModels may be called from any thread; a scrape never waits for the scheduler.
class ServerMetrics final : public EngineMetrics {
 public:
  // `clock` dates the last progress; it must outlive this.
  explicit ServerMetrics(const Clock& clock);
  ~ServerMetrics() override;

  // Makes the series that have a model label. Call once, before jobs run.
  void AddModels(absl::Span<const SharedModelInfo> models);

  // Those of models going in and out of memory.
  ModelMetrics& models();
  // Pictures that come with requests.
  UploadMetrics& uploads();
  TenantMetrics& tenants();
  OperationsMetrics& operations();
  LoraMetrics& loras();

  // Makes the series of one device and returns what its loop is to report to; that belongs to this and lives as long.
  // Call once per device, after AddModels.
  EngineMetrics& AddDevice(const std::string& device);
  // Whether the device works. REQUIRES: it was added.
  void SetDeviceUp(const std::string& device, bool up);

  // EngineMetrics, for whoever has no device of its own.
  void ObserveTick(std::string_view phase, std::string_view model, int jobs, int rows,
                   absl::Duration duration) override;
  void ObservePrediction(std::string_view phase, absl::Duration predicted, absl::Duration measured) override;
  void ChargeTenant(std::string_view tenant, const DeviceCost& cost) override;
  void SetQueue(int waiting, int running) override;
  void CountJob(std::string_view model, std::string_view outcome, absl::Duration since_arrival) override;
  void CountEmbeddingLookup(bool hit) override;

  // Calls.
  void CountCall(const CallCount& call);
  void CountSteps(std::string_view model, StepKind kind, int64_t evaluations);
  void CountPreview(PreviewOutcome outcome);
  void ObserveQueueWait(absl::Duration waited);
  void ObserveFirstPreview(absl::Duration since_arrival);
  void ObserveEncode(absl::Duration spent);
  void CountStalledClient();
  // A picture was handed out unfinished, with a token or without; one went on from a token.
  void CountParked(bool with_token);
  void CountResumed();

  // What is scraped: all of the above and process_*.
  const std::shared_ptr<prometheus::Registry>& registry() const;

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace stepcast
