#include "core/low_priority.h"

#include <sys/resource.h>

#include <algorithm>

namespace stepcast {

void LowerOwnPriority() {
  constexpr int kNiceness = 10;  // added to the process's
  // 0 names the calling thread.
  const int current = getpriority(PRIO_PROCESS, 0);
  setpriority(PRIO_PROCESS, 0, std::min(current + kNiceness, 19));
}

}  // namespace stepcast
