#pragma once
// What a newcomer may count on while others go on coming.

#include "absl/types/span.h"
#include "scheduler/words/snapshot.h"

namespace stepcast {

// Who wants to come in: jobs of one tenant and class.
struct Newcomer {
  Priority priority = Priority::kStandard;
  const TenantView* tenant = nullptr;  // null: it has no jobs here, and what it wants is in `share`
  const ShareView* share = nullptr;
  double work = 0.0;     // seconds, of all its jobs
  double caution = 0.0;  // standard deviations of what comes in lumps that are left for it (promise_books.h)
};

struct Outlook {
  // The part of the device that is left for promises, (0, 1]: the rest is for those who will come. More urgent classes
  // and other shares are expected to go on as in the last ten seconds, a little more where they come in lumps, and no
  // share beyond what it is entitled to. Work with a client's deadline counts only of shares that bring no more than
  // their part: other work is let in only if it makes nobody late.
  double speed = 1.0;
  // Whether the newcomer's share has, with it, brought less work lately than its part of the device.
  bool within_share = true;
};

// `horizon`: seconds from `now` (since the Unix epoch) for which the speed is wanted, > 0.
Outlook OutlookOf(const Newcomer& newcomer, const Shares& shares, absl::Span<const LaneView* const> lanes, double now,
                  double horizon);

}  // namespace stepcast
