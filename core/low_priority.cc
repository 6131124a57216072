#include "core/low_priority.h"

#include <sys/resource.h>

#include <algorithm>

namespace stepcast {

void LowerOwnPriority(int niceness) {
  constexpr int kNicest = 19;
  // 0 names the calling thread.
  const int current = getpriority(PRIO_PROCESS, 0);
  setpriority(PRIO_PROCESS, 0, std::min(current + niceness, kNicest));
}

}  // namespace stepcast
