#pragma once
// Which devices work, seen once a second.

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "scheduler/dispatch/dispatcher.h"

namespace stepcast {

// Tells whether the process is worth keeping. A device stalls when it has work and no tick has ended for a while; a
// lost one is out, and no reason to restart while another is left.
//
// Thread-safety: none; one thread looks.
class DeviceWatch {
 public:
  explicit DeviceWatch(absl::Duration stall_timeout) : stall_timeout_(stall_timeout) {}

  // Takes a look and logs what has changed for the worse.
  void Look(absl::Span<const DeviceStatus> devices, absl::Time now);

  // No device that is left stalls, and one is left. True before the first look.
  bool live() const { return live_; }
  bool all_lost() const { return all_lost_; }

 private:
  struct Seen {
    bool pending = false;
    bool stalled = false;
    bool lost = false;
    absl::Time pending_since = absl::InfinitePast();
  };

  const absl::Duration stall_timeout_;
  absl::flat_hash_map<std::string, Seen> seen_;  // by device
  bool live_ = true;
  bool all_lost_ = false;
};

}  // namespace stepcast
