#pragma once
// Identity of one job (one image in the making).

#include <compare>
#include <cstdint>
#include <functional>
#include <ostream>

namespace stepcast {

// Unique within a process, handed out in order of arrival, never reused.
struct JobId {
  int64_t value = 0;

  friend auto operator<=>(const JobId&, const JobId&) = default;

  template <typename H>
  friend H AbslHashValue(H h, const JobId& id) {
    return H::combine(std::move(h), id.value);
  }
};

inline std::ostream& operator<<(std::ostream& out, JobId id) { return out << id.value; }

}  // namespace stepcast
