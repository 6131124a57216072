#pragma once
// A whole server in this process, on free ports, over a scripted device; and clients of it.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "core/model_info.h"
#include "server/config/config.h"
#include "server/process/server.h"
#include "stepcast/v1/image_generation.grpc.pb.h"
#include "tests/server/fake_host.h"
#include "tests/support/fake_executor.h"
#include "tests/support/simulated_clock.h"

namespace stepcast {

// All that one Generate call told.
struct StreamResult {
  grpc::Status status;
  std::vector<v1::GenerateResponse> messages;
  std::string reason;      // ErrorInfo.reason; "" without one
  std::string request_id;  // trailer x-request-id
  std::string pushback;    // trailer grpc-retry-pushback-ms

  std::vector<v1::GenerateResponse> Of(v1::GenerateResponse::EventCase kind) const;
  // The files of the pictures by image index, put together from their chunks; "" for one that did not come.
  std::vector<std::string> Pictures(int count) const;
};

// The reason and the violations that a status carries.
std::string ReasonIn(const grpc::Status& status);
std::vector<std::string> ViolationsIn(const grpc::Status& status);
std::string MetadataIn(const grpc::Status& status, const std::string& key);

// Sends `bytes` as the message of a unary method, whatever they are, and returns how the call ended.
grpc::Status CallRaw(const std::shared_ptr<grpc::Channel>& channel, grpc::ClientContext& context,
                     const std::string& path, const std::string& bytes);

class ServiceFixture : public testing::Test {
 protected:
  // Pictures of this executor's previews are noise that no codec makes small.
  static std::unique_ptr<StepExecutor> WithNoisyPreviews(std::unique_ptr<StepExecutor> executor, int side);

  ~ServiceFixture() override;

  // Ports 0, one text model "texty" (default) and "digits", queue of 8.
  static ServerConfig TestConfig();
  // Binds and serves. `executor` null: a fake one over `device_`.
  void Start(ServerConfig config = TestConfig(), std::unique_ptr<StepExecutor> executor = nullptr);
  // Binds only: the models still load.
  void Bind(ServerConfig config = TestConfig());
  void ServeModels(std::unique_ptr<StepExecutor> executor = nullptr);

  std::shared_ptr<grpc::Channel> NewChannel(grpc::ChannelArguments arguments = {}) const;
  std::unique_ptr<v1::ImageGenerationService::Stub> NewStub() const;
  // Runs a request, in text form, to its end.
  StreamResult Generate(const std::string& request) const;
  StreamResult Generate(const std::string& request, grpc::ClientContext& context) const;
  // Reads what is left of a stream.
  static StreamResult Drain(grpc::ClientReader<v1::GenerateResponse>& reader, grpc::ClientContext& context);
  // Sends bytes instead of a message; the answer's status.
  grpc::Status SendRaw(const std::string& method, const std::string& bytes) const;
  // GET /metrics.
  std::string Scrape() const;
  // The sum of the series that start with `prefix`; -1 when there is none.
  double Series(const std::string& prefix) const;
  // Waits until no call and no job is left.
  [[nodiscard]] bool AwaitIdle() const;

  SimulatedClock clock_;
  FakeDevice device_;
  // Set before ServeModels: who loads models while the server serves, and which are not in memory at the start.
  std::shared_ptr<HostScript> host_;
  std::vector<std::string> unloaded_;
  std::vector<SharedModelInfo> more_models_;  // beside texty and digits
  std::unique_ptr<Server> server_;
};

}  // namespace stepcast
