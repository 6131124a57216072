#include "core/control_groups.h"

#include <algorithm>
#include <fstream>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace stepcast {
namespace {

// Files of the kernel are short; what is longer is none of them.
constexpr std::streamsize kMaxBytes = 1 << 20;

// One hierarchy of the controller, as this process sees it.
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

// Our group in v2, or in the v1 hierarchy of `controller`; nullopt where there is none.
std::optional<std::string> OwnGroup(absl::string_view cgroup_file, absl::string_view controller, bool unified) {
  for (const absl::string_view line : absl::StrSplit(cgroup_file, '\n')) {
    const std::vector<absl::string_view> fields = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (fields.size() != 3) continue;
    if (unified ? fields[0] == "0" && fields[1].empty() : HasController(fields[1], controller)) {
      return std::string(fields[2]);
    }
  }
  return std::nullopt;
}

// The mounts of both kinds; those of a container's namespaces, where this runs in one.
std::vector<Hierarchy> FindHierarchies(const std::string& root, const std::string& controller) {
  const std::string own = ReadKernelFile(root + "/proc/self/cgroup");
  std::vector<Hierarchy> found;
  for (const absl::string_view line : absl::StrSplit(ReadKernelFile(root + "/proc/self/mountinfo"), '\n')) {
    const std::vector<std::string> fields = absl::StrSplit(line, ' ');
    const auto dash = std::find(fields.begin(), fields.end(), "-");
    if (dash - fields.begin() < 6 || fields.end() - dash < 4) continue;
    const bool unified = dash[1] == "cgroup2";
    if (!unified && (dash[1] != "cgroup" || !HasController(dash[3], controller))) continue;
    found.push_back({.unified = unified,
                     .mount = Unescaped(fields[4]),
                     .top = Unescaped(fields[3]),
                     .group = OwnGroup(own, controller, unified).value_or("/")});
  }
  if (!found.empty()) return found;
  // Where mounts are hidden they mostly lie where everybody puts them.
  for (const char* mount : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
    found.push_back(
        {.unified = true, .mount = mount, .top = "/", .group = OwnGroup(own, controller, true).value_or("/")});
  }
  std::vector<std::string> mounts = {"/sys/fs/cgroup/" + controller};
  if (controller == "cpu") mounts.push_back("/sys/fs/cgroup/cpu,cpuacct");
  for (const std::string& mount : mounts) {
    found.push_back(
        {.unified = false, .mount = mount, .top = "/", .group = OwnGroup(own, controller, false).value_or("/")});
  }
  return found;
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

}  // namespace

std::string ReadKernelFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(static_cast<size_t>(kMaxBytes), '\0');
  file.read(text.data(), kMaxBytes);
  text.resize(static_cast<size_t>(file.gcount()));
  return text;
}

std::optional<int64_t> ReadKernelBytes(const std::string& path, std::string_view key) {
  const std::string text = ReadKernelFile(path);
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    int64_t kibibytes = 0;
    if (!absl::ConsumePrefix(&line, {key.data(), key.size()}) || !absl::ConsumeSuffix(&line, "kB")) continue;
    if (absl::SimpleAtoi(absl::StripAsciiWhitespace(line), &kibibytes) && kibibytes >= 0) return kibibytes * 1024;
  }
  return std::nullopt;
}

std::vector<ControlGroup> ControlGroupsOf(const std::string& controller, const std::string& root) {
  std::vector<ControlGroup> groups;
  for (const Hierarchy& hierarchy : FindHierarchies(root, controller)) {
    std::string group = Below(hierarchy);
    while (true) {
      groups.push_back({.folder = absl::StrCat(root, hierarchy.mount, group), .unified = hierarchy.unified});
      if (group.empty()) break;
      group.resize(std::min(group.rfind('/'), group.size() - 1));
    }
  }
  return groups;
}

}  // namespace stepcast
