#include "clients/cli/commands/top.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include <nlohmann/json.hpp>

#include "clients/cli/call/interrupt.h"
#include "clients/cli/files/standard_output.h"
#include "clients/cli/views/message_json.h"
#include "clients/cli/views/top_view.h"
#include "grpc/support/time.h"
#include "stepcast/v1/scheduler.grpc.pb.h"

namespace stepcast::cli {
namespace {

namespace v1 = ::stepcast::v1;

// GetSchedule waits for the running tick of each device.
constexpr double kAnswerSeconds = 30;

gpr_timespec After(double seconds) {
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                      gpr_time_from_millis(static_cast<int64_t>(seconds * 1000), GPR_TIMESPAN));
}

// Watches ticks for one interval. OK, or why watching ended early.
grpc::Status Watch(v1::SchedulerService::Stub& stub, TopFrame& frame) {
  grpc::ClientContext context;
  context.set_deadline(After(frame.seconds));
  const CancelOnInterrupt interrupt([&context] { context.TryCancel(); });
  const auto reader = stub.WatchTicks(&context, {});
  v1::WatchTicksResponse response;
  while (reader->Read(&response)) {
    frame.dropped = response.dropped();
    frame.ticks.push_back(std::move(*response.mutable_tick()));
  }
  const grpc::Status status = reader->Finish();
  return status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED ? grpc::Status::OK : status;
}

void PrintJson(const TopFrame& frame) {
  nlohmann::json json = {{"schedule", MessageJson(frame.schedule)},
                         {"ticks", nlohmann::json::array()},
                         {"dropped", frame.dropped},
                         {"seconds", frame.seconds}};
  for (const v1::Tick& tick : frame.ticks) json["ticks"].push_back(MessageJson(tick));
  std::printf("%s\n", AsOneLine(json).c_str());
}

void Draw(const TopFrame& frame, bool once) {
  int width = 80;
  int height = 24;
  winsize size{};
  const bool terminal = isatty(STDOUT_FILENO) == 1;
  if (terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40 && size.ws_row >= 8) {
    width = size.ws_col;
    height = size.ws_row - 1;
  }
  // Once, or into a file: everything, and nothing that moves a cursor.
  const bool redraw = terminal && !once;
  constexpr int kEverything = 100'000;
  const std::string text = RenderTop(frame, width, redraw ? height : kEverything);
  std::fputs(redraw ? "\033[H\033[J" : "", stdout);
  std::fputs(text.c_str(), stdout);
}

ExitCode Fail(const grpc::Status& status) {
  if (status.error_code() == grpc::StatusCode::CANCELLED) return kInterrupted;
  std::fprintf(stderr, "stepcast: %s%s\n", Describe(status).c_str(),
               status.error_code() == grpc::StatusCode::UNIMPLEMENTED ? "; --admin must name the admin port" : "");
  return ExitCodeOf(status);
}

}  // namespace

ExitCode Top(const ConnectionOptions& connection, const TopOptions& options) {
  const auto stub = v1::SchedulerService::NewStub(Connect(connection));
  for (;;) {
    TopFrame frame{.host = connection.host, .seconds = options.interval_s};
    if (const grpc::Status status = Watch(*stub, frame); !status.ok()) return Fail(status);
    grpc::ClientContext context;
    context.set_deadline(After(connection.timeout_s > 0 ? connection.timeout_s : kAnswerSeconds));
    {
      const CancelOnInterrupt interrupt([&context] { context.TryCancel(); });
      if (const grpc::Status status = stub->GetSchedule(&context, {}, &frame.schedule); !status.ok()) {
        return Fail(status);
      }
    }
    if (options.json) {
      PrintJson(frame);
    } else {
      Draw(frame, options.once);
    }
    // A reader that is gone ends it.
    const ExitCode told = FlushStandardOutput(kOk);
    if (options.once || told != kOk) return told;
  }
}

}  // namespace stepcast::cli
