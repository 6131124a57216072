// What a GenerationStream does on codec threads: pictures become files, saved pictures tokens.

#include <utility>

#include "server/call/generation_stream.h"
#include "server/call/picture_encoder.h"

namespace stepcast {

void GenerationStream::EncodePreviews(int image_index) {
  for (;;) {
    SharedImage image;
    int step = 0;
    {
      MutexLock lock(mutex_);
      ImageState& state = images_[static_cast<size_t>(image_index)];
      image = std::exchange(state.preview, nullptr);
      step = state.preview_step;
      if (image == nullptr) {
        state.preview_encoding = false;
        return;
      }
    }
    absl::StatusOr<EncodedPicture> encoded = EncodePreview(*image, *request_.request);
    {
      MutexLock lock(mutex_);
      if (!encoded.ok() || end_) {
        services_.metrics.CountPreview(PreviewOutcome::kDropped);
      } else if (writer_.SetPreview(image_index, step, *std::move(encoded))) {
        services_.metrics.CountPreview(PreviewOutcome::kReplaced);
      }
    }
    Pump();
  }
}

std::string GenerationStream::TokenOf(int image_index, const JobSaved& saved) const {
  ResumeBinding binding = request_.binding;
  binding.picture = PictureDigest(request_.accepted.request(), image_index);
  return services_.tokens->Issue(binding, saved);
}

void GenerationStream::SignCheckpoints(int image_index) {
  for (;;) {
    std::optional<JobSaved> saved;
    {
      MutexLock lock(mutex_);
      ImageState& image = images_[static_cast<size_t>(image_index)];
      saved = std::exchange(image.checkpoint, std::nullopt);
      if (!saved.has_value()) {
        image.checkpoint_signing = false;
        return;
      }
    }
    std::string token = TokenOf(image_index, *saved);
    {
      MutexLock lock(mutex_);
      if (!token.empty() && !end_) writer_.SetCheckpoint(image_index, saved->evaluations_done, std::move(token));
    }
    Pump();
  }
}

void GenerationStream::SignParked(int image_index, const JobSaved& saved) {
  std::string token = TokenOf(image_index, saved);
  {
    MutexLock lock(mutex_);
    --encoding_;
    if (end_) return;
    services_.metrics.CountParked(!token.empty());
    v1::Parked parked;
    parked.set_image_index(image_index);
    if (!token.empty()) parked.set_evaluations_done(saved.evaluations_done);
    parked.set_evaluations_total(saved.evaluations_total);
    parked.set_resume_token(std::move(token));
    writer_.PushParked(std::move(parked));
    PostEncodes();
    EndIfComplete();
  }
  Pump();
}

void GenerationStream::PostEncodes() {
  const int64_t largest = int64_t{3} * request_.request->finished_width() * request_.request->finished_height() + 4096;
  while (!painted_.empty()) {
    const bool idle = encoding_ == 0 && writer_.waiting_bytes() == 0;
    if (!idle && writer_.waiting_bytes() + (encoding_ + 1) * largest > services_.max_waiting_bytes) return;
    ++encoding_;
    Painted next = std::move(painted_.front());
    painted_.pop_front();
    services_.codec.Post(
        [self = shared_from_this(), next = std::move(next)] { self->EncodePainted(next.image_index, *next.image); });
  }
}

void GenerationStream::EncodePainted(int image_index, const Image& image) {
  const absl::Time start = services_.clock.Now();
  absl::StatusOr<EncodedPicture> picture = EncodePicture(image, *request_.request, image_index);
  services_.metrics.ObserveEncode(services_.clock.Now() - start);
  {
    MutexLock lock(mutex_);
    --encoding_;
    if (end_) return;
    if (!picture.ok()) {
      tally_.OnFailure(image_index, picture.status());
    } else if (writer_.PushPicture(image_index, *std::move(picture))) {
      services_.metrics.CountPreview(PreviewOutcome::kReplaced);
    }
    PostEncodes();
    EndIfComplete();
  }
  Pump();
}

}  // namespace stepcast
