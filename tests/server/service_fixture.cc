#include "tests/server/service_fixture.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <random>
#include <sstream>
#include <utility>

#include <google/protobuf/text_format.h>
#include <grpcpp/generic/generic_stub.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "tests/server/fake_models.h"

namespace stepcast {
namespace {

template <typename Detail>
Detail DetailIn(const grpc::Status& status) {
  google::rpc::Status details;
  details.ParseFromString(status.error_details());
  Detail detail;
  for (const google::protobuf::Any& any : details.details()) {
    if (any.UnpackTo(&detail)) break;
  }
  return detail;
}

std::string Trailer(const grpc::ClientContext& context, const std::string& key) {
  const auto found = context.GetServerTrailingMetadata().find(key);
  if (found == context.GetServerTrailingMetadata().end()) return "";
  return std::string(found->second.data(), found->second.size());
}

class NoisyExecutor final : public StepExecutor {
 public:
  NoisyExecutor(std::unique_ptr<StepExecutor> executor, int side) : executor_(std::move(executor)), side_(side) {}

  absl::Status Start(Job& job) override { return executor_->Start(job); }
  ExecutorLimits Limits() const override { return executor_->Limits(); }
  std::vector<StepResult> Execute(const StepPlan& plan, absl::Span<Job* const> jobs) override {
    std::vector<StepResult> results = executor_->Execute(plan, jobs);
    for (StepResult& result : results) {
      if (result.preview != nullptr) result.preview = Noise();
    }
    return results;
  }

 private:
  SharedImage Noise() {
    auto image = std::make_shared<Image>();
    image->width = side_;
    image->height = side_;
    image->pixels.resize(static_cast<size_t>(side_) * static_cast<size_t>(side_) * 3);
    for (uint8_t& byte : image->pixels) byte = static_cast<uint8_t>(random_());
    return image;
  }

  const std::unique_ptr<StepExecutor> executor_;
  const int side_;
  std::mt19937 random_{7};
};

}  // namespace

std::vector<v1::GenerateResponse> StreamResult::Of(v1::GenerateResponse::EventCase kind) const {
  std::vector<v1::GenerateResponse> found;
  for (const v1::GenerateResponse& message : messages) {
    if (message.event_case() == kind) found.push_back(message);
  }
  return found;
}

std::vector<std::string> StreamResult::Pictures(int count) const {
  std::vector<std::string> pictures(static_cast<size_t>(count));
  for (const v1::GenerateResponse& message : Of(v1::GenerateResponse::kImageChunk)) {
    const v1::ImageChunk& chunk = message.image_chunk();
    std::string& picture = pictures.at(static_cast<size_t>(chunk.image_index()));
    EXPECT_EQ(static_cast<int64_t>(picture.size()), chunk.offset());
    picture += chunk.data();
  }
  return pictures;
}

std::string ReasonIn(const grpc::Status& status) { return DetailIn<google::rpc::ErrorInfo>(status).reason(); }

std::vector<std::string> ViolationsIn(const grpc::Status& status) {
  const auto bad_request = DetailIn<google::rpc::BadRequest>(status);
  std::vector<std::string> fields;
  for (const auto& violation : bad_request.field_violations()) fields.push_back(violation.field());
  return fields;
}

std::string MetadataIn(const grpc::Status& status, const std::string& key) {
  const google::rpc::ErrorInfo info = DetailIn<google::rpc::ErrorInfo>(status);
  const auto found = info.metadata().find(key);
  return found == info.metadata().end() ? "" : found->second;
}

std::unique_ptr<StepExecutor> ServiceFixture::WithNoisyPreviews(std::unique_ptr<StepExecutor> executor, int side) {
  return std::make_unique<NoisyExecutor>(std::move(executor), side);
}

ServiceFixture::~ServiceFixture() {
  device_.Release();
  if (host_ != nullptr) host_->Release();
  server_.reset();
  EXPECT_EQ(device_.live_states(), 0) << "a job's state outlived the server";
}

ServerConfig ServiceFixture::TestConfig() {
  ServerConfig config;
  config.listen.port = 0;
  config.listen.admin_port = 0;
  config.listen.metrics_port.reset();  // its library takes two seconds to stop
  config.scheduler.admission.max_queued_jobs = 8;
  config.scheduler.profile.budget = absl::ZeroDuration();
  config.codec.threads = 1;
  return config;
}

void ServiceFixture::Bind(ServerConfig config) {
  auto server = Server::Create(std::move(config), clock_);
  ASSERT_TRUE(server.ok()) << server.status();
  server_ = *std::move(server);
}

void ServiceFixture::ServeModels(std::unique_ptr<StepExecutor> executor) {
  LoadedEngine engine;
  ModelInfo texty = TextModel();
  texty.limits.max_side = 1024;
  texty.limits.max_area = 1 << 20;
  engine.models = {Share(std::move(texty)), Share(ClassModel())};
  engine.models.insert(engine.models.end(), more_models_.begin(), more_models_.end());
  engine.devices.push_back(
      {.name = "cpu", .executor = executor != nullptr ? std::move(executor) : MakeFakeExecutor(device_)});
  if (host_ != nullptr) {
    for (const SharedModelInfo& info : engine.models) host_->Set(info);
    engine.host = std::make_unique<FakeHost>(host_);
    engine.unloaded = unloaded_;
  }
  const absl::Status served = server_->Serve(std::move(engine), &LoadFakeTokenizer);
  ASSERT_TRUE(served.ok()) << served;
}

void ServiceFixture::Start(ServerConfig config, std::unique_ptr<StepExecutor> executor) {
  Bind(std::move(config));
  if (server_ != nullptr) ServeModels(std::move(executor));
}

std::shared_ptr<grpc::Channel> ServiceFixture::NewChannel(grpc::ChannelArguments arguments) const {
  // A pool of its own, or all channels of the process would share one connection.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(server_->ports().grpc),
                                   grpc::InsecureChannelCredentials(), arguments);
}

