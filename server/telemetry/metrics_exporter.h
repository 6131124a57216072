#pragma once
// The Prometheus scrape endpoint: GET /metrics on a port of its own.

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace prometheus {
class Collectable;
}

namespace stepcast {

// Serves the collectables until destroyed, on threads of its own.
//
// Thread-safety: immutable once started.
class MetricsExporter {
 public:
  // Listens on `address` ("127.0.0.1:9464"; port 0 picks a free one).
  // Errors: FAILED_PRECONDITION, one line that names the address, when it cannot be bound.
  static absl::StatusOr<std::unique_ptr<MetricsExporter>> Start(
      const std::string& address, const std::shared_ptr<prometheus::Collectable>& metrics);

  ~MetricsExporter();

  int port() const { return port_; }

 private:
  struct Impl;
  explicit MetricsExporter(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
  const int port_;
};

}  // namespace stepcast
