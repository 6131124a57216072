#pragma once
// Where and when a painting call is taken up again. The same rules as in the other clients.

#include <optional>
#include <string>
#include <vector>

#include <grpcpp/grpcpp.h>

namespace stepcast::cli {

// Of an attempt that ended, what decides whether there is another.
struct Failure {
  grpc::StatusCode code = grpc::StatusCode::UNKNOWN;
  std::string reason = {};  // ErrorInfo.reason; "": not the server's own error
  std::string message = {};
  std::vector<std::string> fields = {};  // that were refused
  double retry_delay_s = -1;             // what the server asks for; < 0: nothing
};

Failure ToFailure(const grpc::Status& status);

// Whether the same request without its resume token may do: it is not good there, or no tokens are known there.
bool TokenRefused(const Failure& failure);

// The attempts of one call. gRPC itself tries a server three times that cannot be reached or refuses with UNAVAILABLE;
// this goes on with the next address, and, once a server has begun to answer, waits for one to come back.
class Retries {
 public:
  // REQUIRES: addresses >= 1.
  explicit Retries(int addresses) : addresses_(addresses) {}

  // The address that is to be asked.
  int index() const { return index_; }

  // Moves on to the next address. `started`: the server had begun to answer the attempt. Returns the seconds to wait
  // first, or nullopt where there is no further attempt.
  std::optional<double> After(const Failure& failure, bool started);

  // How often a server is waited for, all addresses once each time, and how often a call is taken up whose server went
  // without a word: the call itself may be what ended it.
  static constexpr int kRounds = 8;
  static constexpr int kLost = 2;
  static constexpr double kFirstWait = 0.5;
  static constexpr double kLongestWait = 5;
  static constexpr double kLongestAsked = 30;

 private:
  const int addresses_;
  int index_ = 0;
  int failures_ = 0;  // since a server began to answer
  int lost_ = 0;
  bool began_ = false;
  double asked_ = -1;  // the shortest wait that a server of this round asks for
};

}  // namespace stepcast::cli
