#pragma once
// How much memory this process may use: the machine's, or what control groups leave of it.

#include <cstdint>
#include <string>

namespace stepcast {

// Bytes: the smallest of MemTotal in /proc/meminfo and of memory.max (v2) or memory.limit_in_bytes (v1) of our control
// group and those above it, below `root`. 0 when nothing of it can be read.
//
// Thread-safety: may be called from any thread; reads files each time.
int64_t ReadMemoryLimit(const std::string& root = "");

}  // namespace stepcast
