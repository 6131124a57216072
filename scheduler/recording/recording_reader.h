#pragma once
// Reads what a Recorder wrote. recording.h has the format.

#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "scheduler/recording/recording.h"

namespace stepcast {

// Gives the events of a recording one by one, so that a file may be larger than memory. Nothing in the file is
// trusted: every number has a range, every reference must have been defined, every line a bounded length.
//
// Thread-safety: none.
class RecordingReader {
 public:
  // Reads the header. Errors: NOT_FOUND (no such file), INVALID_ARGUMENT (no recording, another version, a bad
  // header line), as "<path>:<line>: ...".
  static absl::StatusOr<std::unique_ptr<RecordingReader>> Open(const std::string& path);

  const RecordingHeader& header() const { return header_; }

  // The next event; nullopt at the end. Errors: INVALID_ARGUMENT for a line that cannot be understood, DATA_LOSS
  // where the end of the file does not fit the rest of it; both as "<path>:<line>: ...".
  absl::StatusOr<std::optional<RecordedEvent>> Next();

  // After the end: whether the recorder ended the file itself. Else the process was killed or the disk was full, and
  // a last line that was cut is left out.
  bool complete() const { return complete_; }
  int64_t events() const { return events_; }

 private:
  using Words = std::vector<std::string_view>;

  RecordingReader(std::string path, std::ifstream file) : path_(std::move(path)), file_(std::move(file)) {}

  absl::StatusOr<bool> ReadLine();
  absl::Status ReadHeader();
  absl::Status ReadHeaderLine();
  absl::Status ReadDefinition();
  absl::Status ReadEnd(uint64_t hash_before);
  absl::StatusOr<RecordedEvent> ReadEvent();
  absl::StatusOr<RecordedSubmit> ReadSubmit(absl::Time now);
  absl::StatusOr<RecordedEncodeOnly> ReadEncodeOnly();
  absl::StatusOr<RecordedRefusal> ReadRefusal(absl::Time now);
  absl::StatusOr<JobSpec> ReadSpec(size_t first, absl::Time now) const;
  absl::StatusOr<RecordedLeave> ReadLeave();
  absl::StatusOr<RecordedPlan> ReadPlan();
  absl::StatusOr<RecordedComplete> ReadComplete();
  absl::StatusOr<BatchKey> ReadKey(std::string_view word) const;
  absl::Status At(const absl::Status& status) const;

  const std::string path_;
  std::ifstream file_;
  RecordingHeader header_;
  int version_ = 0;
  std::string line_;
  Words words_;  // of line_
  int64_t line_number_ = 0;
  uint64_t hash_ = 0;
  std::unordered_map<int64_t, BatchKey> keys_;
  std::unordered_map<int64_t, sampling::SharedProgram> programs_;
  size_t evaluations_ = 0;  // of those
  std::unordered_map<int64_t, SharedWorkList> works_;
  std::unordered_map<int64_t, SharedRequest> settings_;
  absl::Time last_;
  int64_t events_ = 0;
  bool complete_ = false;
};

}  // namespace stepcast