std::unique_ptr<v1::ImageGenerationService::Stub> ServiceFixture::NewStub() const {
  return v1::ImageGenerationService::NewStub(NewChannel());
}

StreamResult ServiceFixture::Generate(const std::string& request) const {
  grpc::ClientContext context;
  return Generate(request, context);
}

StreamResult ServiceFixture::Generate(const std::string& request, grpc::ClientContext& context) const {
  v1::GenerateRequest message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(request, &message)) << request;
  const auto stub = NewStub();
  const auto reader = stub->Generate(&context, message);
  return Drain(*reader, context);
}

StreamResult ServiceFixture::Drain(grpc::ClientReader<v1::GenerateResponse>& reader, grpc::ClientContext& context) {
  StreamResult result;
  v1::GenerateResponse response;
  while (reader.Read(&response)) result.messages.push_back(response);
  result.status = reader.Finish();
  result.reason = ReasonIn(result.status);
  result.request_id = Trailer(context, "x-request-id");
  result.pushback = Trailer(context, "grpc-retry-pushback-ms");
  return result;
}

grpc::Status CallRaw(const std::shared_ptr<grpc::Channel>& channel, grpc::ClientContext& context,
                     const std::string& path, const std::string& bytes) {
  grpc::GenericStub stub(channel);
  grpc::CompletionQueue queue;
  const grpc::Slice slice(bytes);
  const grpc::ByteBuffer request(&slice, 1);
  const auto call = stub.PrepareUnaryCall(&context, path, request, &queue);
  grpc::ByteBuffer response;
  grpc::Status status;
  call->StartCall();
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  return status;
}

grpc::Status ServiceFixture::SendRaw(const std::string& method, const std::string& bytes) const {
  grpc::ClientContext context;
  return CallRaw(NewChannel(), context, "/stepcast.v1.ImageGenerationService/" + method, bytes);
}

std::string ServiceFixture::Scrape() const {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(server_->ports().metrics));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const std::string question = "GET /metrics HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  std::string answer;
  if (connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)) == 0 &&
      write(fd, question.data(), question.size()) == static_cast<ssize_t>(question.size())) {
    char buffer[8192];
    for (ssize_t n; (n = read(fd, buffer, sizeof(buffer))) > 0;) answer.append(buffer, static_cast<size_t>(n));
  }
  close(fd);
  return answer;
}

double ServiceFixture::Series(const std::string& prefix) const {
  std::istringstream page(prometheus::TextSerializer().Serialize(server_->metrics().registry()->Collect()));
  double sum = 0;
  bool found = false;
  for (std::string line; std::getline(page, line);) {
    if (line.rfind(prefix, 0) != 0) continue;
    sum += std::stod(line.substr(line.rfind(' ') + 1));
    found = true;
  }
  return found ? sum : -1;
}

bool ServiceFixture::AwaitIdle() const {
  return Await([this] { return server_->Idle() && server_->engine_idle(); });
}

}  // namespace stepcast
