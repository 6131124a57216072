#pragma once
// The real server binary with the bundled model, on free ports.

#include <memory>
#include <string>
#include <vector>

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "core/image.h"
#include "stepcast/v1/image_generation.grpc.pb.h"
#include "tests/e2e/child_process.h"

namespace stepcast::e2e {

// Everything one Generate call told.
struct StreamResult {
  grpc::Status status;
  stepcast::v1::Accepted accepted;
  std::vector<stepcast::v1::Progress> progress;
  std::vector<stepcast::v1::Preview> previews;
  std::vector<stepcast::v1::ImageChunk> images;  // reassembled; one per picture
  stepcast::v1::Completed completed;
};

// One server per test suite: loading the model costs more than most tests. Tests that end their server
// start one of their own.
class Server {
 public:
  explicit Server(const std::vector<std::string>& extra_flags = {});

  // "127.0.0.1:port" of each listener.
  const std::string& address() const { return address_; }
  const std::string& admin_address() const { return admin_address_; }
  int metrics_port() const { return metrics_port_; }
  ChildProcess& process() { return *process_; }
  std::string log() const { return ReadFile(log_path_); }

  std::unique_ptr<stepcast::v1::ImageGenerationService::Stub> NewStub() const;
  std::shared_ptr<grpc::Channel> NewChannel() const;

  // The metrics page.
  std::string Metrics() const;
  // Sum of all series whose line starts with `prefix`.
  double Metric(const std::string& prefix) const;

 private:
  std::string log_path_;
  std::unique_ptr<ChildProcess> process_;
  std::string address_;
  std::string admin_address_;
  int metrics_port_ = 0;
};

StreamResult Generate(const Server& server, const stepcast::v1::GenerateRequest& request);

// Runs `request` to the end over an existing context.
StreamResult Generate(const Server& server, const stepcast::v1::GenerateRequest& request, grpc::ClientContext& context);

// Decodes a PNG or JPEG that the server sent; fails the test when it cannot.
Image Decode(const std::string& bytes);

// Mean squared difference of two pictures of equal size, in squared steps of 0..255.
double MeanSquaredError(const Image& a, const Image& b);

std::string BinaryPath(const std::string& name);

}  // namespace stepcast::e2e
