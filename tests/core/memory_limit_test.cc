#include "core/memory_limit.h"

#include <string>

#include <gtest/gtest.h>

#include "tests/core/fake_root.h"

namespace stepcast {
namespace {

// A machine's /proc and /sys, as far as memory is told there.
class FakeTree : public FakeRoot<FakeTree> {
 public:
  int64_t Read() const { return ReadMemoryLimit(root()); }
};

constexpr char kV2Mount[] = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
constexpr char kV1Mount[] = "33 31 0:30 / /sys/fs/cgroup/memory rw shared:10 - cgroup cgroup rw,memory\n";
constexpr char kMeminfo[] = "MemTotal:       24598120 kB\nMemFree:         1234 kB\n";
constexpr int64_t kMachine = int64_t{24598120} * 1024;

TEST(MemoryLimitTest, WithoutControlGroupsTheMachineDecides) {
  FakeTree tree;
  EXPECT_EQ(tree.Read(), 0) << "nothing is known";
  tree.Write("/proc/meminfo", kMeminfo);
  EXPECT_EQ(tree.Read(), kMachine);
}

TEST(MemoryLimitTest, TheSmallestOfAllGroupsAboveUsCounts) {
  FakeTree tree;
  tree.Write("/proc/meminfo", kMeminfo)
      .Write("/proc/self/mountinfo", kV2Mount)
      .Write("/proc/self/cgroup", "0::/pod/us\n")
      .Write("/sys/fs/cgroup/pod/us/memory.max", "max\n");
  EXPECT_EQ(tree.Read(), kMachine);
  tree.Write("/sys/fs/cgroup/pod/memory.max", "8589934592\n");
  EXPECT_EQ(tree.Read(), 8589934592);
  tree.Write("/sys/fs/cgroup/pod/us/memory.max", "1073741824\n");
  EXPECT_EQ(tree.Read(), 1073741824);
}

TEST(MemoryLimitTest, ReadsTheOlderHierarchyToo) {
  FakeTree tree;
  tree.Write("/proc/meminfo", kMeminfo)
      .Write("/proc/self/mountinfo", kV1Mount)
      .Write("/proc/self/cgroup", "9:memory:/us\n3:cpu:/other\n")
      .Write("/sys/fs/cgroup/memory/us/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(tree.Read(), kMachine) << "a number beyond any machine is no limit";
  tree.Write("/sys/fs/cgroup/memory/us/memory.limit_in_bytes", "2147483648\n");
  EXPECT_EQ(tree.Read(), 2147483648);
}

TEST(MemoryLimitTest, OfThisMachineSomethingIsKnown) { EXPECT_GT(ReadMemoryLimit(), 0); }

}  // namespace
}  // namespace stepcast
