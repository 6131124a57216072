#include "core/cpu_budget.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <optional>
#include <sstream>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace stepcast {
namespace {

constexpr double kNoQuota = std::numeric_limits<double>::infinity();
// Files of the kernel are short; what is longer is none of them.
constexpr std::streamsize kMaxBytes = 1 << 20;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(static_cast<size_t>(kMaxBytes), '\0');
  file.read(text.data(), kMaxBytes);
  text.resize(static_cast<size_t>(file.gcount()));
  return text;
}

// One hierarchy that governs CPU time, as this process sees it.
struct Hierarchy {
  bool unified = false;  // v2
  std::string mount;     // where it is mounted
  std::string top;       // the group that is mounted there
  std::string group;     // ours, from the hierarchy's root
};

// The kernel writes a space in a path as \040.
std::string Unescaped(absl::string_view path) {
  std::string text;
  for (size_t i = 0; i < path.size(); ++i) {
    const absl::string_view digits = path.substr(i + 1, 3);
    const bool escape =
        path[i] == '\\' && digits.size() == 3 && digits.find_first_not_of("01234567") == absl::string_view::npos;
    if (!escape) {
      text += path[i];
      continue;
    }
    text += static_cast<char>((digits[0] - '0') * 64 + (digits[1] - '0') * 8 + (digits[2] - '0'));
    i += 3;
  }
  return text;
}

bool HasController(absl::string_view list, absl::string_view name) {
  const std::vector<absl::string_view> names = absl::StrSplit(list, ',');
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Our group in v2, or in the v1 hierarchy of the controller "cpu"; nullopt where there is none.
std::optional<std::string> OwnGroup(absl::string_view cgroup_file, bool unified) {
  for (const absl::string_view line : absl::StrSplit(cgroup_file, '\n')) {
    const std::vector<absl::string_view> fields = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (fields.size() != 3) continue;
    if (unified ? fields[0] == "0" && fields[1].empty() : HasController(fields[1], "cpu")) {
      return std::string(fields[2]);
    }
  }
  return std::nullopt;
}

// The mounts of both kinds; those of a container's namespaces, where this runs in one.
std::vector<Hierarchy> FindHierarchies(const std::string& root) {
  const std::string own = ReadFile(root + "/proc/self/cgroup");
  std::vector<Hierarchy> found;
  for (const absl::string_view line : absl::StrSplit(ReadFile(root + "/proc/self/mountinfo"), '\n')) {
    const std::vector<std::string> fields = absl::StrSplit(line, ' ');
    const auto dash = std::find(fields.begin(), fields.end(), "-");
    if (dash - fields.begin() < 6 || fields.end() - dash < 4) continue;
    const bool unified = dash[1] == "cgroup2";
    if (!unified && (dash[1] != "cgroup" || !HasController(dash[3], "cpu"))) continue;
    found.push_back({.unified = unified,
                     .mount = Unescaped(fields[4]),
                     .top = Unescaped(fields[3]),
                     .group = OwnGroup(own, unified).value_or("/")});
  }
  if (!found.empty()) return found;
  // Where mounts are hidden they mostly lie where everybody puts them.
  for (const char* mount : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
    found.push_back({.unified = true, .mount = mount, .top = "/", .group = OwnGroup(own, true).value_or("/")});
  }
  for (const char* mount : {"/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"}) {
    found.push_back({.unified = false, .mount = mount, .top = "/", .group = OwnGroup(own, false).value_or("/")});
  }
  return found;
}

// CPUs' worth of time that the group in `folder` allows itself.
double QuotaOf(const std::string& folder, bool unified) {
  double quota = 0;
  double period = 0;
  bool read = false;
  if (unified) {
    const std::vector<std::string> words =
        absl::StrSplit(ReadFile(folder + "/cpu.max"), absl::ByAnyChar(" \n"), absl::SkipEmpty());
    read = words.size() == 2 && absl::SimpleAtod(words[0], &quota) && absl::SimpleAtod(words[1], &period);
  } else {
    read = absl::SimpleAtod(ReadFile(folder + "/cpu.cfs_quota_us"), &quota) &&
           absl::SimpleAtod(ReadFile(folder + "/cpu.cfs_period_us"), &period);
  }
  // "max" is no number; v1 says -1.
  return read && quota > 0 && period > 0 ? quota / period : kNoQuota;
}

// Our group's folder relative to the mount: "" for the mount itself, "/a/b" for one below it.
std::string Below(const Hierarchy& hierarchy) {
  absl::string_view group = hierarchy.group;
  // A group outside of our namespace has no folder that we can see; of all that we see, the mount is nearest.
  if (absl::StrContains(group, "..")) return "";
  if (hierarchy.top != "/") {
    if (!absl::ConsumePrefix(&group, hierarchy.top) || !(group.empty() || group[0] == '/')) return "";
  }
  while (absl::ConsumeSuffix(&group, "/")) {
  }
  return std::string(group);
}

double SmallestQuota(const Hierarchy& hierarchy, const std::string& root) {
  double smallest = kNoQuota;
  std::string group = Below(hierarchy);
  while (true) {
    smallest = std::min(smallest, QuotaOf(absl::StrCat(root, hierarchy.mount, group), hierarchy.unified));
    if (group.empty()) return smallest;
    group.resize(std::min(group.rfind('/'), group.size() - 1));
  }
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
  for (const Hierarchy& hierarchy : FindHierarchies(root)) {
    budget.quota = std::min(budget.quota, SmallestQuota(hierarchy, root));
  }
  // As an integer only where it fits: a quota may be larger than any machine.
  const double whole = std::min(std::ceil(budget.quota), static_cast<double>(budget.affinity));
  budget.threads = std::max(1, static_cast<int>(whole));
  return budget;
}

}  // namespace stepcast
