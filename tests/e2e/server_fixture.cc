#include "tests/e2e/server_fixture.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <map>
#include <sstream>

#include <nlohmann/json.hpp>

#include "codec/files/image_codec.h"

namespace stepcast::e2e {

namespace v1 = ::stepcast::v1;

std::string BinaryPath(const std::string& name) { return std::string(STEPCAST_BINARY_DIR) + "/" + name; }

Server::Server(const std::vector<std::string>& extra_flags) {
  static int count = 0;
  const std::string base =
      testing::TempDir() + "stepcast_e2e_" + std::to_string(getpid()) + "_" + std::to_string(count++);
  const std::string ports = base + "_ports.json";
  log_path_ = base + ".log";
  std::vector<std::string> command = {BinaryPath("stepcast-server"),
                                      std::string("--models_dir=") + STEPCAST_SOURCE_DIR + "/models",
                                      "--default_model=emoji",
                                      "--port=0",
                                      "--admin_port=0",
                                      "--metrics_port=0",
                                      "--profile_budget=0",
                                      "--port_file=" + ports};
  command.insert(command.end(), extra_flags.begin(), extra_flags.end());
  process_ = std::make_unique<ChildProcess>(command, log_path_);
  // The file appears in one piece once the server listens; `stepcast health --wait` then waits for readiness.
  nlohmann::json json;
  while (process_->Running()) {
    json = nlohmann::json::parse(ReadFile(ports), nullptr, false);
    if (!json.is_discarded()) break;
    sched_yield();
  }
  if (json.is_discarded() || !json.is_object()) {
    ADD_FAILURE() << "the server did not start:\n" << log();
    return;
  }
  address_ = "127.0.0.1:" + std::to_string(json.at("port").get<int>());
  admin_address_ = "127.0.0.1:" + std::to_string(json.at("admin_port").get<int>());
  metrics_port_ = json.at("metrics_port").get<int>();
  const ExitReport health = RunProgram({BinaryPath("stepcast"), "--host", address_, "health", "--wait", "120",
                                        "--while-pid", std::to_string(process_->pid())});
  EXPECT_EQ(health.code, 0) << health.output << log();
}

std::shared_ptr<grpc::Channel> Server::NewChannel() const {
  grpc::ChannelArguments arguments;
  // A pool of its own, or all channels of the process would share one connection.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(address_, grpc::InsecureChannelCredentials(), arguments);
}

std::unique_ptr<v1::ImageGenerationService::Stub> Server::NewStub() const {
  return v1::ImageGenerationService::NewStub(NewChannel());
}

std::string Server::Metrics() const {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(metrics_port_));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string answer;
  const std::string question = "GET /metrics HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  if (connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)) == 0 &&
      write(fd, question.data(), question.size()) == static_cast<ssize_t>(question.size())) {
    char buffer[8192];
    for (ssize_t n; (n = read(fd, buffer, sizeof(buffer))) > 0;) answer.append(buffer, static_cast<size_t>(n));
  }
  close(fd);
  return answer;
}

double Server::Metric(const std::string& prefix) const {
  std::istringstream page(Metrics());
  double sum = 0;
  for (std::string line; std::getline(page, line);) {
    if (line.rfind(prefix, 0) == 0) sum += std::stod(line.substr(line.rfind(' ') + 1));
  }
  return sum;
}

StreamResult Generate(const Server& server, const v1::GenerateRequest& request, grpc::ClientContext& context) {
  auto stub = server.NewStub();
  auto reader = stub->Generate(&context, request);
  StreamResult result;
  std::map<int, v1::ImageChunk> parts;
  v1::GenerateResponse response;
  int64_t sequence = -1;
  while (reader->Read(&response)) {
    EXPECT_GT(response.sequence(), sequence);
    sequence = response.sequence();
    if (response.has_accepted()) result.accepted = response.accepted();
    if (response.has_progress()) result.progress.push_back(response.progress());
    if (response.has_preview()) result.previews.push_back(response.preview());
    if (response.has_completed()) result.completed = response.completed();
    if (response.has_image_chunk()) {
      v1::ImageChunk& part = parts[response.image_chunk().image_index()];
      const std::string before = part.data();
      part = response.image_chunk();
      part.set_data(before + response.image_chunk().data());
      if (static_cast<int64_t>(part.data().size()) == part.total_bytes()) result.images.push_back(part);
    }
  }
  result.status = reader->Finish();
  return result;
}

StreamResult Generate(const Server& server, const v1::GenerateRequest& request) {
  grpc::ClientContext context;
  return Generate(server, request, context);
}

Image Decode(const std::string& bytes) {
  auto image = DecodeImage(bytes, DecodeLimits{});
  EXPECT_TRUE(image.ok()) << image.status();
  return image.ok() ? *std::move(image) : Image{};
}

double MeanSquaredError(const Image& a, const Image& b) {
  EXPECT_EQ(a.pixels.size(), b.pixels.size());
  if (a.pixels.empty() || a.pixels.size() != b.pixels.size()) return 1e9;
  double sum = 0;
  for (size_t i = 0; i < a.pixels.size(); ++i) {
    const double d = static_cast<double>(a.pixels[i]) - b.pixels[i];
    sum += d * d;
  }
  return sum / static_cast<double>(a.pixels.size());
}

}  // namespace stepcast::e2e
