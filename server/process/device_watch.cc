#include "server/process/device_watch.h"

#include <algorithm>

#include "server/telemetry/logging.h"

namespace stepcast {

void DeviceWatch::Look(absl::Span<const DeviceStatus> devices, absl::Time now) {
  bool stalled = false;
  bool all_lost = !devices.empty();
  for (const DeviceStatus& device : devices) {
    const EngineStatus& engine = device.engine;
    Seen& seen = seen_[device.name];
    if (engine.lost && !seen.lost) Log(LogLevel::kError, "device lost", {{"device", device.name}});
    seen.lost = engine.lost;
    all_lost &= engine.lost;
    const bool pending = !engine.lost && engine.waiting + engine.running > 0;
    // After an idle hour the last progress is an hour old, and that is nobody's fault.
    if (pending && !seen.pending) seen.pending_since = now;
    seen.pending = pending;
    const absl::Duration silence = now - std::max(engine.last_progress, seen.pending_since);
    const bool stalls = pending && silence > stall_timeout_;
    if (stalls && !seen.stalled) {
      Log(LogLevel::kError, "device stalls",
          {{"device", device.name},
           {"waiting", int64_t{engine.waiting}},
           {"running", int64_t{engine.running}},
           {"ticks", engine.ticks},
           {"seconds_without_progress", absl::ToDoubleSeconds(silence)}});
    }
    seen.stalled = stalls;
    stalled |= stalls;
  }
  all_lost_ = all_lost;
  live_ = !all_lost && !stalled;
}

}  // namespace stepcast
