#pragma once
// What operators do to a running server, as Prometheus series.

#include <cstdint>
#include <string_view>

#include "absl/time/time.h"

namespace prometheus {
class Gauge;
class Registry;
}  // namespace prometheus

namespace stepcast {

// What was read again.
enum class Reloaded { kConfig, kTokens, kCertificates };

// Thread-safety: all methods may be called from any thread.
class OperationsMetrics {
 public:
  // `registry` must outlive this.
  explicit OperationsMetrics(prometheus::Registry& registry);

  // A file was read again: taken, or refused for what is in it while the old one stays.
  void CountReload(Reloaded what, bool ok);

  // When the certificate that is shown expires. The series is there once this was called: where there is TLS.
  void SetCertificateExpiry(absl::Time expires);

  // Lines of the log that were dropped so far, because nobody read them.
  void SetDroppedLines(int64_t lines);

 private:
  prometheus::Registry& registry_;
};

}  // namespace stepcast
