#include "server/process/listener.h"

#include <grpc/support/time.h>
#include <grpcpp/ext/channelz_service_plugin.h>
#include <grpcpp/impl/server_builder_option.h>
#include <grpcpp/impl/server_builder_plugin.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include <sys/stat.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/low_priority.h"
#include "server/config/host_check.h"

namespace stepcast {
namespace {

constexpr int kMaxThreads = 64;

// These libraries add themselves to every builder of the process.
constexpr char kReflection[] = "proto_server_reflection";
constexpr char kChannelz[] = "channelz_service";

class Without final : public grpc::ServerBuilderOption {
 public:
  explicit Without(std::string plugin) : plugin_(std::move(plugin)) {}

  void UpdateArguments(grpc::ChannelArguments*) override {}
  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>* plugins) override {
    std::erase_if(*plugins, [this](const auto& plugin) { return plugin->name() == plugin_; });
  }

 private:
  const std::string plugin_;
};

void NeedChannelz() {
  [[maybe_unused]] static const bool added = [] {
    grpc::channelz::experimental::InitChannelzService();
    return true;
  }();
}

// Of "unix:/path".
const char* PathOf(const std::string& host) { return host.c_str() + host.find(':') + 1; }

int Millis(absl::Duration span) { return static_cast<int>(absl::ToInt64Milliseconds(span)); }

void BoundConnections(const ListenerOptions& options, grpc::ServerBuilder& builder) {
  // Two servers on one port would each get half of the calls.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // Finds dead peers.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, Millis(options.ping_after));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Millis(options.ping_patience));
  // Also: clients may ping while they have no call, which gRPC would otherwise allow every two hours.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, Millis(options.min_ping_interval));
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 2);
  // Lets balancers even out; the grace must exceed the longest request.
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS, Millis(absl::Minutes(30)));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, Millis(absl::Hours(1)));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, Millis(absl::Minutes(15)));
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, Millis(absl::Seconds(10)));
  // Streams beyond a cap wait invisibly in the client and burn its deadline: admission refuses, not the transport.
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, options.max_calls_per_connection);
}

void BoundCalls(const ListenerOptions& options, grpc::ServerBuilder& builder) {
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, options.max_metadata_bytes);
  builder.SetMaxReceiveMessageSize(static_cast<int>(std::min<int64_t>(options.max_receive_bytes, 1 << 30)));
  builder.SetMaxSendMessageSize(-1);
  // gRPC inflates a message as a whole, and measures it afterwards.
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
  // The refusal of the algorithm is told while the message is on its way: nothing may inflate it meanwhile.
  builder.AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
  // Buffers of all connections together, and the threads of gRPC's own services (reflection), one for each of their
  // calls.
  grpc::ResourceQuota quota(options.name);
  quota.Resize(static_cast<size_t>(options.max_buffered_bytes)).SetMaxThreads(kMaxThreads);
  builder.SetResourceQuota(quota);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Listener>> Listener::Start(const ListenerOptions& options) {
  if (options.channelz) NeedChannelz();
  grpc::ServerBuilder builder;
  int port = 0;
  const bool unix_socket = IsUnixSocket(options.host);
  const std::string address = unix_socket ? options.host : JoinHostPort(options.host, options.port);
  builder.AddListeningPort(
      address, options.credentials != nullptr ? options.credentials : grpc::InsecureServerCredentials(), &port);
  BoundConnections(options, builder);
  BoundCalls(options, builder);
  if (!options.reflection) builder.SetOption(std::make_unique<Without>(kReflection));
  if (!options.channelz) builder.SetOption(std::make_unique<Without>(kChannelz));
  for (grpc::Service* service : options.services) builder.RegisterService(service);
  // Nobody comes in before the socket has its mode.
  const mode_t before = unix_socket ? umask(0177) : 0;
  std::unique_ptr<grpc::Server> server;
  // gRPC's threads have the niceness of the one that starts them.
  std::thread([&] {
    LowerOwnPriority(kAnswering);
    server = builder.BuildAndStart();
  }).join();
  if (unix_socket) {
    umask(before);
    if (server != nullptr && chmod(PathOf(options.host), static_cast<mode_t>(options.socket_mode)) != 0) port = 0;
  }
  if (server == nullptr || port == 0) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "%s cannot listen on %s: the port is in use or the address is not this machine's", options.name, address));
  }
  return std::unique_ptr<Listener>(new Listener(std::move(server), unix_socket ? 0 : port));
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
