#include "server/config/host_check.h"

#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stepcast {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// A world of three names.
HostAddresses FakeResolver(const std::string& name) {
  if (name == "localhost") return {.ipv4 = true, .ipv6 = true, .error = ""};
  if (name == "four.example") return {.ipv4 = true, .error = ""};
  if (name == "six.example") return {.ipv6 = true, .error = ""};
  return {.error = "Name or service not known"};
}

HostAddresses NobodyAsks(const std::string& name) {
  ADD_FAILURE() << "resolved " << name;
  return {};
}

std::string Mistake(const std::string& host, bool ipv4_only = false) {
  return FindHostMistake(host, ipv4_only, &FakeResolver);
}

TEST(HostCheckTest, AddressesNeedNoResolver) {
  for (const char* host : {"127.0.0.1", "0.0.0.0", "::1", "::", "fe80::1%eth0", "::ffff:127.0.0.1"}) {
    EXPECT_EQ(FindHostMistake(host, /*ipv4_only=*/false, &NobodyAsks), "") << host;
  }
}

TEST(HostCheckTest, AUnixSocketIsAHostButForMetrics) {
  EXPECT_EQ(FindHostMistake("unix:/run/stepcast.sock", /*ipv4_only=*/false, &NobodyAsks), "");
  EXPECT_EQ(FindHostMistake("unix:/" + std::string(106, 'a'), false, &NobodyAsks), "");
  EXPECT_THAT(Mistake("unix:/run/stepcast.sock", /*ipv4_only=*/true), HasSubstr("IPv4"));
}

TEST(HostCheckTest, OnlyThisMachineReachesLoopback) {
  for (const char* host : {"127.0.0.1", "127.8.8.8", "::1", "localhost", "unix:/run/x"})
    EXPECT_TRUE(IsLocal(host)) << host;
  for (const char* host : {"0.0.0.0", "::", "10.0.0.1", "fe80::1", "example.com", "128.0.0.1", "::ffff:127.0.0.1"}) {
    EXPECT_FALSE(IsLocal(host)) << host;
  }
}

TEST(HostCheckTest, NamesMustHaveAnAddress) {
  EXPECT_EQ(Mistake("localhost"), "");
  EXPECT_EQ(Mistake("six.example"), "");
  for (const char* host : {"no-such-host", "256.1.1.1", "localhost."}) {
    EXPECT_THAT(Mistake(host), AllOf(HasSubstr(host), HasSubstr("no address is known for this name (Name or"))) << host;
  }
}

TEST(HostCheckTest, MetricsKnowNoIpv6) {
  EXPECT_EQ(Mistake("localhost", /*ipv4_only=*/true), "");
  EXPECT_EQ(Mistake("four.example", true), "");
  EXPECT_EQ(Mistake("0.0.0.0", true), "");
  for (const char* host : {"::1", "::", "fe80::1%eth0"}) {
    EXPECT_THAT(Mistake(host, true), AllOf(HasSubstr("IPv6 address"), HasSubstr("0.0.0.0 listens everywhere"))) << host;
  }
  EXPECT_THAT(Mistake("six.example", true), HasSubstr("IPv6 addresses only"));
}

TEST(HostCheckTest, WhatIsNoHostIsSaidWithItsReason) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "got nothing"},
      {"unix:stepcast.sock", "a Unix socket is"},
      {"unix:/" + std::string(107, 'a'), "a Unix socket is"},
      {"unix-abstract:stepcast", "a Unix socket is"},
      {"/run/stepcast.sock", "a URL or a path"},
      {"http://localhost", "a URL or a path"},
      {"dns:///localhost", "a URL or a path"},
      {"localhost:50051", "the port has a key of its own"},
      {"127.0.0.1:80", "the port has a key of its own"},
      {"[::1]", "without brackets"},
      {"[::1]:80", "without brackets"},
      {"::1:", "the port has a key"},
      {"1::2::3", "the port has a key"},
      {"::1%", "the port has a key"},
      {"two words", "cannot be a name"},
      {" localhost", "cannot be a name"},
      {"localhost\n", "cannot be a name"},
      {"-v", "cannot be a name"},
      {"*", "cannot be a name"},
      {std::string(254, 'a'), "cannot be a name"},
      {"h\xc3\xb6st", "cannot be a name"}};
  for (const auto& [host, why] : cases) {
    for (const bool ipv4_only : {false, true}) {
      EXPECT_THAT(FindHostMistake(host, ipv4_only, &NobodyAsks), AllOf(HasSubstr(why), HasSubstr("allowed: an")))
          << host;
    }
  }
}

TEST(HostCheckTest, TheSystemKnowsLocalhost) {
  const HostAddresses found = ResolveHost("127.0.0.1");
  EXPECT_TRUE(found.ipv4);
  EXPECT_FALSE(found.ipv6);
}

}  // namespace
}  // namespace stepcast
