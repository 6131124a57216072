#include "server/call/request_tally.h"

#include <algorithm>

#include "server/request/errors/status_mapping.h"
#include "server/wire/proto_time.h"

namespace stepcast {

RequestTally::RequestTally(int images, absl::Time arrival) : arrival_(arrival), images_(static_cast<size_t>(images)) {}

void RequestTally::OnProgress(int image_index, const JobProgress& progress, absl::Time now) {
  ImageBooks& image = images_[static_cast<size_t>(image_index)];
  image.progress = progress;
  if (progress.evaluations_done > 0 && image.first_at == absl::InfiniteFuture()) {
    image.first_at = now;
    image.first_done = progress.evaluations_done;
  }
}

void RequestTally::OnFinished(int image_index, const absl::Status& status, const JobStatistics& statistics) {
  ImageBooks& image = images_[static_cast<size_t>(image_index)];
  if (image.finished) return;
  image.finished = true;
  image.status = status;
  image.statistics = statistics;
  ++finished_;
  last_finished_ = image_index;
}

void RequestTally::OnFailure(int image_index, const absl::Status& status) {
  images_[static_cast<size_t>(image_index)].status = status;
}

std::optional<absl::Duration> RequestTally::Eta(int image_index, absl::Time now) const {
  const ImageBooks& image = images_[static_cast<size_t>(image_index)];
  const int made = image.progress.evaluations_done - image.first_done;
  if (image.first_at == absl::InfiniteFuture() || made <= 0) return std::nullopt;
  const int left = image.progress.evaluations_total - image.progress.evaluations_done;
  return (now - image.first_at) / made * left;
}

bool RequestTally::succeeded(int image_index) const {
  const ImageBooks& image = images_[static_cast<size_t>(image_index)];
  return image.finished && image.status.ok();
}

absl::Status RequestTally::Result() const {
  std::vector<int> failed;
  for (size_t i = 0; i < images_.size(); ++i) {
    if (!images_[i].status.ok()) failed.push_back(static_cast<int>(i));
  }
  if (failed.empty()) return absl::OkStatus();
  const absl::Status& first = images_[static_cast<size_t>(failed.front())].status;
  return FromJobError(first, steps_done(), images_.size() == 1 ? std::vector<int>() : failed);
}

int64_t RequestTally::evaluations() const {
  int64_t sum = 0;
  for (const ImageBooks& image : images_) sum += image.statistics.evaluations;
  return sum;
}

int RequestTally::steps_done() const {
  int most = 0;
  for (const ImageBooks& image : images_) most = std::max(most, image.progress.step);
  return most;
}

absl::Duration RequestTally::queued() const {
  absl::Duration longest;
  for (const ImageBooks& image : images_) longest = std::max(longest, image.statistics.queued);
  return longest;
}

v1::Timings RequestTally::TimingsAt(absl::Time now) const {
  const JobStatistics& last = images_[static_cast<size_t>(last_finished_)].statistics;
  v1::Timings timings;
  *timings.mutable_queued() = ToProto(last.queued);
  *timings.mutable_encode() = ToProto(last.encode);
  *timings.mutable_denoise() = ToProto(last.denoise);
  *timings.mutable_decode() = ToProto(last.decode);
  *timings.mutable_total() = ToProto(now - arrival_);
  return timings;
}

v1::BatchStatistics RequestTally::Batch() const {
  int64_t ticks = 0;
  int64_t rows = 0;
  for (const ImageBooks& image : images_) {
    ticks += image.statistics.denoise_ticks;
    rows += image.statistics.rows_in_company;
  }
  v1::BatchStatistics batch;
  batch.set_denoise_ticks(ticks);
  batch.set_mean_rows(ticks == 0 ? 0.0 : static_cast<double>(rows) / static_cast<double>(ticks));
  return batch;
}

v1::Cost RequestTally::Cost() const {
  const DeviceCost sum = Work().cost;
  v1::Cost cost;
  cost.set_row_evaluations(sum.row_evaluations);
  cost.set_device_seconds(absl::ToDoubleSeconds(sum.device_time));
  return cost;
}

CallWork RequestTally::Work() const {
  const JobStatistics& last = images_[static_cast<size_t>(last_finished_)].statistics;
  CallWork work{.queued = queued(),
                .evaluations = evaluations(),
                .stages = {.encode = last.encode, .denoise = last.denoise, .decode = last.decode}};
  for (const ImageBooks& image : images_) work.cost += image.statistics.cost;
  return work;
}

}  // namespace stepcast
