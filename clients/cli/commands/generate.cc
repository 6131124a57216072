#include "clients/cli/commands/generate.h"

#include <poll.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "clients/cli/call/interrupt.h"
#include "clients/cli/call/retries.h"
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

// The call that a signal cancels.
class CurrentCall {
 public:
  void Set(grpc::ClientContext* context) {
    const std::lock_guard lock(mutex_);
    context_ = context;
    // The signal may have come between two calls.
    if (context != nullptr && Interrupted()) context->TryCancel();
  }
  void Cancel() {
    const std::lock_guard lock(mutex_);
    if (context_ != nullptr) context_->TryCancel();
  }

 private:
  std::mutex mutex_;
  grpc::ClientContext* context_ = nullptr;
};

// False when a signal came first.
bool Wait(double seconds) {
  pollfd fd = {InterruptFd(), POLLIN, 0};
  return poll(&fd, 1, static_cast<int>(seconds * 1000)) <= 0;
}

// One painting call and the servers that may be asked for it.
class GenerateCall {
 public:
  GenerateCall(const ConnectionOptions& connection, CurrentCall& current)
      : connection_(connection), current_(current), deadline_(DeadlineOf(connection)) {
    for (const std::string& host : HostsOf(connection)) {
      ConnectionOptions one = connection;
      one.host = host;
      servers_.push_back({host, v1::ImageGenerationService::NewStub(Connect(one))});
    }
  }

  v1::ImageGenerationService::Stub& first() { return *servers_.front().stub; }

  // Attempts until all has come, or there is no sense in another. nullopt when a file could not be written.
  std::optional<grpc::Status> Run(GenerateSession& session) {
    Retries retries(static_cast<int>(servers_.size()));
    for (;;) {
      const std::optional<grpc::Status> status = Attempt(servers_[static_cast<size_t>(retries.index())], session);
      if (!status.has_value() || Interrupted()) return status;
      std::string failed;
      if (status->ok()) {
        if (!session.More()) return status;
      } else {
        const Failure failure = ToFailure(*status);
        double wait = 0;
        if (!TokenRefused(failure) || !session.DropToken()) {
          const std::optional<double> after = retries.After(failure, session.started());
          if (!after.has_value()) return status;
          wait = *after;
        }
        const std::string told = Describe(*status);
        failed = told.substr(0, told.find('\n'));
        if (!Wait(wait)) return status;
      }
      session.Restart(failed, servers_[static_cast<size_t>(retries.index())].host);
    }
  }

 private:
  struct Server {
    std::string host;
    std::unique_ptr<v1::ImageGenerationService::Stub> stub;
  };

  std::optional<grpc::Status> Attempt(const Server& server, GenerateSession& session) {
    grpc::ClientContext context;
    Prepare(connection_, context);
    if (deadline_.has_value()) context.set_deadline(*deadline_);  // of all attempts together
    current_.Set(&context);
    bool written = true;
    const auto reader = server.stub->Generate(&context, session.request());
    v1::GenerateResponse response;
    while (reader->Read(&response)) {
      if (written && !session.On(response)) {
        written = false;
        context.TryCancel();
      }
    }
    const grpc::Status status = reader->Finish();
    current_.Set(nullptr);
    return written ? std::optional(status) : std::nullopt;
  }

  const ConnectionOptions connection_;
  CurrentCall& current_;
  const std::optional<gpr_timespec> deadline_;
  std::vector<Server> servers_;
};

}  // namespace

ExitCode Generate(const ConnectionOptions& connection, GenerateOptions options) {
  CurrentCall current;
  // Outlives the files, so that no signal keeps them from being cleaned up.
  std::optional<CancelOnInterrupt> interrupt;
  PictureFiles files(PlanOf(options));
  if (const std::optional<ExitCode> code = Refused(options, files)) return *code;
  GenerateCall call(connection, current);
  if (options.watch && !options.request.preview().has_every_n_steps()) {
    options.request.mutable_preview()->set_every_n_steps(PreviewInterval(connection, call.first(), options.request));
  }
  ProgressBar bar(stderr);
  GenerateSession session(options, files, bar);
  interrupt.emplace([&current] { current.Cancel(); });
  const std::optional<grpc::Status> status = call.Run(session);
  bar.Clear();
  if (!status.has_value() || Interrupted()) return Interrupted() ? kInterrupted : kFailed;
  if (!status->ok()) return Fail(ExitCodeOf(*status), Describe(*status));
  if (!session.Complete()) return Fail(kFailed, "the answer ended before the last picture");
  session.Report();
  return kOk;
}

}  // namespace stepcast::cli
