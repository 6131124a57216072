#include "scheduler/words/job.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/string_view.h"

namespace stepcast {

Job::Job(JobId id, JobSpec spec) : id_(id), spec_(std::move(spec)) {
  for (const WorkLine& line : work().lines()) left_.push_back(line.count);
  for (size_t i = 0; i < work().items().size(); ++i) {
    if (IsEncode(work().items()[i].key.phase)) to_encode_.push_back(static_cast<int>(i));
  }
  PassEncodes();
}

void Job::PassEncodes() {
  while (!done() && IsEncode(work().items()[place_].key.phase)) ++place_;
}

void Job::Advance(int rows) {
  shows_preview_.reset();
  if (rows < this->rows()) {
    rows_done_ += rows;
    return;
  }
  if (needs_encode()) {
    --left_[static_cast<size_t>(work().LineOf(to_encode_.front()))];
    to_encode_.erase(to_encode_.begin());
    return;
  }
  rows_done_ = 0;
  const WorkItem& item = work().items()[place_];
  --left_[static_cast<size_t>(work().LineOf(static_cast<int>(place_)))];
  ++ticks_;
  if (item.key.phase == Phase::kDenoise) ++position_;
  if (++done_ < item.count) return;
  done_ = 0;
  ++place_;
  PassEncodes();
}

void Job::set_to_encode(std::vector<int> items) {
  for (const int item : to_encode_) --left_[static_cast<size_t>(work().LineOf(item))];
  to_encode_ = std::move(items);
  for (const int item : to_encode_) ++left_[static_cast<size_t>(work().LineOf(item))];
}

void Job::set_needs_encode(bool value) {
  std::vector<int> all;
  for (size_t i = 0; value && i < work().items().size(); ++i) {
    if (IsEncode(work().items()[i].key.phase)) all.push_back(static_cast<int>(i));
  }
  set_to_encode(std::move(all));
}

int Job::evaluations_here() const {
  const std::vector<WorkItem>& items = work().items();
  if (done() || items[place_].key.phase != Phase::kDenoise) return 0;
  int evaluations = -done_;
  for (size_t i = place_; i < items.size() && items[i].key == items[place_].key; ++i) evaluations += items[i].count;
  return evaluations;
}

absl::Status Job::MoveTo(JobStatus next) {
  if (!CanMove(status_, next)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "job ", id_.value, " cannot go from ", ToAbsl(JobStatusName(status_)), " to ", ToAbsl(JobStatusName(next))));
  }
  status_ = next;
  return absl::OkStatus();
}

int Job::finished_steps() const {
  const std::vector<WorkItem>& items = work().items();
  for (size_t i = place_; i < items.size(); ++i) {
    if (items[i].key.phase == Phase::kDenoise) return items[i].StepOf(i == place_ ? done_ : 0);
  }
  return work().steps();
}

bool Job::preview_due() const {
  const int every = request().preview.every_n_steps;
  if (every <= 0) return false;
  const std::vector<WorkItem>& items = work().items();
  const WorkItem& item = items[place_];
  const int finished = item.StepOf(done_) + 1;
  if (finished % every != 0) return false;
  if (done_ + 1 < item.count) return item.StepOf(done_ + 1) == finished;
  const auto next = std::find_if(items.begin() + static_cast<std::ptrdiff_t>(place_) + 1, items.end(),
                                 [](const WorkItem& each) { return each.key.phase == Phase::kDenoise; });
  return next != items.end() && next->step == finished;
}

bool Job::checkpoint_due() const {
  const int every = request().checkpoint_every;
  return every > 0 && (evaluations_done() + 1) % every == 0 && position_ + 1 < work().evaluations();
}

void Job::CountTick(Phase phase, int rows, absl::Duration elapsed, const DeviceCost& share) {
  statistics_.cost += share;
  switch (phase) {
    case Phase::kEncode:
    case Phase::kEncodePicture:
      statistics_.encode += elapsed;
      break;
    case Phase::kDenoise:
      statistics_.denoise += elapsed;
      statistics_.rows_in_company += rows;
      ++statistics_.denoise_ticks;
      break;
    case Phase::kPreview:
    case Phase::kDecode:
    case Phase::kUpscale:
      statistics_.decode += elapsed;
      break;
  }
}

}  // namespace stepcast
