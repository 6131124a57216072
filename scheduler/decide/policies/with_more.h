#pragma once
// What the lanes would be with a few jobs more.

#include <deque>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "scheduler/words/snapshot.h"

namespace stepcast {

// A snapshot in whose lanes further jobs stand, in copies of the lanes they belong to. The jobs must be priced; they
// appear in `lanes` only.
class WithMore {
 public:
  // Everything must outlive this.
  WithMore(const SchedulerSnapshot& snapshot, absl::Span<const JobView* const> more);
  WithMore(const WithMore&) = delete;
  WithMore& operator=(const WithMore&) = delete;

  const SchedulerSnapshot& snapshot() const { return snapshot_; }

 private:
  LaneView& LaneOf(const JobView& view);
  const TenantView& TenantOf(const JobView& view);
  const ShareView* ShareOf(const std::string& tenant);

  SchedulerSnapshot snapshot_;
  std::vector<const LaneView*> lanes_;
  std::deque<LaneView> copies_;  // deques for their stable addresses
  std::deque<TenantView> newcomers_;
  std::deque<ShareView> shares_;
};

}  // namespace stepcast
