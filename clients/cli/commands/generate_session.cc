#include "clients/cli/commands/generate_session.h"

#include <cstdio>
#include <utility>

#include "clients/cli/views/message_json.h"
#include "clients/cli/views/time_text.h"

namespace stepcast::cli {

namespace v1 = ::stepcast::v1;

bool GenerateSession::On(const v1::GenerateResponse& response) {
  started_ = true;
  switch (response.event_case()) {
    case v1::GenerateResponse::kAccepted:
      return OnAccepted(response.accepted());
    case v1::GenerateResponse::kProgress:
      return OnProgress(response.progress());
    case v1::GenerateResponse::kPreview:
      return OnPreview(response.preview());
    case v1::GenerateResponse::kImageChunk:
      return OnChunk(response.image_chunk());
    case v1::GenerateResponse::kCompleted:
      completed_ = response.completed();
      evaluations_ += completed_.evaluations();
      cost_.set_row_evaluations(cost_.row_evaluations() + completed_.cost().row_evaluations());
      cost_.set_device_seconds(cost_.device_seconds() + completed_.cost().device_seconds());
      return true;
    case v1::GenerateResponse::kParked:
      return OnToken(response.parked());
    case v1::GenerateResponse::kCheckpoint:
      return OnToken(response.checkpoint());
    default:
      return true;  // an event of a newer server
  }
}

bool GenerateSession::OnAccepted(const v1::Accepted& accepted) {
  if (!unfinished_.Accept(accepted)) return true;
  accepted_ = accepted;
  for (const auto& warning : accepted.warnings()) {
    bar_.Clear();
    std::fprintf(stderr, "stepcast: warning: %s\n", warning.c_str());
  }
  return true;
}

bool GenerateSession::OnProgress(const v1::Progress& progress) {
  const int index = unfinished_.IndexOf(progress.image_index());
  if (!options_.quiet && !unfinished_.finished(index)) {
    bar_.Update(index, progress.evaluations_done(), progress.evaluations_total(), progress.queue_position(),
                progress.has_eta() ? Seconds(progress.eta()) : -1.0);
  }
  return true;
}

bool GenerateSession::OnPreview(const v1::Preview& preview) {
  const int index = unfinished_.IndexOf(preview.image_index());
  return unfinished_.finished(index) || Fine(files_.WritePreview(index, preview.data()));
}

template <typename Message>
bool GenerateSession::OnToken(const Message& message) {
  const int index = unfinished_.IndexOf(message.image_index());
  unfinished_.KeepToken(index, message.resume_token());
  if (!message.resume_token().empty()) done_[index] = message.evaluations_done();
  return true;
}

bool GenerateSession::OnChunk(const v1::ImageChunk& chunk) {
  const int index = unfinished_.IndexOf(chunk.image_index());
  std::string& data = partial_[index];
  if (chunk.offset() != static_cast<int64_t>(data.size())) {
    return Fine("picture " + std::to_string(index) + " arrived with a gap at byte " + std::to_string(data.size()));
  }
  data += chunk.data();
  if (static_cast<int64_t>(data.size()) < chunk.total_bytes()) return true;
  const std::string bytes = std::move(data);
  partial_.erase(index);
  // Painted once more, because the server was lost before it had told all.
  if (unfinished_.finished(index)) return true;
  Image image{"", chunk, chunk.total_bytes()};
  image.chunk.clear_data();
  image.chunk.set_image_index(index);
  if (!Fine(files_.WritePicture(index, bytes, image.path))) return false;
  files_.RemovePreview(index);
  images_.push_back(std::move(image));
  unfinished_.Finish(index);
  return true;
}

void GenerateSession::Restart(const std::string& failure, const std::string& host) {
  unfinished_.Restart();
  started_ = false;
  partial_.clear();
  if (failure.empty()) return;
  ++attempts_;
  bar_.Clear();
  if (options_.quiet) return;
  std::string from;
  if (unfinished_.has_token()) from = " from evaluation " + std::to_string(done_[unfinished_.IndexOf(0)]);
  std::fprintf(stderr, "stepcast: %s; going on%s at %s\n", failure.c_str(), from.c_str(), host.c_str());
}

bool GenerateSession::Fine(const std::string& problem) {
  if (problem.empty()) return true;
  bar_.Clear();
  std::fprintf(stderr, "stepcast: %s\n", problem.c_str());
  return false;
}

bool GenerateSession::Complete() const {
  if (options_.request.validate_only()) return true;
  return !images_.empty() && unfinished_.missing() == 0;
}

void GenerateSession::Report() const {
  if (options_.json) {
    std::printf("%s\n", AsOneLine(AsJson()).c_str());
    return;
  }
  std::FILE* out = files_.use_stdout() ? stderr : stdout;
  for (const auto& image : images_) {
    std::fprintf(out, "%s  %dx%d  seed %lld\n", image.path.c_str(), image.chunk.width(), image.chunk.height(),
                 static_cast<long long>(image.chunk.seed()));
  }
  if (!options_.request.validate_only()) return;
  std::fprintf(out, "valid%s\n",
               accepted_.has_estimated_total()
                   ? EstimatesText(accepted_.estimated_wait(), accepted_.estimated_total()).c_str()
                   : "");
}

nlohmann::json GenerateSession::AsJson() const {
  nlohmann::json json = {
      {"request", MessageJson(accepted_.request())},
      {"warnings", nlohmann::json(std::vector<std::string>(accepted_.warnings().begin(), accepted_.warnings().end()))},
      {"images", nlohmann::json::array()}};
  for (const Image& image : images_) {
    json["images"].push_back({{"path", image.path},
                              {"index", image.chunk.image_index()},
                              {"seed", image.chunk.seed()},
                              {"width", image.chunk.width()},
                              {"height", image.chunk.height()},
                              {"mime", image.chunk.mime()},
                              {"bytes", image.bytes},
                              {"sha256", image.chunk.sha256()}});
  }
  if (accepted_.has_estimated_total()) {
    json["estimates_s"] = {{"wait", Seconds(accepted_.estimated_wait())},
                           {"total", Seconds(accepted_.estimated_total())}};
  }
  if (completed_.has_timings()) {
    const auto& timings = completed_.timings();
    json["timings_s"] = {{"queued", Seconds(timings.queued())},
                         {"encode", Seconds(timings.encode())},
                         {"denoise", Seconds(timings.denoise())},
                         {"decode", Seconds(timings.decode())},
                         {"total", Seconds(timings.total())}};
    json["mean_rows"] = completed_.batch().mean_rows();
    json["evaluations"] = evaluations_;
    json["cost"] = {{"row_evaluations", cost_.row_evaluations()}, {"device_s", cost_.device_seconds()}};
    json["attempts"] = attempts_;
  }
  return json;
}

}  // namespace stepcast::cli
