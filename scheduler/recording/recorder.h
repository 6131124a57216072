#pragma once
// Writes a run of one scheduler to a file. recording.h has the format and says what is not in it.

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <unordered_map>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "scheduler/decide/scheduler_observer.h"
#include "scheduler/recording/recording.h"

namespace stepcast {

struct RecorderOptions {
  // The file grows no larger; recording ends there. >= 1 MiB. A tick takes 30 to 80 bytes.
  int64_t max_bytes = int64_t{1} << 30;
  // Called at most once, on a thread of the loop, when recording ends early: the disk is full, or the file is as large
  // as it may be. Requests are not affected.
  absl::AnyInvocable<void(absl::Status) &&> on_stopped = {};
};

// The observer that writes. Give it to one scheduler and let it outlive that scheduler; its destructor ends the
// file. Events go to a buffer of 64 KiB that is written when full and at the first event of each second; nothing is
// synced, so a stalled disk is the page cache's trouble and not the engine thread's.
//
// Thread-safety: none; as SchedulerObserver says, calls come one at a time between Open and the destructor.
class Recorder final : public SchedulerObserver {
 public:
  // Creates the file, readable by its owner and group only, and writes the header. A file that is there becomes
  // `<path>.old`. Errors: UNAVAILABLE naming the file, INVALID_ARGUMENT for options out of range.
  static absl::StatusOr<std::unique_ptr<Recorder>> Open(const std::string& path, const RecordingHeader& header,
                                                        RecorderOptions options = {});
  ~Recorder() override;

  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  void OnSubmit(const Job& job, absl::Time now) override;
  void OnEncodeOnly(const Job& job, absl::Time now) override;
  void OnRefuse(absl::Span<const JobSpec> request, const absl::Status& why, absl::Time now) override;
  void OnLeave(JobId job, const absl::Status& reason, absl::Time now) override;
  void OnPlan(const StepPlan& plan, absl::Time now) override;
  void OnComplete(const StepPlan& plan, absl::Span<const StepResult> results, absl::Time now) override;
  void OnCurve(const BatchKey& key, absl::Span<const CostPoint> points) override;
  void OnRowCap(const BatchKey& key, int rows) override;

  int64_t events() const { return events_; }
  int64_t bytes() const { return bytes_; }
  bool stopped() const { return file_ == nullptr; }

 private:
  // Words that were given a number. Numbering starts anew when there are too many, so that memory is bounded.
  class Dictionary {
   public:
    explicit Dictionary(char tag) : tag_(tag) {}
    // The number of `word`; writes its definition to `definitions` when it is new.
    int NumberOf(const std::string& word, std::string& definitions);

   private:
    const char tag_;
    std::unordered_map<std::string, int> numbers_;
  };

  Recorder(std::string path, std::FILE* file, RecorderOptions options, absl::Time begin);

  struct Numbers {
    int settings = 0;
    int work = 0;
  };
  Numbers NumbersOf(const JobSpec& spec);
  void AppendSpec(const JobSpec& spec, const Numbers& numbers, absl::Time now);
  void Begin(char tag, absl::Time now);
  void End(absl::Time now);
  int NumberOfKey(const BatchKey& key);
  void Write(const std::string& text);
  void Stop(absl::Status why);

  const std::string path_;
  RecorderOptions options_;
  std::FILE* file_;  // null once stopped
  Dictionary keys_{'K'}, works_{'J'}, settings_{'R'};
  std::string line_, definitions_, word_;  // kept for their capacity
  absl::Time last_;
  absl::Time next_flush_;
  uint64_t hash_;
  int64_t events_ = 0;
  int64_t bytes_ = 0;
};

}  // namespace stepcast
