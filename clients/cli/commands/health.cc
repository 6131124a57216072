#include "clients/cli/commands/health.h"

#include <signal.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>

#include "grpc/health/v1/health.grpc.pb.h"
#include "grpc/support/time.h"

namespace stepcast::cli {
namespace {

using grpc::health::v1::HealthCheckResponse;

// One of many looks while waiting: short, so that the end of the process is seen; the only one: as long as a server
// that is busy may need.
constexpr double kLookSeconds = 0.25;
constexpr double kOnlyLookSeconds = 2;

gpr_timespec After(double seconds) {
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                      gpr_time_from_millis(static_cast<int64_t>(seconds * 1000), GPR_TIMESPAN));
}

// What one look saw.
struct Look {
  bool serving = false;
  std::string found;
};

// A look is a short Watch: it returns at the first SERVING and never spins.
Look LookOnce(grpc::health::v1::Health::Stub& stub, const HealthOptions& options, double seconds) {
  grpc::ClientContext context;
  context.set_deadline(After(seconds));
  context.set_wait_for_ready(options.wait_s > 0);
  grpc::health::v1::HealthCheckRequest request;
  request.set_service(options.service);
  const auto reader = stub.Watch(&context, request);
  HealthCheckResponse response;
  Look look;
  while (!look.serving && reader->Read(&response)) {
    look.serving = response.status() == HealthCheckResponse::SERVING;
    look.found = HealthCheckResponse::ServingStatus_Name(response.status());
    if (look.serving || options.wait_s <= 0) context.TryCancel();
  }
  const grpc::Status status = reader->Finish();
  if (look.found.empty()) look.found = "no answer: " + Describe(status);
  return look;
}

}  // namespace

ExitCode Health(const ConnectionOptions& connection, const HealthOptions& options) {
  const gpr_timespec end = After(options.wait_s);
  const auto stub = grpc::health::v1::Health::NewStub(Connect(connection));
  double seconds = options.wait_s > 0 ? kLookSeconds : kOnlyLookSeconds;
  if (connection.timeout_s > 0) {
    seconds = options.wait_s > 0 ? std::min(seconds, connection.timeout_s) : connection.timeout_s;
  }
  for (;;) {
    const Look look = LookOnce(*stub, options, seconds);
    if (look.serving) {
      std::printf("SERVING\n");
      return kOk;
    }
    const bool gone = options.while_pid > 0 && kill(options.while_pid, 0) != 0;
    if (gone || gpr_time_cmp(gpr_now(GPR_CLOCK_MONOTONIC), end) >= 0) {
      std::fprintf(stderr, "stepcast: %s: %s\n", options.service.c_str(), look.found.c_str());
      return kUnavailable;
    }
  }
}

}  // namespace stepcast::cli
