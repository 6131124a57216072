#include "scheduler/recording/recording_reader.h"

#include <limits>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "core/status_macros.h"
#include "core/string_view.h"
#include "scheduler/recording/recording_text.h"
#include "scheduler/recording/recording_work.h"

namespace stepcast {
namespace {

using recording::ParseDuration;
using recording::ParseInt;

constexpr size_t kLongestLine = 1 << 20;
constexpr size_t kMostEvaluations = 10'000'000;  // of all programs: a line of 20 bytes can define a million
constexpr int kWorkVersion = 3;                  // from then on jobs have work lists, before that programs
constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
constexpr int kMostInt = std::numeric_limits<int>::max();

absl::Status Bad(absl::string_view what) { return absl::InvalidArgumentError(what); }

absl::StatusOr<absl::StatusCode> ParseCode(std::string_view word) {
  for (int code = 1; code <= 16; ++code) {
    if (ToStd(absl::StatusCodeToString(static_cast<absl::StatusCode>(code))) == word) {
      return static_cast<absl::StatusCode>(code);
    }
  }
  return Bad(absl::StrCat("'", ToAbsl(word), "' is no status code"));
}

// A reference "K12": the number after the tag.
absl::StatusOr<int64_t> ParseReference(std::string_view word, char tag) {
  if (word.empty() || word.front() != tag) {
    return Bad(absl::StrCat("'", ToAbsl(word), "' is not ", absl::string_view(&tag, 1), "<number>"));
  }
  return ParseInt(word.substr(1), 0, kMost);
}

template <typename Value>
absl::StatusOr<Value> Look(const std::unordered_map<int64_t, Value>& words, std::string_view word, char tag) {
  STEPCAST_ASSIGN_OR_RETURN(const int64_t number, ParseReference(word, tag));
  const auto entry = words.find(number);
  if (entry == words.end()) return Bad(absl::StrCat("'", ToAbsl(word), "' was not defined"));
  return entry->second;
}

absl::StatusOr<std::vector<CostPoint>> ParsePoints(const std::vector<std::string_view>& words, size_t first) {
  std::vector<CostPoint> points;
  for (size_t i = first; i < words.size(); ++i) {
    STEPCAST_ASSIGN_OR_RETURN(const CostPoint point, recording::ParsePoint(words[i]));
    points.push_back(point);
  }
  return points;
}

absl::Status ReadLimits(const std::vector<std::string_view>& words, ExecutorLimits& limits) {
  if (words.size() != 6 && words.size() != 8) return Bad("limits are seven numbers, of earlier versions five");
  int* const fields[] = {&limits.max_denoise_rows, &limits.max_encode_jobs,   &limits.max_decode_jobs,
                         &limits.strict_rows,      &limits.max_resident_jobs, &limits.max_encode_picture_jobs,
                         &limits.max_upscale_jobs};
  const int lowest[] = {2, 1, 1, 0, 1, 1, 1}, highest[] = {4096, 4096, 4096, 4096, kMostInt, 4096, 4096};
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    STEPCAST_ASSIGN_OR_RETURN(const int64_t value, ParseInt(words[i + 1], lowest[i], highest[i]));
    *fields[i] = static_cast<int>(value);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<RecordingReader>> RecordingReader::Open(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat(path, ": cannot be read"));
  std::unique_ptr<RecordingReader> reader(new RecordingReader(path, std::move(file)));
  const absl::Status status = reader->ReadHeader();
  if (!status.ok()) return reader->At(status);
  return reader;
}

absl::StatusOr<std::optional<RecordedEvent>> RecordingReader::Next() {
  while (!complete_) {
    const uint64_t before = hash_;
    const absl::StatusOr<bool> more = ReadLine();
    if (!more.ok()) return At(more.status());
    if (!*more) return std::nullopt;
    const char tag = words_.empty() || words_[0].size() != 1 ? '?' : words_[0][0];
    if (tag == 'E') {
      STEPCAST_RETURN_IF_ERROR(At(ReadEnd(before)));
    } else if (tag == 'K' || tag == 'A' || tag == 'J' || tag == 'R') {
      STEPCAST_RETURN_IF_ERROR(At(ReadDefinition()));
    } else {
      absl::StatusOr<RecordedEvent> event = ReadEvent();
      if (!event.ok()) return At(event.status());
      ++events_;
      return *std::move(event);
    }
  }
  return std::nullopt;
}

// False at the end of the file, and for a last line without a line end, which was cut.
absl::StatusOr<bool> RecordingReader::ReadLine() {
  line_.clear();
  words_.clear();
  ++line_number_;
  std::streambuf& buffer = *file_.rdbuf();
  for (int c = buffer.sbumpc(); c != '\n'; c = buffer.sbumpc()) {
    if (c == std::char_traits<char>::eof()) return false;
    if (line_.size() == kLongestLine) return Bad(absl::StrCat("a line of more than ", kLongestLine, " bytes"));
    line_ += static_cast<char>(c);
  }
  hash_ = recording::Hash(recording::Hash(hash_, line_), "\n");
  for (const absl::string_view word : absl::StrSplit(line_, ' ')) words_.push_back(ToStd(word));
  return true;
}

absl::Status RecordingReader::ReadHeader() {
  hash_ = recording::kHashStart;
  STEPCAST_ASSIGN_OR_RETURN(bool more, ReadLine());
  if (!more || words_.size() != 2 || words_[0] != "stepcast-recording") {
    return Bad("this is no recording: it must begin with 'stepcast-recording <version>'");
  }
  const absl::StatusOr<int64_t> version = ParseInt(words_[1], 1, kRecordingVersion);
  if (!version.ok()) {
    return Bad(
        absl::StrCat("version ", ToAbsl(words_[1]), " of the format; this program reads 1 to ", kRecordingVersion));
  }
  version_ = static_cast<int>(*version);
  do {
    STEPCAST_ASSIGN_OR_RETURN(more, ReadLine());
    if (!more) return Bad("the file ends within its header");
    STEPCAST_RETURN_IF_ERROR(ReadHeaderLine());
  } while (words_[0] != "begin");
  last_ = header_.begin;
  return absl::OkStatus();
}

absl::Status RecordingReader::ReadHeaderLine() {
  const std::string_view name = words_[0];
  if (words_.size() < 2) return Bad(absl::StrCat("'", ToAbsl(name), "' without a value"));
  if (name == "fingerprint") {
    STEPCAST_ASSIGN_OR_RETURN(header_.fingerprint, recording::ParseWord(words_[1]));
  } else if (name == "policy") {
    STEPCAST_ASSIGN_OR_RETURN(header_.policy.name, recording::ParseWord(words_[1]));
  } else if (name == "max_queue_delay") {
    STEPCAST_ASSIGN_OR_RETURN(header_.policy.max_queue_delay, ParseDuration(words_[1]));
  } else if (name == "limits") {
    return ReadLimits(words_, header_.limits);
  } else if (name == "tenant" && words_.size() == 3) {
    STEPCAST_ASSIGN_OR_RETURN(std::string tenant, recording::ParseWord(words_[1]));
    STEPCAST_ASSIGN_OR_RETURN(const double weight, recording::ParseDouble(words_[2]));
    if (weight <= 0) return Bad(absl::StrCat("a tenant's weight is ", weight, "; it must be positive"));
    header_.tenant_weights.insert_or_assign(std::move(tenant), weight);
  } else if (name == "cost" && words_.size() >= 6) {
    CostEntry entry;
    STEPCAST_ASSIGN_OR_RETURN(entry.key, recording::ParseKey(words_, 1));
    STEPCAST_ASSIGN_OR_RETURN(const int64_t cap, ParseInt(words_[5], 0, kMostInt));
    entry.row_cap = static_cast<int>(cap);
    STEPCAST_ASSIGN_OR_RETURN(entry.points, ParsePoints(words_, 6));
    header_.initial_costs.push_back(std::move(entry));
  } else if (name == "begin") {
    STEPCAST_ASSIGN_OR_RETURN(const absl::Duration since, ParseDuration(words_[1]));
    header_.begin = absl::UnixEpoch() + since;
  } else {
    return Bad(absl::StrCat("'", ToAbsl(name.substr(0, 40)), "' is no header line"));
  }
  return absl::OkStatus();
}

absl::Status RecordingReader::ReadDefinition() {
  if (words_.size() < 3) return Bad("a definition is <letter> <number> <word>...");
  STEPCAST_ASSIGN_OR_RETURN(const int64_t number, ParseInt(words_[1], 0, 1 << 20));
  if (words_[0] == "K") {
    STEPCAST_ASSIGN_OR_RETURN(keys_[number], recording::ParseKey(words_, 2));
  } else if (words_[0] == "J") {
    STEPCAST_ASSIGN_OR_RETURN(works_[number], recording::ParseWork(words_, 2));
  } else if (words_[0] == "A") {
    STEPCAST_ASSIGN_OR_RETURN(sampling::SharedProgram program, recording::ParseProgram(words_, 2));
    sampling::SharedProgram& slot = programs_[number];
    evaluations_ += program->evaluations.size() - (slot == nullptr ? 0 : slot->evaluations.size());
    if (evaluations_ > kMostEvaluations) {
      return Bad(absl::StrCat("programs of more than ", kMostEvaluations, " evaluations together"));
    }
    slot = std::move(program);
  } else {
    STEPCAST_ASSIGN_OR_RETURN(settings_[number], recording::ParseSettings(words_, 2));
  }
  return absl::OkStatus();
}

absl::Status RecordingReader::ReadEnd(uint64_t hash_before) {
  if (words_.size() != 3) return Bad("the end is E <events> <hash>");
  if (words_[1] != absl::StrCat(events_) || words_[2] != absl::StrFormat("%016x", hash_before)) {
    return absl::DataLossError(absl::StrFormat(
        "the file was changed or damaged: it holds %d events with hash %016x, and its end says %s with %s", events_,
        hash_before, ToAbsl(words_[1]), ToAbsl(words_[2])));
  }
  if (file_.rdbuf()->sgetc() != std::char_traits<char>::eof()) {
    return absl::DataLossError("there is more after the end of the recording");
  }
  complete_ = true;
  return absl::OkStatus();
}

absl::StatusOr<RecordedEvent> RecordingReader::ReadEvent() {
  if (words_.size() < 3 || words_[0].size() != 1) return Bad("this is no event");
  STEPCAST_ASSIGN_OR_RETURN(const absl::Duration since, ParseDuration(words_[1]));
  last_ += since;
  RecordedEvent event{.at = last_, .what = {}};
  switch (words_[0][0]) {
    case 'S': {
      STEPCAST_ASSIGN_OR_RETURN(event.what, ReadSubmit(event.at));
      return event;
    }
    case 'H': {
      STEPCAST_ASSIGN_OR_RETURN(event.what, ReadEncodeOnly());
      return event;
    }
    case 'X': {
      STEPCAST_ASSIGN_OR_RETURN(event.what, ReadRefusal(event.at));
      return event;
    }
    case 'L': {
      STEPCAST_ASSIGN_OR_RETURN(event.what, ReadLeave());
      return event;
    }
    case 'P': {
      STEPCAST_ASSIGN_OR_RETURN(event.what, ReadPlan());
      return event;
    }
    case 'C': {
      STEPCAST_ASSIGN_OR_RETURN(event.what, ReadComplete());
      return event;
    }
    case 'W': {
      RecordedCurve curve;
      STEPCAST_ASSIGN_OR_RETURN(curve.key, ReadKey(words_[2]));
      STEPCAST_ASSIGN_OR_RETURN(curve.points, ParsePoints(words_, 3));
      event.what = std::move(curve);
      return event;
    }
    case 'M': {
      if (words_.size() != 4) return Bad("a row cap is M <dt> K<n> <rows>");
      RecordedRowCap cap;
      STEPCAST_ASSIGN_OR_RETURN(cap.key, ReadKey(words_[2]));
      STEPCAST_ASSIGN_OR_RETURN(const int64_t rows, ParseInt(words_[3], 1, kMostInt));
      cap.rows = static_cast<int>(rows);
      event.what = std::move(cap);
      return event;
    }
    default:
      return Bad(absl::StrCat("'", ToAbsl(words_[0]), "' is no event"));
  }
}

absl::StatusOr<RecordedSubmit> RecordingReader::ReadSubmit(absl::Time now) {
  if (words_.size() != 9) return Bad("a submit is S <dt> <job> R<n> J<n> <image> <arrival> <deadline> <encodes>");
  RecordedSubmit submit;
  STEPCAST_ASSIGN_OR_RETURN(submit.job.value, ParseInt(words_[2], 1, kMost));
  STEPCAST_ASSIGN_OR_RETURN(submit.spec, ReadSpec(3, now));
  if (words_[8] == "e" && version_ < kWorkVersion) {
    submit.to_encode = recording::EncodesOf(*submit.spec.work);
    return submit;
  }
  STEPCAST_ASSIGN_OR_RETURN(submit.to_encode, recording::ParseItems(words_[8]));
  STEPCAST_RETURN_IF_ERROR(recording::CheckEncodes(submit.to_encode, *submit.spec.work));
  return submit;
}

absl::StatusOr<RecordedEncodeOnly> RecordingReader::ReadEncodeOnly() {
  RecordedEncodeOnly only;
  STEPCAST_ASSIGN_OR_RETURN(only.job.value, ParseInt(words_[2], 1, kMost));
  if (version_ < kWorkVersion) return only;
  if (words_.size() != 4) return Bad("what is to be encoded is H <dt> <job> <encodes>");
  STEPCAST_ASSIGN_OR_RETURN(only.to_encode, recording::ParseItems(words_[3]));
  return only;
}

absl::StatusOr<RecordedRefusal> RecordingReader::ReadRefusal(absl::Time now) {
  if (words_.size() != 8) return Bad("a refusal is X <dt> R<n> J<n> <image> <arrival> <deadline> <code>");
  RecordedRefusal refusal;
  STEPCAST_ASSIGN_OR_RETURN(refusal.spec, ReadSpec(2, now));
  STEPCAST_ASSIGN_OR_RETURN(refusal.code, ParseCode(words_[7]));
  return refusal;
}

// "R<n> J<n> <image> <arrival> <deadline>"
absl::StatusOr<JobSpec> RecordingReader::ReadSpec(size_t first, absl::Time now) const {
  JobSpec spec;
  STEPCAST_ASSIGN_OR_RETURN(spec.request, Look(settings_, words_[first], 'R'));
  if (version_ < kWorkVersion) {
    STEPCAST_ASSIGN_OR_RETURN(const sampling::SharedProgram program, Look(programs_, words_[first + 1], 'A'));
    spec.work = MakeJobSpec(spec.request, program).work;
  } else {
    STEPCAST_ASSIGN_OR_RETURN(spec.work, Look(works_, words_[first + 1], 'J'));
  }
  STEPCAST_ASSIGN_OR_RETURN(const int64_t image, ParseInt(words_[first + 2], 0, kMostInt));
  spec.image_index = static_cast<int>(image);
  STEPCAST_ASSIGN_OR_RETURN(const absl::Duration arrival, ParseDuration(words_[first + 3]));
  STEPCAST_ASSIGN_OR_RETURN(const absl::Duration deadline, ParseDuration(words_[first + 4]));
  spec.arrival = now + arrival;
  spec.deadline = now + deadline;
  return spec;
}

absl::StatusOr<RecordedLeave> RecordingReader::ReadLeave() {
  if (words_.size() != 4) return Bad("a leave is L <dt> <job> <code>");
  RecordedLeave leave;
  STEPCAST_ASSIGN_OR_RETURN(leave.job.value, ParseInt(words_[2], 1, kMost));
  STEPCAST_ASSIGN_OR_RETURN(leave.code, ParseCode(words_[3]));
  return leave;
}

absl::StatusOr<RecordedPlan> RecordingReader::ReadPlan() {
  if (words_.size() < 7)
    return Bad("a plan is P <dt> <plan> K<n> <rows> <jobs> <predicted> [p<parts>] [g<jobs>] [e<jobs>]");
  RecordedPlan recorded;
  StepPlan& plan = recorded.plan;
  STEPCAST_ASSIGN_OR_RETURN(plan.id, ParseInt(words_[2], 1, kMost));
  STEPCAST_ASSIGN_OR_RETURN(plan.key, ReadKey(words_[3]));
  STEPCAST_ASSIGN_OR_RETURN(const int64_t rows, ParseInt(words_[4], 1, kMostInt));
  plan.rows = static_cast<int>(rows);
  STEPCAST_ASSIGN_OR_RETURN(plan.jobs, recording::ParseJobs(words_[5]));
  STEPCAST_ASSIGN_OR_RETURN(plan.predicted, ParseDuration(words_[6]));
  for (size_t i = 7; i < words_.size(); ++i) {
    if (!words_[i].empty() && words_[i][0] == 'p') {
      STEPCAST_ASSIGN_OR_RETURN(plan.parts, recording::ParseParts(words_[i].substr(1)));
      continue;
    }
    if (words_[i].empty() || (words_[i][0] != 'g' && words_[i][0] != 'e')) {
      return Bad("after a plan: p<parts>, g<jobs>, e<jobs>");
    }
    STEPCAST_ASSIGN_OR_RETURN((words_[i][0] == 'g' ? plan.group : plan.evict),
                              recording::ParseJobs(words_[i].substr(1)));
  }
  return recorded;
}

absl::StatusOr<RecordedComplete> RecordingReader::ReadComplete() {
  RecordedComplete complete;
  STEPCAST_ASSIGN_OR_RETURN(complete.plan, ParseInt(words_[2], 1, kMost));
  for (size_t i = 3; i < words_.size(); ++i) {
    const size_t colon = words_[i].find(':');
    if (colon == std::string_view::npos) return Bad("a result is <index>:<code>");
    STEPCAST_ASSIGN_OR_RETURN(const int64_t index, ParseInt(words_[i].substr(0, colon), 0, 1 << 20));
    const std::string_view word = words_[i].substr(colon + 1);
    RecordedComplete::Result result{.kind = RecordedResult::kFailed};
    if (word == "MISSING") {
      result.kind = RecordedResult::kMissing;
    } else if (word == "NO_IMAGE") {
      result.kind = RecordedResult::kNoImage;
    } else {
      STEPCAST_ASSIGN_OR_RETURN(result.code, ParseCode(word));
    }
    complete.exceptions[static_cast<int>(index)] = result;
  }
  return complete;
}

absl::StatusOr<BatchKey> RecordingReader::ReadKey(std::string_view word) const { return Look(keys_, word, 'K'); }

absl::Status RecordingReader::At(const absl::Status& status) const {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(path_, ":", line_number_, ": ", status.message()));
}

}  // namespace stepcast
