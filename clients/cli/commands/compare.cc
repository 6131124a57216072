#include "clients/cli/commands/compare.h"

#include <cstdio>
#include <deque>
#include <memory>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "clients/cli/call/interrupt.h"
#include "clients/cli/files/picture_files.h"
#include "clients/cli/views/contact_sheet.h"
#include "clients/cli/views/enum_names.h"
#include "clients/cli/views/message_json.h"
#include "clients/cli/views/time_text.h"
#include "stepcast/v1/image_generation.grpc.pb.h"

namespace stepcast::cli {
namespace {

namespace v1 = ::stepcast::v1;

constexpr int kGap = 2;  // pixels between pictures

std::string NameOf(v1::Sampler sampler) { return EnumName(v1::Sampler_descriptor(), sampler); }

// One unary call under way.
struct Call {
  v1::Sampler sampler = v1::SAMPLER_UNSPECIFIED;
  grpc::ClientContext context;
  v1::GenerateImageResponse response;
  grpc::Status status;
  std::unique_ptr<grpc::ClientAsyncResponseReader<v1::GenerateImageResponse>> reader;
};

// Starts a call per sampler and waits for all of them.
void PaintAll(const CompareOptions& options, v1::ImageGenerationService::Stub& stub, int64_t seed,
              std::deque<Call>& calls) {
  grpc::CompletionQueue queue;
  for (Call& call : calls) {
    v1::GenerateImageRequest request;
    *request.mutable_request() = options.request;
    request.mutable_request()->set_sampler(call.sampler);
    request.mutable_request()->set_seed(seed);
    call.reader = stub.AsyncGenerateImage(&call.context, request, &queue);
    call.reader->Finish(&call.response, &call.status, &call);
  }
  void* tag = nullptr;
  bool ok = false;
  for (size_t done = 0; done < calls.size(); ++done) (void)queue.Next(&tag, &ok);
}

// The seed of all pictures: the request's, or one that the server draws.
grpc::Status SharedSeed(const ConnectionOptions& connection, const CompareOptions& options,
                        v1::ImageGenerationService::Stub& stub, int64_t& seed) {
  seed = options.request.seed();
  if (options.request.has_seed()) return grpc::Status::OK;
  grpc::ClientContext context;
  Prepare(connection, context);
  v1::GenerateImageRequest question;
  *question.mutable_request() = options.request;
  question.mutable_request()->set_sampler(options.samplers.front());
  question.mutable_request()->set_validate_only(true);
  v1::GenerateImageResponse answer;
  const grpc::Status status = stub.GenerateImage(&context, question, &answer);
  seed = answer.request().seed();
  return status;
}

ExitCode Fail(ExitCode code, const std::string& problem) {
  std::fprintf(stderr, "stepcast: %s\n", problem.c_str());
  return code;
}

// The pictures, all of one size; nullopt after saying what is wrong.
std::optional<std::vector<Pixels>> Pictures(const std::deque<Call>& calls) {
  std::vector<Pixels> pictures;
  for (const Call& call : calls) {
    std::optional<Pixels> pixels;
    if (call.response.images_size() == 1) pixels = ReadPng(call.response.images(0).data());
    const bool fits =
        pixels.has_value() &&
        (pictures.empty() || (pixels->width == pictures.front().width && pixels->height == pictures.front().height));
    if (!fits) {
      Fail(kFailed, NameOf(call.sampler) + ": the answer is not one PNG of the size of the others");
      return std::nullopt;
    }
    pictures.push_back(*std::move(pixels));
  }
  return pictures;
}

// What is told of one sampler beside its place on the sheet.
nlohmann::json AsJson(const Call& call, int place, int columns) {
  nlohmann::json json = {{"sampler", NameOf(call.sampler)}};
  if (call.response.images_size() > 0) {
    json["row"] = place / columns + 1;
    json["column"] = place % columns + 1;
    json["evaluations"] = call.response.evaluations();
  }
  if (call.response.has_estimated_total()) {
    json["estimates_s"] = {{"wait", Seconds(call.response.estimated_wait())},
                           {"total", Seconds(call.response.estimated_total())}};
  }
  return json;
}

void ReportJson(const CompareOptions& options, const std::deque<Call>& calls, int64_t seed) {
  const int columns = SheetColumns(static_cast<int>(calls.size()));
  nlohmann::json json = {{"seed", seed}, {"pictures", nlohmann::json::array()}};
  if (options.request.validate_only()) {
    json["valid"] = true;
  } else {
    json["path"] = options.output;
  }
  for (size_t i = 0; i < calls.size(); ++i) json["pictures"].push_back(AsJson(calls[i], static_cast<int>(i), columns));
  std::printf("%s\n", AsOneLine(json).c_str());
}

void ReportText(const CompareOptions& options, const std::deque<Call>& calls, int64_t seed, std::FILE* out) {
  const int columns = SheetColumns(static_cast<int>(calls.size()));
  if (!options.request.validate_only()) {
    std::fprintf(out, "%s  seed %lld\n", options.output.c_str(), static_cast<long long>(seed));
  }
  for (size_t i = 0; i < calls.size(); ++i) {
    const v1::GenerateImageResponse& response = calls[i].response;
    const std::string name = NameOf(calls[i].sampler);
    const int place = static_cast<int>(i);
    if (options.request.validate_only()) {
      const std::string estimates =
          response.has_estimated_total() ? EstimatesText(response.estimated_wait(), response.estimated_total()) : "";
      std::fprintf(out, "valid  %-18s%s\n", name.c_str(), estimates.c_str());
    } else {
      std::fprintf(out, "  row %d column %d  %-18s %lld evaluations\n", place / columns + 1, place % columns + 1,
                   name.c_str(), static_cast<long long>(response.evaluations()));
    }
  }
}

// The first error, told with its sampler, after everybody's warnings.
ExitCode CheckAnswers(const std::deque<Call>& calls) {
  for (const Call& call : calls) {
    for (const std::string& warning : call.response.warnings()) {
      std::fprintf(stderr, "stepcast: warning: %s: %s\n", NameOf(call.sampler).c_str(), warning.c_str());
    }
  }
  for (const Call& call : calls) {
    if (!call.status.ok()) return Fail(ExitCodeOf(call.status), NameOf(call.sampler) + ": " + Describe(call.status));
  }
  return kOk;
}

// Whether the sheet can be written, or why the program ends here.
std::optional<ExitCode> Refused(const CompareOptions& options, PictureFiles& files) {
  if (options.request.validate_only()) return std::nullopt;
  const PictureFiles::Verdict verdict = files.Check();
  if (!verdict.problem.empty()) return Fail(verdict.usage ? kUsage : kFailed, verdict.problem);
  if (options.json && files.use_stdout()) {
    return Fail(kUsage, "--json and the sheet of -o " + options.output + " would both go to stdout: name a file");
  }
  return std::nullopt;
}

}  // namespace

ExitCode Compare(const ConnectionOptions& connection, const CompareOptions& options) {
  PictureFiles files({options.output, 1, ""});
  if (const std::optional<ExitCode> code = Refused(options, files)) return *code;
  const auto stub = v1::ImageGenerationService::NewStub(Connect(connection));
  int64_t seed = 0;
  if (const grpc::Status status = SharedSeed(connection, options, *stub, seed); !status.ok()) {
    return Fail(ExitCodeOf(status), Describe(status));
  }
  std::deque<Call> calls(options.samplers.size());
  for (size_t i = 0; i < calls.size(); ++i) {
    calls[i].sampler = options.samplers[i];
    Prepare(connection, calls[i].context);
  }
  const CancelOnInterrupt interrupt([&calls] {
    for (Call& call : calls) call.context.TryCancel();
  });
  PaintAll(options, *stub, seed, calls);
  if (const ExitCode code = CheckAnswers(calls); code != kOk) return code;
  if (!options.request.validate_only()) {
    const std::optional<std::vector<Pixels>> pictures = Pictures(calls);
    if (!pictures.has_value()) return kFailed;
    const std::string sheet = WritePng(ContactSheet(*pictures, SheetColumns(static_cast<int>(calls.size())), kGap));
    std::string name;
    const std::string problem = sheet.empty() ? "the sheet cannot be made" : files.WritePicture(0, sheet, name);
    if (!problem.empty()) return Fail(Interrupted() ? kInterrupted : kFailed, problem);
  }
  if (options.json) {
    ReportJson(options, calls, seed);
  } else {
    ReportText(options, calls, seed, files.use_stdout() ? stderr : stdout);
  }
  return kOk;
}

}  // namespace stepcast::cli
