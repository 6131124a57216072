#pragma once
// The end of the process does not depend on whoever still works.

#include <functional>

#include "absl/time/time.h"
#include "core/clock.h"
#include "server/process/signal_waiter.h"

namespace stepcast {

// Runs `work` on a thread of its own and waits for it; gives up after `limit`, or when a signal comes. Returns whether
// `work` is done. When it is not, its thread goes on and needs all that it was given: the caller must end the process.
bool FinishesInTime(std::function<void()> work, absl::Duration limit, SignalWaiter& signals, const Clock& clock);

}  // namespace stepcast
