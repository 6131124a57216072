#include "server/telemetry/operations_metrics.h"

#include <iterator>
#include <string>

#include "prometheus/counter.h"
#include "prometheus/gauge.h"
#include "prometheus/registry.h"

namespace stepcast {
namespace {

constexpr const char* kWhat[] = {"config", "tokens", "certificates"};

// A series that is there already is the same object.
prometheus::Counter& Reloads(prometheus::Registry& registry, const char* what, bool ok) {
  return prometheus::BuildCounter()
      .Name("stepcast_config_reloads_total")
      .Help("Files read again while serving: taken, or refused while the old ones stay.")
      .Register(registry)
      .Add({{"what", what}, {"result", ok ? "ok" : "failed"}});
}

prometheus::Counter& Dropped(prometheus::Registry& registry) {
  return prometheus::BuildCounter()
      .Name("stepcast_log_lines_dropped_total")
      .Help("Lines of the log dropped because nobody read them in time.")
      .Register(registry)
      .Add({});
}

}  // namespace

OperationsMetrics::OperationsMetrics(prometheus::Registry& registry) : registry_(registry) {
  for (const char* const what : kWhat) {
    for (const bool ok : {true, false}) Reloads(registry_, what, ok);
  }
  Dropped(registry_);
}

void OperationsMetrics::CountReload(Reloaded what, bool ok) {
  Reloads(registry_, kWhat[static_cast<size_t>(what)], ok).Increment();
}

void OperationsMetrics::SetCertificateExpiry(absl::Time expires) {
  prometheus::BuildGauge()
      .Name("stepcast_tls_certificate_expiry_timestamp_seconds")
      .Help("When the certificate that is shown expires, seconds since the epoch.")
      .Register(registry_)
      .Add({})
      .Set(absl::ToDoubleSeconds(expires - absl::UnixEpoch()));
}

void OperationsMetrics::SetDroppedLines(int64_t lines) {
  prometheus::Counter& dropped = Dropped(registry_);
  dropped.Increment(static_cast<double>(lines) - dropped.Value());
}

}  // namespace stepcast
