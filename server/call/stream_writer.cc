#include "server/call/stream_writer.h"

#include <algorithm>
#include <utility>

#include "server/wire/proto_time.h"

namespace stepcast {

StreamWriter::StreamWriter(int images, int64_t chunk_bytes)
    : chunk_bytes_(chunk_bytes), slots_(static_cast<size_t>(images)) {}

void StreamWriter::PushAccepted(v1::Accepted accepted) { must_send_.emplace_back(std::move(accepted)); }

void StreamWriter::PushCompleted(v1::Completed completed) { must_send_.emplace_back(std::move(completed)); }

bool StreamWriter::PushPicture(int image_index, EncodedPicture picture) {
  ImageSlots& slots = slots_[static_cast<size_t>(image_index)];
  const bool stale_preview = slots.preview.has_value();
  Forget(image_index);
  slots.done = true;
  waiting_bytes_ += static_cast<int64_t>(picture.data.size());
  must_send_.emplace_back(File{.image_index = image_index, .picture = std::move(picture)});
  return stale_preview;
}

void StreamWriter::SetProgress(int image_index, const JobProgress& progress, std::optional<absl::Duration> eta) {
  ImageSlots& slots = slots_[static_cast<size_t>(image_index)];
  if (slots.done) return;
  if (!slots.progress) newest_.push_back({.image_index = image_index, .kind = Kind::kProgress});
  slots.progress = progress;
  slots.eta = eta;
}

bool StreamWriter::SetPreview(int image_index, int step, EncodedPicture picture) {
  ImageSlots& slots = slots_[static_cast<size_t>(image_index)];
  if (slots.done) return true;
  const bool replaced = slots.preview.has_value();
  if (!replaced) newest_.push_back({.image_index = image_index, .kind = Kind::kPreview});
  slots.preview = std::move(picture);
  slots.preview_step = step;
  return replaced;
}

void StreamWriter::PushParked(v1::Parked parked) {
  const int image_index = parked.image_index();
  Forget(image_index);
  slots_[static_cast<size_t>(image_index)].done = true;
  must_send_.emplace_back(std::move(parked));
}

void StreamWriter::SetCheckpoint(int image_index, int evaluations_done, std::string token) {
  ImageSlots& slots = slots_[static_cast<size_t>(image_index)];
  if (slots.done) return;
  if (!slots.checkpoint) newest_.push_back({.image_index = image_index, .kind = Kind::kCheckpoint});
  slots.checkpoint.emplace();
  slots.checkpoint->set_image_index(image_index);
  slots.checkpoint->set_evaluations_done(evaluations_done);
  slots.checkpoint->set_resume_token(std::move(token));
}

bool StreamWriter::Next(v1::GenerateResponse& message) {
  if (empty()) return false;
  message.Clear();
  message.set_sequence(sequence_++);
  if (must_send_.empty()) {
    const Newest which = newest_.front();
    newest_.pop_front();
    TakeNewest(which, message);
    return true;
  }
  MustSend& front = must_send_.front();
  if (auto* file = std::get_if<File>(&front)) {
    TakeChunk(*file, *message.mutable_image_chunk());
    if (file->offset < static_cast<int64_t>(file->picture.data.size())) return true;
  } else if (auto* accepted = std::get_if<v1::Accepted>(&front)) {
    *message.mutable_accepted() = std::move(*accepted);
  } else if (auto* parked = std::get_if<v1::Parked>(&front)) {
    *message.mutable_parked() = std::move(*parked);
  } else {
    *message.mutable_completed() = std::move(std::get<v1::Completed>(front));
  }
  must_send_.pop_front();
  return true;
}

int StreamWriter::Abandon() {
  int previews = 0;
  for (ImageSlots& slots : slots_) {
    previews += slots.preview.has_value() ? 1 : 0;
    slots = ImageSlots();
    slots.done = true;
  }
  must_send_.clear();
  newest_.clear();
  waiting_bytes_ = 0;
  return previews;
}

void StreamWriter::TakeChunk(File& file, v1::ImageChunk& chunk) {
  EncodedPicture& picture = file.picture;
  const int64_t total = static_cast<int64_t>(picture.data.size());
  const int64_t size = std::min(chunk_bytes_, total - file.offset);
  chunk.set_image_index(file.image_index);
  chunk.set_offset(file.offset);
  chunk.set_total_bytes(total);
  chunk.set_mime(std::string(picture.mime));
  chunk.set_width(picture.width);
  chunk.set_height(picture.height);
  chunk.set_seed(picture.seed);
  if (file.offset + size == total) chunk.set_sha256(picture.sha256);
  if (size < total) {
    chunk.set_data(picture.data.substr(static_cast<size_t>(file.offset), static_cast<size_t>(size)));
    file.offset += size;
  } else {
    // The common case: the whole file moves into the message.
    chunk.set_data(std::exchange(picture.data, {}));
    file.offset = total;
  }
  waiting_bytes_ -= size;
}

void StreamWriter::TakeNewest(Newest which, v1::GenerateResponse& message) {
  ImageSlots& slots = slots_[static_cast<size_t>(which.image_index)];
  if (which.kind == Kind::kCheckpoint) {
    *message.mutable_checkpoint() = *std::exchange(slots.checkpoint, std::nullopt);
    return;
  }
  if (which.kind == Kind::kPreview) {
    v1::Preview& preview = *message.mutable_preview();
    preview.set_image_index(which.image_index);
    preview.set_step(slots.preview_step);
    preview.set_mime(std::string(slots.preview->mime));
    preview.set_width(slots.preview->width);
    preview.set_height(slots.preview->height);
    preview.set_data(std::move(slots.preview->data));
    slots.preview.reset();
    return;
  }
  v1::Progress& progress = *message.mutable_progress();
  progress.set_image_index(which.image_index);
  progress.set_step(slots.progress->step);
  progress.set_steps(slots.progress->steps);
  progress.set_evaluations_done(slots.progress->evaluations_done);
  progress.set_evaluations_total(slots.progress->evaluations_total);
  progress.set_queue_position(slots.progress->queue_position);
  if (slots.eta) *progress.mutable_eta() = ToProto(*slots.eta);
  slots.progress.reset();
}

void StreamWriter::Forget(int image_index) {
  ImageSlots& slots = slots_[static_cast<size_t>(image_index)];
  slots.progress.reset();
  slots.preview.reset();
  slots.checkpoint.reset();
  std::erase_if(newest_, [image_index](const Newest& which) { return which.image_index == image_index; });
}

}  // namespace stepcast
