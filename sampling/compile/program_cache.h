#pragma once
// Compiled programs, shared by all requests that ask for the same.

#include <cstdint>
#include <list>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "core/mutex.h"
#include "core/sampling_types.h"
#include "sampling/compile/compile.h"
#include "sampling/program/sampling_program.h"

namespace stepcast::sampling {

// Least-recently-used cache in front of Compile.
//
// The key is everything Compile reads, by value, so two models with one schedule share programs and a reloaded model
// with another schedule does not find the old ones. Memory is bounded by the evaluations of the kept programs
// (about 180 bytes each). Errors are not kept. A program lives on for as long as a job holds it.
//
// Thread-safety: all methods may be called from any thread. Compiling happens outside the lock.
class ProgramCache {
 public:
  static constexpr int64_t kDefaultMaxEvaluations = 65'536;

  // REQUIRES: max_evaluations >= 1. A program larger than that is made but not kept.
  explicit ProgramCache(int64_t max_evaluations = kDefaultMaxEvaluations) : max_evaluations_(max_evaluations) {}

  ProgramCache(const ProgramCache&) = delete;
  ProgramCache& operator=(const ProgramCache&) = delete;

  // The program for these inputs: equal inputs give the same object while it is kept. Errors: those of Compile.
  absl::StatusOr<SharedProgram> Get(const NoiseScheduleConfig& schedule, const SamplerSpec& spec)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Programs kept now.
  size_t size() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Key {
    NoiseScheduleConfig schedule;
    SamplerSpec spec;
  };
  // What a look-up compares with: no copy of the schedule is made to ask.
  struct KeyView {
    const NoiseScheduleConfig* schedule;
    const SamplerSpec* spec;

    friend bool operator==(const KeyView& a, const KeyView& b) {
      return *a.spec == *b.spec && *a.schedule == *b.schedule;
    }
    template <typename H>
    friend H AbslHashValue(H h, const KeyView& key) {
      return H::combine(std::move(h), *key.spec, *key.schedule);
    }
  };
  struct Entry {
    Key key;
    SharedProgram program;
  };

  SharedProgram Find(KeyView key) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EvictOldest() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const int64_t max_evaluations_;
  mutable Mutex mutex_;
  std::list<Entry> entries_ ABSL_GUARDED_BY(mutex_);  // most recently used first; nodes never move
  absl::flat_hash_map<KeyView, std::list<Entry>::iterator> index_ ABSL_GUARDED_BY(mutex_);  // keys view entries_
  int64_t evaluations_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace stepcast::sampling
