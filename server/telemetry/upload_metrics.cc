#include "server/telemetry/upload_metrics.h"

#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"

namespace stepcast {
namespace {

prometheus::Gauge& Gauge(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
}

prometheus::Counter& Uploads(prometheus::Registry& registry, const char* result) {
  return prometheus::BuildCounter()
      .Name("stepcast_uploads_total")
      .Help("Requests with pictures: read, refused for their pictures, or without room for them.")
      .Register(registry)
      .Add({{"result", result}});
}

}  // namespace

UploadMetrics::UploadMetrics(prometheus::Registry& registry)
    : held_(
          Gauge(registry, "stepcast_upload_bytes", "Pictures of requests in memory: files, and what is kept of them.")),
      waiting_(Gauge(registry, "stepcast_uploads_waiting", "Requests whose pictures wait to be decoded.")),
      read_(Uploads(registry, "read")),
      refused_(Uploads(registry, "refused")),
      no_room_(Uploads(registry, "no_room")),
      seconds_(prometheus::BuildHistogram()
                   .Name("stepcast_upload_decode_seconds")
                   .Help("Reading the pictures of a request: decoding and resizing.")
                   .Register(registry)
                   .Add({}, prometheus::Histogram::BucketBoundaries{0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10})) {}

void UploadMetrics::SetHeld(int64_t bytes) { held_.Set(static_cast<double>(bytes)); }

void UploadMetrics::AddWaiting(int by) { waiting_.Increment(by); }

void UploadMetrics::CountRead(bool ok, absl::Duration spent) {
  (ok ? read_ : refused_).Increment();
  seconds_.Observe(absl::ToDoubleSeconds(spent));
}

void UploadMetrics::CountNoRoom() { no_room_.Increment(); }

}  // namespace stepcast
