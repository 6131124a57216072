#include "server/config/host_check.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/wire/text_limits.h"

namespace stepcast {
namespace {

constexpr size_t kMaxName = 253;
constexpr absl::string_view kUnix = "unix:";
constexpr char kHosts[] =
    "an address or a name of this machine, IPv6 without brackets, or unix:/path; 0.0.0.0 listens everywhere";
constexpr char kIpv4Hosts[] =
    "an IPv4 address of this machine or a name of one, as the metrics port speaks no IPv6; 0.0.0.0 listens everywhere";

bool IsIpv4(const std::string& host) {
  in_addr address;
  return inet_pton(AF_INET, host.c_str(), &address) == 1;
}

// With an interface behind it, as link-local addresses need: "fe80::1%eth0".
bool IsIpv6(const std::string& host) {
  const size_t zone = host.find('%');
  in6_addr address;
  if (inet_pton(AF_INET6, host.substr(0, zone).c_str(), &address) != 1) return false;
  return zone == std::string::npos || (zone + 1 < host.size() && host.size() - zone - 1 < IF_NAMESIZE);
}

bool IsName(const std::string& host) {
  return host.size() <= kMaxName && host.front() != '-' && std::all_of(host.begin(), host.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.' || c == '_';
         });
}

// Why `host`, which is no address, cannot be a name either; "" where it can.
std::string WhyNoName(const std::string& host) {
  if (absl::StartsWith(host, "unix") && absl::StrContains(host, ':')) {
    return "a Unix socket is unix: and an absolute path of at most 107 bytes";
  }
  if (absl::StrContains(host, "/")) return "this is a URL or a path, not a host";
  if (host.front() == '[') return "an address is written without brackets here, and its port has a key of its own";
  if (absl::StrContains(host, ':')) return "the port has a key of its own";
  return IsName(host) ? "" : "this cannot be a name";
}

std::string Mistake(const std::string& host, absl::string_view why, bool ipv4_only) {
  return absl::StrCat("got ", Quoted(host, 256), ": ", why, "; allowed: ", ipv4_only ? kIpv4Hosts : kHosts);
}

}  // namespace

HostAddresses ResolveHost(const std::string& name) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* list = nullptr;
  const int code = getaddrinfo(name.c_str(), nullptr, &hints, &list);
  if (code != 0) return {.error = gai_strerror(code)};
  HostAddresses found;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    found.ipv4 |= entry->ai_family == AF_INET;
    found.ipv6 |= entry->ai_family == AF_INET6;
  }
  freeaddrinfo(list);
  return found;
}

bool IsUnixSocket(const std::string& host) { return absl::StartsWith(host, "unix:/"); }

bool IsLocal(const std::string& host) {
  if (IsUnixSocket(host) || host == "localhost") return true;
  in_addr v4;
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6;
  return inet_pton(AF_INET6, host.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

std::string FindHostMistake(const std::string& host, bool ipv4_only, const HostResolver& resolve) {
  if (host.empty()) return absl::StrCat("got nothing; allowed: ", ipv4_only ? kIpv4Hosts : kHosts);
  if (IsIpv4(host)) return "";
  if (!ipv4_only && IsUnixSocket(host) && host.size() - kUnix.size() < sizeof(sockaddr_un::sun_path)) return "";
  if (IsIpv6(host)) return ipv4_only ? Mistake(host, "this is an IPv6 address", ipv4_only) : "";
  if (const std::string why = WhyNoName(host); !why.empty()) return Mistake(host, why, ipv4_only);
  const HostAddresses found = resolve(host);
  if (!found.ipv4 && !found.ipv6) {
    return Mistake(host, absl::StrCat("no address is known for this name (", found.error, ")"), ipv4_only);
  }
  if (ipv4_only && !found.ipv4) return Mistake(host, "this name has IPv6 addresses only", ipv4_only);
  return "";
}

}  // namespace stepcast
