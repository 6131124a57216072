#include "scheduler/decide/job_reporter.h"

#include <utility>

namespace stepcast {

JobReporter::JobReporter(const Job& job)
    : job_(job.id()), image_index_(job.spec().image_index), sink_(job.spec().sink) {}

JobReporter::~JobReporter() { Finish(absl::InternalError("the job was dropped before it ended"), JobStatistics{}); }

void JobReporter::Progress(const Job& job, int queue_position) {
  Tell(JobProgress{.step = job.finished_steps(),
                   .steps = job.work().steps(),
                   .evaluations_done = job.evaluations_done(),
                   .evaluations_total = job.evaluations_total(),
                   .queue_position = queue_position});
}

void JobReporter::Preview(int step, SharedImage image) { Tell(JobPreview{.step = step, .image = std::move(image)}); }

void JobReporter::Image(SharedImage image) { Tell(JobImage{.image = std::move(image)}); }

void JobReporter::Saved(const Job& job, SavedState state, bool handed_out) {
  Tell(JobSaved{.evaluations_done = job.evaluations_done(),
                .evaluations_total = job.evaluations_total(),
                .state = std::move(state),
                .handed_out = handed_out});
}

void JobReporter::Finish(absl::Status status, const JobStatistics& statistics) {
  if (sink_ == nullptr) return;
  // Let go first: whatever the sink does, this was the last word.
  const std::shared_ptr<EventSink> sink = std::move(sink_);
  sink->OnEvent(JobEvent{.job = job_,
                         .image_index = image_index_,
                         .what = JobFinished{.status = std::move(status), .statistics = statistics}});
}

template <typename What>
void JobReporter::Tell(What what) {
  sink_->OnEvent(JobEvent{.job = job_, .image_index = image_index_, .what = std::move(what)});
}

}  // namespace stepcast
