#pragma once
// How many files and connections the process may hold open.

#include <cstdint>

namespace stepcast {

// Raises the soft limit of open files to the hard one and returns it.
//
// gRPC 1.51 stops accepting for good when it runs into the limit (CVE-2023-4785), and the customary 1024 are a few
// clients that do not close.
int64_t RaiseOpenFileLimit();

}  // namespace stepcast
