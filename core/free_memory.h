#pragma once
// How much memory this process could still get.

#include <cstdint>
#include <string>

namespace stepcast {

// Bytes: the smaller of MemAvailable in /proc/meminfo and of what the limit of our control groups leaves beyond our own
// anonymous memory, below `root`. 0 when nothing of it can be read. What is free changes from moment to moment: for
// bounds that are set once.
//
// Thread-safety: may be called from any thread; reads files each time.
int64_t ReadFreeMemory(const std::string& root = "");

}  // namespace stepcast
