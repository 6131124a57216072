#pragma once
// How many bytes of tensors are alive at most while something runs on this thread.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

namespace stepcast::model {

class MemoryMeter final : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void* /*pointer*/, int64_t bytes, size_t /*allocated*/, size_t /*reserved*/,
                         c10::Device /*device*/) override {
    now_ += bytes;
    peak_ = std::max(peak_, now_);
  }
  bool memoryProfilingEnabled() const override { return true; }

  // What `run` held at most, beyond what was there before. It must work on one thread.
  static int64_t PeakOf(const std::function<void()>& run) {
    auto meter = std::make_shared<MemoryMeter>();
    const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, meter);
    run();
    return meter->peak_;
  }

 private:
  int64_t now_ = 0;
  int64_t peak_ = 0;
};

}  // namespace stepcast::model
