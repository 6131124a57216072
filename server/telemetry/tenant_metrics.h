#pragma once
// What each tenant asks for and gets, as Prometheus series.

#include <array>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "core/job_event.h"
#include "core/mutex.h"

namespace prometheus {
class Counter;
class Registry;
}  // namespace prometheus

namespace stepcast {

// How a painting call ended for its tenant.
inline constexpr std::array<std::string_view, 5> kCallOutcomes = {"succeeded", "failed", "cancelled", "expired",
                                                                  "refused"};

// Tenants that the configuration names have series of their own, all others share kOtherTenants.
//
// Thread-safety: all methods may be called from any thread, but Listen.
class TenantMetrics {
 public:
  // `registry` must outlive this.
  explicit TenantMetrics(prometheus::Registry& registry);

  // Makes the series of `names`, those that are not there yet.
  void Add(const std::vector<std::string>& names);

  // Tells `listener` of the time that Charge is told, on its thread. Call once, before jobs run.
  void Listen(std::function<void(std::string_view tenant, absl::Duration had)> listener);

  // A share of a tick.
  void Charge(std::string_view tenant, const DeviceCost& cost);
  // A painting call is over; "": it was let in for nobody.
  void CountCall(std::string_view tenant, std::string_view outcome);

 private:
  struct Series {
    prometheus::Counter* seconds;
    prometheus::Counter* rows;
    std::array<prometheus::Counter*, kCallOutcomes.size()> calls;
  };

  const Series& Of(std::string_view tenant) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  prometheus::Registry& registry_;
  std::function<void(std::string_view, absl::Duration)> listener_;
  Mutex mutex_;
  absl::flat_hash_map<std::string, Series> series_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace stepcast
