#include "clients/cli/commands/generate_session.h"

#include <cstdio>
#include <utility>

#include "clients/cli/views/message_json.h"
#include "clients/cli/views/time_text.h"

namespace stepcast::cli {

namespace v1 = ::stepcast::v1;

bool GenerateSession::On(const v1::GenerateResponse& response) {
  switch (response.event_case()) {
    case v1::GenerateResponse::kAccepted:
      return OnAccepted(response.accepted());
    case v1::GenerateResponse::kProgress:
      return OnProgress(response.progress());
    case v1::GenerateResponse::kPreview:
      return Fine(files_.WritePreview(response.preview().image_index(), response.preview().data()));
    case v1::GenerateResponse::kImageChunk:
      return OnChunk(response.image_chunk());
    case v1::GenerateResponse::kCompleted:
      completed_ = response.completed();
      return true;
    default:
      return true;  // an event of a newer server
  }
}

bool GenerateSession::OnAccepted(const v1::Accepted& accepted) {
  accepted_ = accepted;
  for (const auto& warning : accepted.warnings()) {
    bar_.Clear();
    std::fprintf(stderr, "stepcast: warning: %s\n", warning.c_str());
  }
  return true;
}

bool GenerateSession::OnProgress(const v1::Progress& progress) {
  if (!options_.quiet) {
    bar_.Update(progress.image_index(), progress.evaluations_done(), progress.evaluations_total(),
                progress.queue_position(), progress.has_eta() ? Seconds(progress.eta()) : -1.0);
  }
  return true;
}

bool GenerateSession::OnChunk(const v1::ImageChunk& chunk) {
  std::string& data = partial_[chunk.image_index()];
  if (chunk.offset() != static_cast<int64_t>(data.size())) {
    return Fine("picture " + std::to_string(chunk.image_index()) + " arrived with a gap at byte " +
                std::to_string(data.size()));
  }
  data += chunk.data();
  if (static_cast<int64_t>(data.size()) < chunk.total_bytes()) return true;
  Image image{"", chunk, chunk.total_bytes()};
  image.chunk.clear_data();
  if (!Fine(files_.WritePicture(chunk.image_index(), data, image.path))) return false;
  files_.RemovePreview(chunk.image_index());
  images_.push_back(std::move(image));
  partial_.erase(chunk.image_index());
  return true;
}

bool GenerateSession::Fine(const std::string& problem) {
  if (problem.empty()) return true;
  bar_.Clear();
  std::fprintf(stderr, "stepcast: %s\n", problem.c_str());
  return false;
}

bool GenerateSession::Complete() const {
  if (options_.request.validate_only()) return true;
  const int count = accepted_.request().has_image_count() ? accepted_.request().image_count() : 1;
  return static_cast<int>(images_.size()) >= count;
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
  }
  return json;
}

}  // namespace stepcast::cli
