#include "clients/cli/generate.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <vector>

#include <nlohmann/json.hpp>

#include "clients/cli/interrupt.h"
#include "clients/cli/progress_bar.h"
#include "google/protobuf/util/json_util.h"
#include "stepcast/v1/image_generation.grpc.pb.h"

namespace stepcast::cli {
namespace {

namespace v1 = ::stepcast::v1;

double Seconds(const google::protobuf::Duration& d) { return d.seconds() + d.nanos() * 1e-9; }

// Writes through a temporary name, so that a viewer never sees half a picture.
bool WriteFile(const std::string& path, const std::string& bytes) {
  if (path == "-")
    return static_cast<bool>(std::cout.write(bytes.data(), static_cast<std::streamsize>(bytes.size())).flush());
  const std::string partial = path + ".part";
  {
    std::ofstream file(partial, std::ios::binary | std::ios::trunc);
    if (!file.write(bytes.data(), static_cast<std::streamsize>(bytes.size())).flush()) return false;
  }
  std::error_code error;
  std::filesystem::rename(partial, path, error);
  return !error;
}

std::string PreviewPath(const std::string& output, int image_index, int image_count) {
  std::filesystem::path path(OutputPath(output, image_index, image_count));
  return path.replace_extension(".preview.jpg").string();
}

// Every step, unless that would be more previews than anyone can watch (and than servers grant).
int PreviewInterval(const ConnectionOptions& connection, v1::ImageGenerationService::Stub& stub,
                    const v1::GenerateRequest& request) {
  constexpr int kPreviews = 20;
  int steps = request.steps();
  if (!request.has_steps()) {
    grpc::ClientContext context;
    Prepare(connection, context);
    v1::GetModelRequest question;
    question.set_model(request.model());
    v1::GetModelResponse answer;
    // A failure shows itself again, with its reason, in the call that follows.
    if (stub.GetModel(&context, question, &answer).ok()) steps = answer.model().defaults().steps();
  }
  return std::max(1, (steps + kPreviews - 1) / kPreviews);
}

// What has arrived so far.
class Session {
 public:
  Session(const GenerateOptions& options, ProgressBar& bar) : options_(options), bar_(bar) {}

  // Returns false when a file could not be written.
  bool On(const v1::GenerateResponse& response) {
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
        return true;
      default:
        return true;  // an event of a newer server
    }
  }

  // Tells the user what was made.
  void Report() const {
    if (options_.json) {
      std::cout << AsJson().dump() << std::endl;
      return;
    }
    std::FILE* out = options_.output == "-" ? stderr : stdout;
    for (const auto& image : images_) {
      std::fprintf(out, "%s  %dx%d  seed %lld\n", image.path.c_str(), image.chunk.width(), image.chunk.height(),
                   static_cast<long long>(image.chunk.seed()));
    }
    if (images_.empty() && options_.request.validate_only()) std::fprintf(out, "valid%s\n", Estimates().c_str());
  }

 private:
  struct Image {
    std::string path;
    v1::ImageChunk chunk;  // the last one, without data
    int64_t bytes = 0;
  };

  // ", would start in 0.4 s and be done in 3.2 s", if the server says so.
  std::string Estimates() const {
    if (!accepted_.has_estimated_total()) return "";
    char text[80];
    std::snprintf(text, sizeof(text), ", would start in %.1f s and be done in %.1f s",
                  Seconds(accepted_.estimated_wait()), Seconds(accepted_.estimated_total()));
    return text;
  }

  bool OnAccepted(const v1::Accepted& accepted) {
    accepted_ = accepted;
    for (const auto& warning : accepted.warnings()) {
      bar_.Clear();
      std::fprintf(stderr, "stepcast: warning: %s\n", warning.c_str());
    }
    return true;
  }

  bool OnProgress(const v1::Progress& progress) {
    if (!options_.quiet) {
      bar_.Update(progress.image_index(), progress.evaluations_done(), progress.evaluations_total(),
                  progress.queue_position(), progress.has_eta() ? Seconds(progress.eta()) : -1.0);
    }
    return true;
  }

  bool OnPreview(const v1::Preview& preview) {
    const std::string path = PreviewPath(options_.output, preview.image_index(), image_count());
    if (WriteFile(path, preview.data())) return true;
    return Complain(path);
  }

  bool OnChunk(const v1::ImageChunk& chunk) {
    std::string& data = partial_[chunk.image_index()];
    if (chunk.offset() != static_cast<int64_t>(data.size())) {
      std::fprintf(stderr, "stepcast: picture %d arrived with a gap at byte %zu\n", chunk.image_index(), data.size());
      return false;
    }
    data += chunk.data();
    if (static_cast<int64_t>(data.size()) < chunk.total_bytes()) return true;
    Image image{OutputPath(options_.output, chunk.image_index(), image_count()), chunk, chunk.total_bytes()};
    image.chunk.clear_data();
    if (!WriteFile(image.path, data)) return Complain(image.path);
    if (options_.watch && options_.output != "-") {
      std::error_code ignored;  // there may have been no preview
      std::filesystem::remove(PreviewPath(options_.output, chunk.image_index(), image_count()), ignored);
    }
    images_.push_back(std::move(image));
    partial_.erase(chunk.image_index());
    return true;
  }

  bool Complain(const std::string& path) {
    bar_.Clear();
    std::fprintf(stderr, "stepcast: cannot write %s\n", path.c_str());
    return false;
  }

  int image_count() const { return accepted_.request().has_image_count() ? accepted_.request().image_count() : 1; }

  nlohmann::json AsJson() const {
    std::string request;
    google::protobuf::util::JsonPrintOptions printing;
    printing.preserve_proto_field_names = true;
    (void)google::protobuf::util::MessageToJsonString(accepted_.request(), &request, printing);
    nlohmann::json json = {{"request", nlohmann::json::parse(request, nullptr, false)},
                           {"warnings", nlohmann::json(std::vector<std::string>(accepted_.warnings().begin(),
                                                                                accepted_.warnings().end()))},
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

  const GenerateOptions& options_;
  ProgressBar& bar_;
  v1::Accepted accepted_;
  v1::Completed completed_;
  std::map<int, std::string> partial_;
  std::vector<Image> images_;
};

}  // namespace

std::string OutputPath(const std::string& output, int image_index, int image_count) {
  if (image_count <= 1 || output == "-") return output;
  std::filesystem::path path(output);
  const std::string extension = path.extension().string();
  path.replace_extension();
  return path.string() + "-" + std::to_string(image_index) + extension;
}

ExitCode Generate(const ConnectionOptions& connection, GenerateOptions options) {
  auto stub = v1::ImageGenerationService::NewStub(Connect(connection));
  if (options.watch && !options.request.has_preview()) {
    options.request.mutable_preview()->set_every_n_steps(PreviewInterval(connection, *stub, options.request));
  }
  grpc::ClientContext context;
  Prepare(connection, context);
  ProgressBar bar(stderr);
  Session session(options, bar);
  grpc::Status status;
  bool written = true;
  {
    const CancelOnInterrupt interrupt(context);
    auto reader = stub->Generate(&context, options.request);
    v1::GenerateResponse response;
    while (reader->Read(&response)) {
      if (written && !session.On(response)) {
        written = false;
        context.TryCancel();
      }
    }
    status = reader->Finish();
  }
  bar.Clear();
  if (!written) return kFailed;
  if (!status.ok()) {
    std::fprintf(stderr, "stepcast: %s\n", Describe(status).c_str());
    return ExitCodeOf(status);
  }
  session.Report();
  return kOk;
}

}  // namespace stepcast::cli
