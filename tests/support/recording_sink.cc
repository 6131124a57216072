#include "tests/support/recording_sink.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/support/await.h"

namespace stepcast {
namespace {

struct Describe {
  std::string operator()(const JobProgress& progress) const {
    return absl::StrCat("progress ", progress.evaluations_done, "/", progress.evaluations_total);
  }
  std::string operator()(const JobPreview& preview) const { return absl::StrCat("preview ", preview.step); }
  std::string operator()(const JobImage&) const { return "image"; }
  std::string operator()(const JobSaved& saved) const {
    return absl::StrCat(saved.handed_out ? "handed out " : "checkpoint ", saved.evaluations_done);
  }
  std::string operator()(const JobFinished& finished) const {
    return absl::StrCat("finished ", absl::StatusCodeToString(finished.status.code()));
  }
};

}  // namespace

void RecordingSink::OnEvent(JobEvent event) {
  {
    MutexLock lock(mutex_);
    if (std::holds_alternative<JobFinished>(event.what)) ++finished_;
    events_.push_back(std::move(event));
  }
  changed_.NotifyAll();
}

std::vector<JobEvent> RecordingSink::events() const {
  MutexLock lock(mutex_);
  return events_;
}

std::optional<absl::Status> RecordingSink::StatusOf(JobId job) const {
  const auto finished = Of<JobFinished>(job);
  if (finished.empty()) return std::nullopt;
  return finished.front().status;
}

std::vector<std::string> RecordingSink::Story(JobId job) const {
  std::vector<std::string> story;
  for (const JobEvent& event : events()) {
    if (event.job == job) story.push_back(std::visit(Describe{}, event.what));
  }
  return story;
}

bool RecordingSink::AwaitFinished(int count) const {
  MutexLock lock(mutex_);
  const absl::Time giving_up = RealClock().Now() + kAwaitLimit;
  while (finished_ < count && RealClock().Now() < giving_up) changed_.WaitFor(mutex_, kAwaitLimit);
  return finished_ >= count;
}

bool RecordingSink::AwaitEvents(int count) const {
  MutexLock lock(mutex_);
  const absl::Time giving_up = RealClock().Now() + kAwaitLimit;
  while (static_cast<int>(events_.size()) < count && RealClock().Now() < giving_up) {
    changed_.WaitFor(mutex_, kAwaitLimit);
  }
  return static_cast<int>(events_.size()) >= count;
}

int RecordingSink::finished() const {
  MutexLock lock(mutex_);
  return finished_;
}

}  // namespace stepcast
