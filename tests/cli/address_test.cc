#include "clients/cli/call/address.h"

#include <gtest/gtest.h>

namespace stepcast::cli {
namespace {

TEST(AddressTest, WhatPeopleWriteIsUnderstoodOrRefusedWithWords) {
  const struct {
    const char* text;
    const char* target;  // "": refused
    bool loopback;
  } cases[] = {
      {"localhost", "localhost:50051", true},
      {"localhost:1234", "localhost:1234", true},
      {"127.0.0.1:1", "127.0.0.1:1", true},
      {"[::1]:1234", "[::1]:1234", true},
      {"grpc://gpu.example:9", "gpu.example:9", false},
      {"gpu.example", "gpu.example:50051", false},
      {"", "", false},
      {"::1", "", false},
      {"localhost:port", "", false},
      {"localhost:70000", "", false},
      {"https://gpu.example", "", false},
      {"ftp://gpu.example", "", false},
  };
  for (const auto& row : cases) {
    std::string problem;
    const std::optional<Address> address = ParseAddress(row.text, 50051, problem);
    EXPECT_EQ(address.has_value(), row.target[0] != '\0') << row.text << ": " << problem;
    EXPECT_EQ(problem.empty(), address.has_value()) << row.text;
    if (!address.has_value()) continue;
    EXPECT_EQ(address->target, std::string("dns:///") + row.target) << row.text;
    EXPECT_EQ(address->loopback, row.loopback) << row.text;
  }
}

}  // namespace
}  // namespace stepcast::cli
