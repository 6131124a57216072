#include "scheduler/recording/recorder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/string_view.h"
#include "scheduler/recording/recording_text.h"
#include "scheduler/recording/recording_work.h"

namespace stepcast {
namespace {

constexpr size_t kBuffer = 1 << 16;
constexpr size_t kMostWords = 4096;  // of one dictionary
constexpr int64_t kRoomForEnd = 128;

absl::Status Unwritable(const std::string& path, absl::string_view what) {
  return absl::UnavailableError(absl::StrCat("cannot record to '", path, "': ", what));
}

std::string HeaderText(const RecordingHeader& header) {
  std::string text = absl::StrCat("stepcast-recording ", kRecordingVersion, "\nfingerprint ");
  recording::AppendWord(text, header.fingerprint);
  text += "\npolicy ";
  recording::AppendWord(text, header.policy.name);
  text += "\nmax_queue_delay ";
  recording::AppendDuration(text, header.policy.max_queue_delay);
  const ExecutorLimits& limits = header.limits;
  absl::StrAppend(&text, "\nlimits ", limits.max_denoise_rows, " ", limits.max_encode_jobs, " ", limits.max_decode_jobs,
                  " ", limits.strict_rows, " ", limits.max_resident_jobs, " ", limits.max_encode_picture_jobs, " ",
                  limits.max_upscale_jobs, "\n");
  for (const auto& [tenant, weight] : header.tenant_weights) {
    text += "tenant ";
    recording::AppendWord(text, tenant);
    absl::StrAppendFormat(&text, " %.17g\n", weight);
  }
  for (const CostEntry& entry : header.initial_costs) {
    text += "cost ";
    recording::AppendKey(text, entry.key);
    absl::StrAppend(&text, " ", entry.row_cap);
    recording::AppendPoints(text, entry.points);
    text += "\n";
  }
  text += "begin ";
  recording::AppendDuration(text, header.begin - absl::UnixEpoch());
  return text += "\n";
}

}  // namespace

absl::StatusOr<std::unique_ptr<Recorder>> Recorder::Open(const std::string& path, const RecordingHeader& header,
                                                         RecorderOptions options) {
  if (options.max_bytes < 1 << 20) {
    return absl::InvalidArgumentError(absl::StrCat("a recording of at most ", options.max_bytes,
                                                   " bytes is too small; allowed: ", 1 << 20, " and more"));
  }
  struct stat status{};
  if (lstat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) return Unwritable(path, "it is no regular file");
  const std::string old = path + ".old";
  if (std::rename(path.c_str(), old.c_str()) != 0 && errno != ENOENT) return Unwritable(path, std::strerror(errno));
  const int descriptor = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
  std::FILE* const file = descriptor < 0 ? nullptr : fdopen(descriptor, "w");
  if (file == nullptr) {
    const absl::Status why = Unwritable(path, std::strerror(errno));
    if (descriptor >= 0) close(descriptor);
    return why;
  }
  std::setvbuf(file, nullptr, _IOFBF, kBuffer);
  std::unique_ptr<Recorder> recorder(new Recorder(path, file, std::move(options), header.begin));
  const std::string text = HeaderText(header);
  recorder->Write(text);
  if (recorder->file_ != nullptr && std::fflush(file) != 0) recorder->Stop(Unwritable(path, std::strerror(errno)));
  if (recorder->stopped()) return Unwritable(path, "the header could not be written");
  return recorder;
}

Recorder::Recorder(std::string path, std::FILE* file, RecorderOptions options, absl::Time begin)
    : path_(std::move(path)),
      options_(std::move(options)),
      file_(file),
      last_(begin),
      next_flush_(begin),
      hash_(recording::kHashStart) {}

Recorder::~Recorder() {
  if (file_ == nullptr) return;
  const std::string end = absl::StrFormat("E %d %016x\n", events_, hash_);
  std::fwrite(end.data(), 1, end.size(), file_);
  std::fclose(file_);
}

void Recorder::OnSubmit(const Job& job, absl::Time now) {
  if (stopped()) return;
  const Numbers numbers = NumbersOf(job.spec());
  Begin('S', now);
  absl::StrAppend(&line_, " ", job.id().value);
  AppendSpec(job.spec(), numbers, now);
  line_ += ' ';
  recording::AppendItems(line_, job.to_encode());
  End(now);
}

void Recorder::OnEncodeOnly(const Job& job, absl::Time now) {
  if (stopped()) return;
  Begin('H', now);
  absl::StrAppend(&line_, " ", job.id().value, " ");
  recording::AppendItems(line_, job.to_encode());
  End(now);
}

void Recorder::OnRefuse(absl::Span<const JobSpec> request, const absl::Status& why, absl::Time now) {
  for (const JobSpec& spec : request) {
    if (stopped()) return;
    const Numbers numbers = NumbersOf(spec);
    Begin('X', now);
    AppendSpec(spec, numbers, now);
    absl::StrAppend(&line_, " ", absl::StatusCodeToString(why.code()));
    End(now);
  }
}

Recorder::Numbers Recorder::NumbersOf(const JobSpec& spec) {
  Numbers numbers;
  word_.clear();
  recording::AppendSettings(word_, *spec.request);
  numbers.settings = settings_.NumberOf(word_, definitions_);
  word_.clear();
  recording::AppendWork(word_, *spec.work);
  numbers.work = works_.NumberOf(word_, definitions_);
  return numbers;
}

void Recorder::AppendSpec(const JobSpec& spec, const Numbers& numbers, absl::Time now) {
  absl::StrAppend(&line_, " R", numbers.settings, " J", numbers.work, " ", spec.image_index, " ");
  recording::AppendDuration(line_, spec.arrival - now);
  line_ += ' ';
  recording::AppendDuration(line_, spec.deadline - now);
}

void Recorder::OnLeave(JobId job, const absl::Status& reason, absl::Time now) {
  if (stopped()) return;
  Begin('L', now);
  absl::StrAppend(&line_, " ", job.value, " ", absl::StatusCodeToString(reason.code()));
  End(now);
}

void Recorder::OnPlan(const StepPlan& plan, absl::Time now) {
  if (stopped()) return;
  const int key = NumberOfKey(plan.key);
  Begin('P', now);
  absl::StrAppend(&line_, " ", plan.id, " K", key, " ", plan.rows, " ");
  recording::AppendJobs(line_, plan.jobs);
  line_ += ' ';
  recording::AppendDuration(line_, plan.predicted);
  if (!plan.parts.empty()) {
    line_ += " p";
    recording::AppendParts(line_, plan.parts);
  }
  if (!plan.group.empty()) {
    line_ += " g";
    recording::AppendJobs(line_, plan.group);
  }
  if (!plan.evict.empty()) {
    line_ += " e";
    recording::AppendJobs(line_, plan.evict);
  }
  End(now);
}

void Recorder::OnComplete(const StepPlan& plan, absl::Span<const StepResult> results, absl::Time now) {
  if (stopped()) return;
  Begin('C', now);
  absl::StrAppend(&line_, " ", plan.id);
  for (size_t i = 0; i < plan.jobs.size(); ++i) {
    if (i >= results.size()) {
      absl::StrAppend(&line_, " ", i, ":MISSING");
    } else if (!results[i].status.ok()) {
      absl::StrAppend(&line_, " ", i, ":", absl::StatusCodeToString(results[i].status.code()));
    } else if (plan.phase() == Phase::kDecode && results[i].image == nullptr) {
      absl::StrAppend(&line_, " ", i, ":NO_IMAGE");
    }
  }
  End(now);
}

void Recorder::OnCurve(const BatchKey& key, absl::Span<const CostPoint> points) {
  if (stopped()) return;
  const int number = NumberOfKey(key);
  Begin('W', last_);
  absl::StrAppend(&line_, " K", number);
  recording::AppendPoints(line_, points);
  End(last_);
}

void Recorder::OnRowCap(const BatchKey& key, int rows) {
  if (stopped()) return;
  const int number = NumberOfKey(key);
  Begin('M', last_);
  absl::StrAppend(&line_, " K", number, " ", rows);
  End(last_);
}

int Recorder::Dictionary::NumberOf(const std::string& word, std::string& definitions) {
  const auto known = numbers_.find(word);
  if (known != numbers_.end()) return known->second;
  // A reader takes the newest definition of a number, so old numbers may be given again.
  if (numbers_.size() >= kMostWords) numbers_.clear();
  const int number = static_cast<int>(numbers_.size());
  numbers_.emplace(word, number);
  absl::StrAppend(&definitions, absl::string_view(&tag_, 1), " ", number, " ", word, "\n");
  return number;
}

int Recorder::NumberOfKey(const BatchKey& key) {
  word_.clear();
  recording::AppendKey(word_, key);
  return keys_.NumberOf(word_, definitions_);
}

void Recorder::Begin(char tag, absl::Time now) {
  line_.assign(definitions_);
  definitions_.clear();
  line_ += tag;
  line_ += ' ';
  recording::AppendDuration(line_, now - last_);
}

void Recorder::End(absl::Time now) {
  line_ += '\n';
  last_ = now;
  Write(line_);
  if (file_ == nullptr) return;
  ++events_;
  if (now < next_flush_) return;
  next_flush_ = now + absl::Seconds(1);
  if (std::fflush(file_) != 0) Stop(Unwritable(path_, std::strerror(errno)));
}

void Recorder::Write(const std::string& text) {
  const auto size = static_cast<int64_t>(text.size());
  if (bytes_ + size + kRoomForEnd > options_.max_bytes) {
    // A regular end: what was recorded is whole.
    const std::string end = absl::StrFormat("E %d %016x\n", events_, hash_);
    std::fwrite(end.data(), 1, end.size(), file_);
    return Stop(absl::ResourceExhaustedError(
        absl::StrCat("the recording '", path_, "' has reached its ", options_.max_bytes, " bytes; recording ends")));
  }
  if (std::fwrite(text.data(), 1, text.size(), file_) != text.size()) {
    return Stop(Unwritable(path_, std::strerror(errno)));
  }
  bytes_ += size;
  hash_ = recording::Hash(hash_, text);
}

void Recorder::Stop(absl::Status why) {
  std::fclose(file_);
  file_ = nullptr;
  if (options_.on_stopped) std::move(options_.on_stopped)(std::move(why));
}

}  // namespace stepcast
