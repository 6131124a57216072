#pragma once
// The process_* series that Prometheus clients of other languages export by themselves.

#include <vector>

#include "prometheus/collectable.h"
#include "prometheus/metric_family.h"

namespace stepcast {

// Reads /proc/self on each scrape: process_cpu_seconds_total, process_resident_memory_bytes,
// process_virtual_memory_bytes, process_open_fds, process_max_fds, process_start_time_seconds, process_threads.
// A value that cannot be read is left out.
//
// Thread-safety: const and stateless.
class ProcessMetrics final : public prometheus::Collectable {
 public:
  std::vector<prometheus::MetricFamily> Collect() const override;
};

}  // namespace stepcast
