#include "server/process/listener.h"

#include <grpc/support/time.h>
#include <grpcpp/impl/server_builder_option.h>
#include <grpcpp/impl/server_builder_plugin.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace stepcast {
namespace {

// The reflection library adds itself to every builder of the process.
class WithoutReflection final : public grpc::ServerBuilderOption {
 public:
  void UpdateArguments(grpc::ChannelArguments*) override {}
  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>* plugins) override {
    std::erase_if(*plugins, [](const auto& plugin) { return plugin->name() == "proto_server_reflection"; });
  }
};

int Millis(absl::Duration span) { return static_cast<int>(absl::ToInt64Milliseconds(span)); }

void AddChannelArguments(grpc::ServerBuilder& builder) {
  // Two servers on one port would each get half of the calls.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // Finds dead peers; tolerates clients that ping every 10 s, where the default sends them away.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, Millis(absl::Seconds(30)));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Millis(absl::Seconds(10)));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, Millis(absl::Seconds(10)));
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 2);
  // Lets balancers even out; the grace must exceed the longest request.
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS, Millis(absl::Minutes(30)));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, Millis(absl::Hours(1)));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, Millis(absl::Minutes(15)));
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, Millis(absl::Seconds(10)));
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, 8 << 10);
  // Streams beyond a cap wait invisibly in the client and burn its deadline: admission refuses, not the transport.
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 10'000);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Listener>> Listener::Start(const ListenerOptions& options) {
  grpc::ServerBuilder builder;
  int port = 0;
  const std::string address = JoinHostPort(options.host, options.port);
  builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port);
  AddChannelArguments(builder);
  builder.SetMaxReceiveMessageSize(static_cast<int>(std::min<int64_t>(options.max_receive_bytes, 1 << 30)));
  builder.SetMaxSendMessageSize(-1);
  // Buffers of all connections together; gRPC slows reading down as it fills.
  builder.SetResourceQuota(grpc::ResourceQuota(options.name).Resize(size_t{1} << 30));
  if (!options.reflection) builder.SetOption(std::make_unique<WithoutReflection>());
  for (grpc::Service* service : options.services) builder.RegisterService(service);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || port == 0) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "%s cannot listen on %s: the port is in use or the address is not this machine's", options.name, address));
  }
  return std::unique_ptr<Listener>(new Listener(std::move(server), port));
}

Listener::~Listener() { Shutdown(absl::ZeroDuration()); }

void Listener::Shutdown(absl::Duration grace) {
  server_->Shutdown(gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(Millis(grace), GPR_TIMESPAN)));
}

std::string JoinHostPort(const std::string& host, int port) {
  const bool bare_ipv6 = host.find(':') != std::string::npos && !host.starts_with('[');
  return bare_ipv6 ? absl::StrCat("[", host, "]:", port) : absl::StrCat(host, ":", port);
}

}  // namespace stepcast
