// Random calls of the scheduler against a reference model, for as long as one likes:
//   scheduler_fuzz [seconds, default 60] [first seed, default 1]
// Prints the seed of the first mistake and exits with 1. A violated invariant aborts, after the seed was printed.

#include <cstdio>
#include <cstdlib>
#include <string>

#include "core/clock.h"
#include "tests/support/scheduler_fuzzer.h"

int main(int argc, char** argv) {
  const int seconds = argc > 1 ? std::atoi(argv[1]) : 60;
  uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  const absl::Time start = stepcast::RealClock().Now();
  const absl::Time end = start + absl::Seconds(seconds);
  absl::Time next_word = start;
  for (uint64_t runs = 1;; ++runs, ++seed) {
    if (stepcast::RealClock().Now() >= next_word) {
      std::printf("seed %llu, %llu runs\n", static_cast<unsigned long long>(seed),
                  static_cast<unsigned long long>(runs - 1));
      std::fflush(stdout);
      next_word += absl::Seconds(10);
    }
    const std::string wrong = stepcast::FuzzScheduler(seed, 400 + static_cast<int>(seed % 2000));
    if (!wrong.empty()) {
      std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed), wrong.c_str());
      return 1;
    }
    if (stepcast::RealClock().Now() >= end) {
      std::printf("result: %llu runs, no mistake\n", static_cast<unsigned long long>(runs));
      return 0;
    }
  }
}
