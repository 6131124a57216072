#include "core/cpu_budget.h"

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/core/fake_root.h"

namespace stepcast {
namespace {

constexpr char kV2Mount[] = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
constexpr char kV1Mount[] = "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw shared:10 - cgroup cgroup rw,cpu,cpuacct\n";

// A machine's /proc and /sys, as far as quotas are told there.
class FakeTree : public FakeRoot<FakeTree> {
 public:
  FakeTree& V1(const std::string& folder, const std::string& quota, const std::string& period = "100000\n") {
    return Write(folder + "/cpu.cfs_quota_us", quota).Write(folder + "/cpu.cfs_period_us", period);
  }
  CpuBudget Read(int affinity) const { return ReadCpuBudget(affinity, root()); }
};

TEST(CpuBudgetTest, WithoutControlGroupsAffinityDecides) {
  const FakeTree tree;
  EXPECT_EQ(tree.Read(8), (CpuBudget{.affinity = 8, .threads = 8}));
  EXPECT_EQ(tree.Read(1).threads, 1);
  EXPECT_EQ(tree.Read(0).threads, 1) << "there is always one";
}

TEST(CpuBudgetTest, QuotaOfV2IsRoundedUpAndNeverBelowOne) {
  for (const auto& [text, threads] : std::vector<std::pair<std::string, int>>{{"100000 100000\n", 1},
                                                                              {"150000 100000\n", 2},
                                                                              {"5000 100000\n", 1},
                                                                              {"300000 100000", 3},
                                                                              {"25000 50000\n", 1},
                                                                              {"9000000000000 100000\n", 8},
                                                                              {"max 100000\n", 8},
                                                                              {"max", 8},
                                                                              {"", 8},
                                                                              {"0 100000\n", 8},
                                                                              {"100000 0\n", 8},
                                                                              {"-1 100000\n", 8},
                                                                              {"nan 100000\n", 8},
                                                                              {"many words here\n", 8}}) {
    FakeTree tree;
    tree.Write("/proc/self/cgroup", "0::/app\n").Write("/proc/self/mountinfo", kV2Mount);
    tree.Write("/sys/fs/cgroup/app/cpu.max", text);
    EXPECT_EQ(tree.Read(8).threads, threads) << text;
  }
}

TEST(CpuBudgetTest, AParentWithLessBoundsItsChildren) {
  FakeTree tree;
  tree.Write("/proc/self/cgroup", "0::/kubepods/burstable/pod1/box\n").Write("/proc/self/mountinfo", kV2Mount);
  tree.Write("/sys/fs/cgroup/kubepods/burstable/pod1/box/cpu.max", "800000 100000\n");
  tree.Write("/sys/fs/cgroup/kubepods/burstable/pod1/cpu.max", "max 100000\n");
  tree.Write("/sys/fs/cgroup/kubepods/cpu.max", "250000 100000\n");
  EXPECT_EQ(tree.Read(16), (CpuBudget{.affinity = 16, .quota = 2.5, .threads = 3}));
  EXPECT_EQ(tree.Read(2).threads, 2) << "affinity bounds too";
}

TEST(CpuBudgetTest, InANamespaceTheMountIsOurGroup) {
  FakeTree tree;
  tree.Write("/proc/self/cgroup", "0::/\n").Write("/proc/self/mountinfo", kV2Mount);
  tree.Write("/sys/fs/cgroup/cpu.max", "200000 100000\n");
  EXPECT_EQ(tree.Read(8).threads, 2);
  tree.Write("/proc/self/cgroup", "0::/../../system.slice/other\n");
  EXPECT_EQ(tree.Read(8).threads, 2) << "a group that cannot be seen is bound by what can";
}

TEST(CpuBudgetTest, QuotaOfV1) {
  for (const auto& [quota, threads] : std::vector<std::pair<std::string, int>>{
           {"-1\n", 8}, {"150000\n", 2}, {"1000\n", 1}, {"0\n", 8}, {"", 8}, {"x\n", 8}}) {
    FakeTree tree;
    tree.Write("/proc/self/cgroup", "4:memory:/m\n3:cpuset:/s\n2:cpu,cpuacct:/docker/box\n");
    tree.Write("/proc/self/mountinfo", kV1Mount).V1("/sys/fs/cgroup/cpu,cpuacct/docker/box", quota);
    EXPECT_EQ(tree.Read(8).threads, threads) << quota;
  }
}

TEST(CpuBudgetTest, V1ParentsCount) {
  FakeTree tree;
  tree.Write("/proc/self/cgroup", "2:cpuacct,cpu:/a/b/c\n").Write("/proc/self/mountinfo", kV1Mount);
  tree.V1("/sys/fs/cgroup/cpu,cpuacct/a/b/c", "-1\n").V1("/sys/fs/cgroup/cpu,cpuacct/a", "100000\n", "50000\n");
  EXPECT_EQ(tree.Read(8).threads, 2);
}

TEST(CpuBudgetTest, AContainersMountShowsOnlyItsOwnGroup) {
  FakeTree tree;
  tree.Write("/proc/self/cgroup", "2:cpu:/docker/box/inner\n");
  tree.Write("/proc/self/mountinfo", "33 31 0:30 /docker/box /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n")
      .V1("/sys/fs/cgroup/cpu", "300000\n")
      .V1("/sys/fs/cgroup/cpu/inner", "100000\n");
  EXPECT_EQ(tree.Read(8).threads, 1);
  tree.Write("/proc/self/cgroup", "2:cpu:/docker/boxes\n");
  EXPECT_EQ(tree.Read(8).threads, 3) << "another group with our name in front is not ours";
}

TEST(CpuBudgetTest, BothHierarchiesAtOnce) {
  FakeTree tree;
  tree.Write("/proc/self/cgroup", "2:cpuset:/\n1:cpu,cpuacct:/old\n0::/new\n");
  tree.Write("/proc/self/mountinfo",
             absl::StrCat(kV1Mount, "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"));
  tree.V1("/sys/fs/cgroup/cpu,cpuacct/old", "400000\n");
  EXPECT_EQ(tree.Read(8).threads, 4);
  tree.Write("/sys/fs/cgroup/unified/new/cpu.max", "300000 100000\n");
  EXPECT_EQ(tree.Read(8).threads, 3) << "the smaller";
}

TEST(CpuBudgetTest, CpusetIsNotCpu) {
  FakeTree tree;
  tree.Write("/proc/self/cgroup", "2:cpuset:/a\n");
  tree.Write("/proc/self/mountinfo", "33 31 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n");
  tree.V1("/sys/fs/cgroup/cpuset/a", "100000\n");
  EXPECT_EQ(tree.Read(8).threads, 8);
}

TEST(CpuBudgetTest, OddMountsAndMissingFiles) {
  FakeTree spaced;
  spaced.Write("/proc/self/cgroup", "0::/a b\n");
  spaced.Write("/proc/self/mountinfo", "30 23 0:26 / /mnt/c\\040groups rw a:1 b:2 - cgroup2 none rw\nshort line\n");
  spaced.Write("/mnt/c groups/a b/cpu.max", "100000 100000\n");
  EXPECT_EQ(spaced.Read(8).threads, 1);

  FakeTree unmounted;
  unmounted.Write("/proc/self/cgroup", "0::/app\n").Write("/sys/fs/cgroup/app/cpu.max", "200000 100000\n");
  EXPECT_EQ(unmounted.Read(8).threads, 2) << "mountinfo is missing";

  FakeTree groupless;
  groupless.Write("/proc/self/mountinfo", kV2Mount).Write("/sys/fs/cgroup/cpu.max", "200000 100000\n");
  EXPECT_EQ(groupless.Read(8).threads, 2) << "/proc/self/cgroup is missing";
}

TEST(CpuBudgetTest, IsToldInOneLine) {
  EXPECT_EQ((CpuBudget{.affinity = 2, .threads = 2}).ToString(), "2 CPUs");
  EXPECT_EQ((CpuBudget{.affinity = 1, .threads = 1}).ToString(), "1 CPU");
  EXPECT_EQ((CpuBudget{.affinity = 8, .quota = 1.5, .threads = 2}).ToString(), "2 of 8 CPUs (quota 1.5)");
  EXPECT_EQ((CpuBudget{.affinity = 2, .quota = 1.5, .threads = 2}).ToString(), "2 CPUs (quota 1.5)");
}

TEST(CpuBudgetTest, ThisMachineHasAtLeastOne) {
  EXPECT_GE(AffinityCount(), 1);
  EXPECT_GE(ReadCpuBudget().threads, 1);
  EXPECT_LE(ReadCpuBudget().threads, AffinityCount());
}

}  // namespace
}  // namespace stepcast
