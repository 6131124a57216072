#pragma once
// What the kernel says of this process's memory.

#include <fstream>
#include <string>

namespace stepcast {

// MiB, by the name in /proc/self/status: "VmRSS", "VmHWM". 0 where there is no such line.
inline double ProcessMemory(const std::string& name) {
  std::ifstream status("/proc/self/status");
  std::string key;
  double kibibytes = 0;
  while (status >> key) {
    if (key == name + ":") status >> kibibytes;
  }
  return kibibytes / 1024;
}

}  // namespace stepcast
