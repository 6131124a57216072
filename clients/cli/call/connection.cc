#include "clients/cli/call/connection.h"

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>

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

bool ReadWhole(const std::string& path, std::string& text) {
  std::ifstream file(path, std::ios::binary);
  text.assign(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  return !file.bad() && !text.empty();
}

std::shared_ptr<grpc::ChannelCredentials> Credentials(const ConnectionOptions& options) {
  if (!options.secure()) return grpc::InsecureChannelCredentials();
  grpc::SslCredentialsOptions ssl;
  if (!options.ca_file.empty()) ReadWhole(options.ca_file, ssl.pem_root_certs);
  if (!options.cert_file.empty()) {
    ReadWhole(options.cert_file, ssl.pem_cert_chain);
    ReadWhole(options.key_file, ssl.pem_private_key);
  }
  return grpc::SslCredentials(ssl);
}

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
  const std::string host = HostsOf(options).front();
  const Address address = ParseAddress(host, options.default_port, problem).value_or(Address{host});
  if (address.loopback) arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return grpc::CreateCustomChannel(address.target, Credentials(options), arguments);
}

std::string FindSecurityMistake(const ConnectionOptions& options) {
  if (options.cert_file.empty() != options.key_file.empty()) return "--cert and --key go together";
  std::string text;
  for (const std::string* file : {&options.ca_file, &options.cert_file, &options.key_file}) {
    if (!file->empty() && !ReadWhole(*file, text)) return "'" + *file + "' cannot be read";
  }
  for (const std::string& host : HostsOf(options)) {
    std::string problem;
    const std::optional<Address> address = ParseAddress(host, options.default_port, problem);
    if (!options.token.empty() && !options.secure() && address.has_value() && !address->loopback) {
      return "a token must not go to '" + host + "' in plaintext: add --tls, or reach it through a tunnel";
    }
  }
  return "";
}

std::vector<std::string> HostsOf(const ConnectionOptions& options) {
  std::vector<std::string> hosts;
  std::istringstream text(options.host);
  for (std::string host; std::getline(text, host, ',');) hosts.push_back(host);
  if (hosts.empty() || options.host.back() == ',') hosts.emplace_back();
  return hosts;
}

std::optional<gpr_timespec> DeadlineOf(const ConnectionOptions& options) {
  if (options.timeout_s <= 0) return std::nullopt;
  const auto milliseconds = static_cast<int64_t>(options.timeout_s * 1000);
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(milliseconds, GPR_TIMESPAN));
}

void Prepare(const ConnectionOptions& options, grpc::ClientContext& context) {
  if (const std::optional<gpr_timespec> deadline = DeadlineOf(options)) context.set_deadline(*deadline);
  if (!options.tenant.empty()) context.AddMetadata("x-stepcast-tenant", options.tenant);
  if (!options.token.empty()) context.AddMetadata("authorization", "Bearer " + options.token);
}

void SilenceLibraries() {
  google::protobuf::SetLogHandler(nullptr);
  if (std::getenv("GRPC_VERBOSITY") != nullptr || std::getenv("GRPC_TRACE") != nullptr) return;
  gpr_set_log_function([](gpr_log_func_args* /*message*/) {});
}

}  // namespace stepcast::cli
