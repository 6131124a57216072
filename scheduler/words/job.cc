#include "scheduler/words/job.h"

#include <array>
#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/string_view.h"

namespace stepcast {
namespace {

constexpr size_t kStatusCount = static_cast<size_t>(JobStatus::kExpired) + 1;

constexpr std::array<std::string_view, kStatusCount> kNames = {
    "waiting", "encoding", "running", "parked", "decoding", "succeeded", "failed", "cancelled", "expired",
};

constexpr unsigned Bit(JobStatus status) { return 1u << static_cast<unsigned>(status); }

// What may end a job in any live state.
constexpr unsigned kEnds = Bit(JobStatus::kFailed) | Bit(JobStatus::kCancelled) | Bit(JobStatus::kExpired);

// Indexed by the state that is left: the states that may follow.
constexpr std::array<unsigned, kStatusCount> kNext = {
    // kWaiting: kRunning when the embeddings were cached, kDecoding when a resumed job lacks only that.
    Bit(JobStatus::kEncoding) | Bit(JobStatus::kRunning) | Bit(JobStatus::kDecoding) | kEnds,
    Bit(JobStatus::kRunning) | kEnds,                             // kEncoding
    Bit(JobStatus::kParked) | Bit(JobStatus::kDecoding) | kEnds,  // kRunning
    Bit(JobStatus::kRunning) | kEnds,                             // kParked
    Bit(JobStatus::kSucceeded) | kEnds,                           // kDecoding
    0,                                                            // kSucceeded
    0,                                                            // kFailed
    0,                                                            // kCancelled
    0,                                                            // kExpired
};

}  // namespace

std::string_view JobStatusName(JobStatus status) { return kNames[static_cast<size_t>(status)]; }

bool CanMove(JobStatus from, JobStatus to) { return (kNext[static_cast<size_t>(from)] & Bit(to)) != 0; }

bool IsTerminal(JobStatus status) { return kNext[static_cast<size_t>(status)] == 0; }

JobStatus FirstStatus(Phase phase) {
  if (phase == Phase::kEncode) return JobStatus::kEncoding;
  return phase == Phase::kDecode ? JobStatus::kDecoding : JobStatus::kRunning;
}

RowCounts CountRows(const sampling::SamplingProgram& program) {
  RowCounts counts;
  for (const sampling::Evaluation& evaluation : program.evaluations) {
    ++(evaluation.rows() == 1 ? counts.single : counts.guided);
  }
  return counts;
}

BatchKey KeyOf(const GenerationRequest& request, Phase phase) {
  BatchKey key{.phase = phase, .model = request.model->id};
  if (phase != Phase::kEncode) {
    key.latent_height = request.latent_height();
    key.latent_width = request.latent_width();
  }
  return key;
}

Job::Job(JobId id, JobSpec spec) : id_(id), spec_(std::move(spec)), left_(CountRows(*spec_.program)) {}

void Job::Advance() {
  --(program().evaluations[static_cast<size_t>(position_)].rows() == 1 ? left_.single : left_.guided);
  ++position_;
  shows_preview_.reset();
}

absl::Status Job::MoveTo(JobStatus next) {
  if (!CanMove(status_, next)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "job ", id_.value, " cannot go from ", ToAbsl(JobStatusName(status_)), " to ", ToAbsl(JobStatusName(next))));
  }
  status_ = next;
  return absl::OkStatus();
}

Phase Job::phase() const {
  if (needs_encode_) return Phase::kEncode;
  return denoised() ? Phase::kDecode : Phase::kDenoise;
}

BatchKey Job::key() const { return KeyOf(request(), phase()); }

int Job::rows() const {
  return phase() == Phase::kDenoise ? program().evaluations[static_cast<size_t>(position_)].rows() : 1;
}

int Job::finished_steps() const {
  return denoised() ? program().steps : program().evaluations[static_cast<size_t>(position_)].step;
}

bool Job::preview_due() const {
  const int every = request().preview.every_n_steps;
  if (every <= 0) return false;
  const auto& evaluations = program().evaluations;
  const auto next = static_cast<size_t>(position_) + 1;
  if (next >= evaluations.size()) return false;
  const int finished = evaluations[next - 1].step + 1;
  return evaluations[next].step == finished && finished % every == 0;
}

void Job::CountTick(Phase phase, int rows, absl::Duration elapsed) {
  switch (phase) {
    case Phase::kEncode:
      statistics_.encode += elapsed;
      break;
    case Phase::kDenoise:
      statistics_.denoise += elapsed;
      statistics_.rows_in_company += rows;
      ++statistics_.denoise_ticks;
      break;
    case Phase::kPreview:
    case Phase::kDecode:
      statistics_.decode += elapsed;
      break;
  }
}

}  // namespace stepcast
