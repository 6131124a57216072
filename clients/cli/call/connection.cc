#include "clients/cli/call/connection.h"

#include <cstdint>
#include <cstdlib>

#include <grpc/support/log.h>
#include <grpc/support/time.h>

#include "clients/cli/call/address.h"
#include "google/protobuf/stubs/logging.h"

namespace stepcast::cli {
namespace {

// A refusal reaches the client before any message, so these calls can be repeated safely; a server that
// knows better sends a pushback, which gRPC obeys.
constexpr char kServiceConfig[] = R"({
  "methodConfig": [{
    "name": [{"service": "stepcast.v1.ImageGenerationService"}],
    "retryPolicy": {"maxAttempts": 3, "initialBackoff": "0.5s", "maxBackoff": "5s", "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"]}
  }]
})";

constexpr int kMaxAnswerBytes = 64 << 20;
constexpr int kKeepaliveMs = 30'000;

}  // namespace

std::shared_ptr<grpc::Channel> Connect(const ConnectionOptions& options) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxAnswerBytes);
  arguments.SetServiceConfigJSON(kServiceConfig);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  arguments.SetUserAgentPrefix("stepcast-cli");
  std::string problem;
  const Address address = ParseAddress(options.host, options.default_port, problem).value_or(Address{options.host});
  if (address.loopback) arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return grpc::CreateCustomChannel(address.target, grpc::InsecureChannelCredentials(), arguments);
}

void Prepare(const ConnectionOptions& options, grpc::ClientContext& context) {
  if (options.timeout_s > 0) {
    const auto milliseconds = static_cast<int64_t>(options.timeout_s * 1000);
    context.set_deadline(gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(milliseconds, GPR_TIMESPAN)));
  }
  if (!options.tenant.empty()) context.AddMetadata("x-stepcast-tenant", options.tenant);
}

void SilenceLibraries() {
  google::protobuf::SetLogHandler(nullptr);
  if (std::getenv("GRPC_VERBOSITY") != nullptr || std::getenv("GRPC_TRACE") != nullptr) return;
  gpr_set_log_function([](gpr_log_func_args* /*message*/) {});
}

}  // namespace stepcast::cli
