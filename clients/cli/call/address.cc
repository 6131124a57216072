#include "clients/cli/call/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstddef>
#include <string_view>

namespace stepcast::cli {
namespace {

constexpr char kAllowed[] = "allowed: host:port, [IPv6]:port, http://host:port, grpc://host:port, unix:path";

bool TakePrefix(std::string_view prefix, std::string& text) {
  if (text.compare(0, prefix.size(), prefix) != 0) return false;
  text.erase(0, prefix.size());
  return true;
}

bool IsPort(std::string_view text) {
  int port = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), port);
  return end.ec == std::errc() && end.ptr == text.data() + text.size() && text[0] != '-' && port >= 1 && port <= 65535;
}

bool IsHostName(const std::string& host) {
  return !host.empty() && std::all_of(host.begin(), host.end(), [](unsigned char c) {
    return c < 0x80 && (std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_');
  });
}

bool IsLoopbackName(std::string host) {
  for (char& c : host) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (host.size() > 1 && host.back() == '.') host.pop_back();
  in_addr v4{};
  if (inet_aton(host.c_str(), &v4) != 0) {
    const uint32_t address = ntohl(v4.s_addr);
    return address == INADDR_ANY || address >> 24 == IN_LOOPBACKNET;
  }
  constexpr std::string_view kSuffix = ".localhost";
  const bool below = host.size() > kSuffix.size() && host.substr(host.size() - kSuffix.size()) == kSuffix;
  return below || host == "localhost" || host == "ip6-localhost" || host == "ip6-loopback";
}

bool IsLoopback(const in6_addr& v6) {
  if (IN6_IS_ADDR_V4MAPPED(&v6)) return v6.s6_addr[12] == IN_LOOPBACKNET;
  return IN6_IS_ADDR_LOOPBACK(&v6) || IN6_IS_ADDR_UNSPECIFIED(&v6);
}

// "[::1]" and what follows it.
std::optional<Address> ParseBracketed(const std::string& text, const std::string& default_port, std::string& problem) {
  const size_t close = text.find(']');
  const std::string inner = text.substr(1, close == std::string::npos ? close : close - 1);
  const size_t zone = inner.find('%');
  in6_addr v6{};
  if (close == std::string::npos || inet_pton(AF_INET6, inner.substr(0, zone).c_str(), &v6) != 1) {
    problem = "'" + text + "' has no IPv6 address in its brackets; write [::1]:50051";
    return std::nullopt;
  }
  std::string port = text.substr(close + 1);
  if (port.empty()) port = ":" + default_port;
  if (port[0] != ':' || !IsPort(port.substr(1))) {
    problem = "'" + text + "' has no port 1..65535 behind the bracket; write [::1]:50051";
    return std::nullopt;
  }
  // The address becomes part of a URI.
  const std::string host = zone == std::string::npos ? inner : inner.substr(0, zone) + "%25" + inner.substr(zone + 1);
  return Address{"dns:///[" + host + "]" + port, IsLoopback(v6)};
}

std::optional<Address> ParseHostAndPort(const std::string& text, const std::string& default_port,
                                        std::string& problem) {
  if (text[0] == '[') return ParseBracketed(text, default_port, problem);
  const size_t colon = text.find(':');
  if (colon != text.rfind(':')) {
    problem = "'" + text + "' has several colons; an IPv6 address goes into brackets, as [::1]:50051";
    return std::nullopt;
  }
  const std::string host = text.substr(0, colon);
  if (!IsHostName(host)) {
    problem = "'" + text + "' names no host; " + kAllowed;
    return std::nullopt;
  }
  if (colon == std::string::npos && host.find_first_not_of("0123456789") == std::string::npos) {
    problem = "'" + text + "' is a number alone; write localhost:" + text;
    return std::nullopt;
  }
  const std::string port = colon == std::string::npos ? default_port : text.substr(colon + 1);
  if (!IsPort(port)) {
    problem = "'" + text + "' has the port '" + port + "'; allowed: 1..65535";
    return std::nullopt;
  }
  return Address{"dns:///" + host + ":" + port, IsLoopbackName(host)};
}

}  // namespace

std::optional<Address> ParseAddress(const std::string& text, int default_port, std::string& problem) {
  for (const std::string_view scheme : {"unix:", "unix-abstract:"}) {
    if (text.compare(0, scheme.size(), scheme) == 0 && text.size() > scheme.size()) return Address{text, true};
  }
  std::string rest = text;
  std::string port = std::to_string(default_port);
  if (TakePrefix("https://", rest) || TakePrefix("grpcs://", rest)) {
    problem = "'" + text + "' asks for TLS: write --tls and the host alone; " + kAllowed;
    return std::nullopt;
  }
  const bool http = TakePrefix("http://", rest);
  if (http) port.clear();
  if (http || TakePrefix("grpc://", rest)) {
    if (!rest.empty() && rest.back() == '/') rest.pop_back();
  } else {
    // Each in turn: "dns:" is a prefix of "dns:///".
    (void)(TakePrefix("dns:///", rest) || TakePrefix("dns:", rest) || TakePrefix("ipv4:", rest) ||
           TakePrefix("ipv6:", rest));
  }
  if (rest.empty()) {
    problem = "'" + text + "' names no host; " + kAllowed;
    return std::nullopt;
  }
  if (const size_t scheme = rest.find("://"); scheme != std::string::npos) {
    problem = "'" + text + "' has the unknown scheme '" + rest.substr(0, scheme) + "'; " + kAllowed;
    return std::nullopt;
  }
  return ParseHostAndPort(rest, port, problem);
}

}  // namespace stepcast::cli
