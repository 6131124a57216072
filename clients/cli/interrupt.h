#pragma once
// Ctrl-C cancels the running call, so that the server stops painting at once.

#include <thread>

#include <grpcpp/grpcpp.h>

namespace stepcast::cli {

// While it lives, SIGINT and SIGTERM cancel `context`. One at a time.
class CancelOnInterrupt {
 public:
  explicit CancelOnInterrupt(grpc::ClientContext& context);
  ~CancelOnInterrupt();

  CancelOnInterrupt(const CancelOnInterrupt&) = delete;
  CancelOnInterrupt& operator=(const CancelOnInterrupt&) = delete;

 private:
  int signal_fd_ = -1;
  int stop_fd_ = -1;
  std::thread thread_;
};

}  // namespace stepcast::cli
