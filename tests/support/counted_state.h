#pragma once

#include "scheduler/words/job.h"

namespace stepcast {

// Counts the states that live, as an executor's tensors would. Not thread-safe.
class CountedState final : public JobState {
 public:
  explicit CountedState(int& count) : count_(count) { ++count_; }
  CountedState(const CountedState&) = delete;
  CountedState& operator=(const CountedState&) = delete;
  ~CountedState() override { --count_; }

 private:
  int& count_;
};

}  // namespace stepcast
