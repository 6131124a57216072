#pragma once
// The control groups that bound what this process may use, where the kernel tells of them.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace stepcast {

// The folder of a group that this process is in.
struct ControlGroup {
  std::string folder;
  bool unified = false;  // v2; else v1
};

// Our group of `controller` ("cpu", "memory") and those above it as far as they can be seen, in every hierarchy that is
// mounted below `root`, by /proc/self/cgroup and /proc/self/mountinfo. Folders may not exist.
//
// Thread-safety: may be called from any thread; reads files each time.
std::vector<ControlGroup> ControlGroupsOf(const std::string& controller, const std::string& root = "");

// A file of the kernel: the first MiB, "" when it cannot be read.
std::string ReadKernelFile(const std::string& path);

// The bytes behind `key` in a file of lines like "MemTotal:   123 kB"; nullopt where there is no such line.
std::optional<int64_t> ReadKernelBytes(const std::string& path, std::string_view key);

}  // namespace stepcast
