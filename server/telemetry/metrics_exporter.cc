#include "server/telemetry/metrics_exporter.h"

#include <exception>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "prometheus/exposer.h"
#include "server/telemetry/process_metrics.h"

namespace stepcast {

struct MetricsExporter::Impl {
  // The exposer holds weak pointers only.
  std::shared_ptr<prometheus::Collectable> metrics;
  std::shared_ptr<ProcessMetrics> process = std::make_shared<ProcessMetrics>();
  prometheus::Exposer exposer;

  Impl(const std::string& address, std::shared_ptr<prometheus::Collectable> metrics_in)
      : metrics(std::move(metrics_in)), exposer(address, /*num_threads=*/2) {
    exposer.RegisterCollectable(metrics);
    exposer.RegisterCollectable(process);
  }
};

absl::StatusOr<std::unique_ptr<MetricsExporter>> MetricsExporter::Start(
    const std::string& address, const std::shared_ptr<prometheus::Collectable>& metrics) {
  // The library reports every failure to listen as an exception without a cause.
  try {
    return std::unique_ptr<MetricsExporter>(new MetricsExporter(std::make_unique<Impl>(address, metrics)));
  } catch (const std::exception&) {
    return absl::FailedPreconditionError(absl::StrCat("metrics cannot listen on ", address,
                                                      ": the port is in use or the address is not this machine's"));
  }
}

MetricsExporter::MetricsExporter(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)), port_(impl_->exposer.GetListeningPorts().at(0)) {}

MetricsExporter::~MetricsExporter() = default;

}  // namespace stepcast
