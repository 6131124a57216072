#include "core/free_memory.h"

#include <string>

#include <gtest/gtest.h>

#include "tests/core/fake_root.h"

namespace stepcast {
namespace {

constexpr int64_t kMib = 1 << 20;

// A machine's /proc and /sys, as far as memory is told there.
class FakeTree : public FakeRoot<FakeTree> {
 public:
  int64_t Read() const { return ReadFreeMemory(root()); }
};

constexpr char kMachine[] = "MemTotal:       8388608 kB\nMemFree:        1024 kB\nMemAvailable:   4194304 kB\n";
constexpr char kMount[] = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";

TEST(FreeMemoryTest, IsWhatTheMachineSaysIsAvailable) {
  FakeTree tree;
  tree.Write("/proc/meminfo", kMachine);
  EXPECT_EQ(tree.Read(), 4096 * kMib);
}

TEST(FreeMemoryTest, AControlGroupLeavesWhatWeDoNotHoldAlready) {
  FakeTree tree;
  tree.Write("/proc/meminfo", kMachine)
      .Write("/proc/self/mountinfo", kMount)
      .Write("/proc/self/cgroup", "0::/pod\n")
      .Write("/sys/fs/cgroup/pod/memory.max", "2147483648\n")
      .Write("/proc/self/status", "VmRSS:   900000 kB\nRssAnon:   524288 kB\nRssFile: 1 kB\n");
  EXPECT_EQ(tree.Read(), 1536 * kMib);
  tree.Write("/sys/fs/cgroup/pod/memory.max", "1048576\n");
  EXPECT_EQ(tree.Read(), 1) << "nothing is left, which is not the same as nothing being known";
}

TEST(FreeMemoryTest, WithoutFilesNothingIsKnown) {
  EXPECT_EQ(FakeTree().Read(), 0);
  FakeTree odd;
  odd.Write("/proc/meminfo", "MemAvailable: many kB\nMemTotal: -3 kB\n");
  EXPECT_EQ(odd.Read(), 0);
}

TEST(FreeMemoryTest, ThisMachineTellsSomething) { EXPECT_GT(ReadFreeMemory(), kMib); }

}  // namespace
}  // namespace stepcast
