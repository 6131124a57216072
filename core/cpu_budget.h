#pragma once
// How many CPUs this process may use: not what the machine has, but what affinity and control groups leave of it.

#include <limits>
#include <string>

namespace stepcast {

// Immutable plain data.
struct CpuBudget {
  int affinity = 1;                                        // CPUs that the scheduler of the kernel may choose from
  double quota = std::numeric_limits<double>::infinity();  // CPUs' worth of time, the smallest of all groups above us
  int threads = 1;  // worth running at once: the smaller of both, the quota rounded up, at least 1

  // "2 CPUs", "2 of 8 CPUs (quota 1.5)".
  std::string ToString() const;

  friend bool operator==(const CpuBudget&, const CpuBudget&) = default;
};

// CPUs in the affinity mask of the calling thread, which cpusets and taskset narrow; at least 1.
int AffinityCount();

// Reads /proc/self/cgroup, /proc/self/mountinfo and the groups' cpu.max (v2) or cpu.cfs_quota_us (v1) below `root`, and
// of both hierarchies where both are mounted. A group is bound by those above it as far as they can be seen. What is
// missing or malformed bounds nothing.
//
// Thread-safety: may be called from any thread; reads files each time.
CpuBudget ReadCpuBudget(int affinity = AffinityCount(), const std::string& root = "");

}  // namespace stepcast
