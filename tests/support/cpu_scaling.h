#pragma once
// Whether the work for an input grows with its size or with the square of it. Both sizes run in the same thread and are
// measured by the processor time of that thread, so that other load does not count.

#include <time.h>

#include <algorithm>

namespace stepcast {

inline double ThreadCpuSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// The best of three runs of `work(size)`.
template <typename Work>
double CpuSeconds(const Work& work, int size) {
  double best = 1e9;
  for (int i = 0; i < 3; ++i) {
    const double start = ThreadCpuSeconds();
    work(size);
    best = std::min(best, ThreadCpuSeconds() - start);
  }
  return best;
}

// How many times as much `work(8 * size)` takes as `work(size)`: about 8 when it is linear, 64 when it is quadratic.
template <typename Work>
double GrowthOver8(const Work& work, int size) {
  return CpuSeconds(work, 8 * size) / CpuSeconds(work, size);
}

// Between the two, with room for caches and a noisy machine.
inline constexpr double kLinearOver8 = 24.0;

}  // namespace stepcast
