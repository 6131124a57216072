#include "clients/cli/commands/generate.h"

#include <algorithm>
#include <cstdio>
#include <optional>
#include <utility>

#include "clients/cli/call/interrupt.h"
#include "clients/cli/commands/generate_session.h"
#include "clients/cli/files/output_format.h"
#include "stepcast/v1/image_generation.grpc.pb.h"

namespace stepcast::cli {
namespace {

namespace v1 = ::stepcast::v1;

// Every step, unless that would be more previews than anyone can watch (and than servers grant).
int PreviewInterval(const ConnectionOptions& connection, v1::ImageGenerationService::Stub& stub,
                    const v1::GenerateRequest& request) {
  constexpr int kPreviews = 20;
  int steps = request.steps();
  if (request.timesteps_size() > 0 || request.sigmas_size() > 0) {
    steps = std::max(request.timesteps_size(), request.sigmas_size());
  } else if (!request.has_steps()) {
    grpc::ClientContext context;
    Prepare(connection, context);
    v1::GetModelRequest question;
    question.set_model(request.model());
    v1::GetModelResponse answer;
    // A failure shows itself again, with its reason, in the call that follows.
    if (stub.GetModel(&context, question, &answer).ok()) steps = answer.model().defaults().steps();
  }
  return std::max(1, steps / kPreviews + (steps % kPreviews > 0 ? 1 : 0));
}

PictureFiles::Plan PlanOf(const GenerateOptions& options) {
  std::string preview;
  if (options.watch) {
    const v1::ImageFormat format = options.request.preview().format();
    preview = ExtensionOf(format == v1::IMAGE_FORMAT_UNSPECIFIED ? v1::IMAGE_FORMAT_JPEG : format);
  }
  return {options.output, options.request.has_image_count() ? options.request.image_count() : 1, preview};
}

ExitCode Fail(ExitCode code, const std::string& problem) {
  std::fprintf(stderr, "stepcast: %s\n", problem.c_str());
  return code;
}

// Whether the files can be written, or why the program ends here.
std::optional<ExitCode> Refused(const GenerateOptions& options, PictureFiles& files) {
  if (options.request.validate_only()) return std::nullopt;  // nothing will be written
  const PictureFiles::Verdict verdict = files.Check();
  if (!verdict.problem.empty()) return Fail(verdict.usage ? kUsage : kFailed, verdict.problem);
  if (options.json && files.use_stdout()) {
    return Fail(kUsage, "--json and the picture of -o " + options.output + " would both go to stdout: name a file");
  }
  return std::nullopt;
}

// Reads to the end of the call. nullopt when a file could not be written.
std::optional<grpc::Status> Run(v1::ImageGenerationService::Stub& stub, grpc::ClientContext& context,
                                const v1::GenerateRequest& request, GenerateSession& session) {
  bool written = true;
  const auto reader = stub.Generate(&context, request);
  v1::GenerateResponse response;
  while (reader->Read(&response)) {
    if (written && !session.On(response)) {
      written = false;
      context.TryCancel();
    }
  }
  const grpc::Status status = reader->Finish();
  return written ? std::optional(status) : std::nullopt;
}

}  // namespace

ExitCode Generate(const ConnectionOptions& connection, GenerateOptions options) {
  grpc::ClientContext context;
  // Outlives the files, so that no signal keeps them from being cleaned up.
  std::optional<CancelOnInterrupt> interrupt;
  PictureFiles files(PlanOf(options));
  if (const std::optional<ExitCode> code = Refused(options, files)) return *code;
  const auto stub = v1::ImageGenerationService::NewStub(Connect(connection));
  if (options.watch && !options.request.preview().has_every_n_steps()) {
    options.request.mutable_preview()->set_every_n_steps(PreviewInterval(connection, *stub, options.request));
  }
  Prepare(connection, context);
  ProgressBar bar(stderr);
  GenerateSession session(options, files, bar);
  interrupt.emplace([&context] { context.TryCancel(); });
  const std::optional<grpc::Status> status = Run(*stub, context, options.request, session);
  bar.Clear();
  if (!status.has_value()) return Interrupted() ? kInterrupted : kFailed;
  if (!status->ok()) return Fail(ExitCodeOf(*status), Describe(*status));
  if (!session.Complete()) return Fail(kFailed, "the answer ended before the last picture");
  session.Report();
  return kOk;
}

}  // namespace stepcast::cli
