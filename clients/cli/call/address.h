#pragma once
// Where a server is, as people write it.

#include <optional>
#include <string>

namespace stepcast::cli {

struct Address {
  std::string target;     // as gRPC takes it
  bool loopback = false;  // this machine: no proxy may stand between
};

// Reads "host", "host:port", "[::1]:port", the same behind "http://", "grpc://", "dns:", "ipv4:" or "ipv6:", and
// "unix:path" or "unix-abstract:name". Without a port `default_port` is meant, but not behind "http://".
// nullopt otherwise; `problem` then says what is wrong and what is allowed.
std::optional<Address> ParseAddress(const std::string& text, int default_port, std::string& problem);

}  // namespace stepcast::cli
