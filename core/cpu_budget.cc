#include "core/cpu_budget.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "core/control_groups.h"

namespace stepcast {
namespace {

constexpr double kNoQuota = std::numeric_limits<double>::infinity();

// CPUs' worth of time that the group in `folder` allows itself.
double QuotaOf(const std::string& folder, bool unified) {
  double quota = 0;
  double period = 0;
  bool read = false;
  if (unified) {
    const std::vector<std::string> words =
        absl::StrSplit(ReadKernelFile(folder + "/cpu.max"), absl::ByAnyChar(" \n"), absl::SkipEmpty());
    read = words.size() == 2 && absl::SimpleAtod(words[0], &quota) && absl::SimpleAtod(words[1], &period);
  } else {
    read = absl::SimpleAtod(ReadKernelFile(folder + "/cpu.cfs_quota_us"), &quota) &&
           absl::SimpleAtod(ReadKernelFile(folder + "/cpu.cfs_period_us"), &period);
  }
  // "max" is no number; v1 says -1.
  return read && quota > 0 && period > 0 ? quota / period : kNoQuota;
}

}  // namespace

std::string CpuBudget::ToString() const {
  const std::string quota_text = std::isinf(quota) ? "" : absl::StrFormat(" (quota %.4g)", quota);
  if (threads == affinity) return absl::StrCat(threads, threads == 1 ? " CPU" : " CPUs", quota_text);
  return absl::StrCat(threads, " of ", affinity, " CPUs", quota_text);
}

int AffinityCount() {
  // A mask of more CPUs than cpu_set_t has is refused until the set is large enough.
  for (int cpus = CPU_SETSIZE; cpus <= 1 << 20; cpus *= 2) {
    cpu_set_t* const set = CPU_ALLOC(cpus);
    const size_t bytes = CPU_ALLOC_SIZE(cpus);
    CPU_ZERO_S(bytes, set);
    const int count = sched_getaffinity(0, bytes, set) == 0 ? CPU_COUNT_S(bytes, set) : 0;
    CPU_FREE(set);
    if (count > 0) return count;
  }
  return 1;
}

CpuBudget ReadCpuBudget(int affinity, const std::string& root) {
  CpuBudget budget{.affinity = std::max(1, affinity)};
  for (const ControlGroup& group : ControlGroupsOf("cpu", root)) {
    budget.quota = std::min(budget.quota, QuotaOf(group.folder, group.unified));
  }
  // As an integer only where it fits: a quota may be larger than any machine.
  const double whole = std::min(std::ceil(budget.quota), static_cast<double>(budget.affinity));
  budget.threads = std::max(1, static_cast<int>(whole));
  return budget;
}

}  // namespace stepcast
