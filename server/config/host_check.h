#pragma once
// Whether something can listen at what an operator wrote as a host.

#include <functional>
#include <string>

namespace stepcast {

// What a name stands for.
struct HostAddresses {
  bool ipv4 = false;
  bool ipv6 = false;
  std::string error;  // why neither, in the resolver's words
};

// Finds the addresses of a name that is none itself.
using HostResolver = std::function<HostAddresses(const std::string& name)>;

// Asks the system, which may ask the network.
HostAddresses ResolveHost(const std::string& name);

// Whether `host` is a socket of this machine: "unix:/run/stepcast.sock".
bool IsUnixSocket(const std::string& host);

// Whether only this machine reaches it: a Unix socket, "localhost", or a loopback address.
bool IsLocal(const std::string& host);

// What is wrong with `host`: "got ...; allowed: ...", or "" where nothing is. `ipv4_only`: what listens there knows no
// IPv6. An address of another machine is found out when it is bound.
std::string FindHostMistake(const std::string& host, bool ipv4_only, const HostResolver& resolve = &ResolveHost);

}  // namespace stepcast
