#include "clients/cli/call/retries.h"

#include <gtest/gtest.h>

namespace stepcast::cli {
namespace {

using grpc::StatusCode;

Failure Lost() { return {.code = StatusCode::UNAVAILABLE, .message = "Socket closed"}; }
Failure With(const std::string& reason) { return {.code = StatusCode::UNAVAILABLE, .reason = reason}; }

TEST(RetriesTest, WhatMayBeTriedAgain) {
  const struct {
    Failure failure;
    bool before;  // the server began to answer
    bool after;
  } rows[] = {
      {With("DRAINING"), true, true},
      {With("DEVICE_LOST"), true, true},
      {Lost(), true, true},
      {{.code = StatusCode::CANCELLED, .message = "CANCELLED"}, true, true},  // gRPC's own, of a server that shuts down
      {{.code = StatusCode::INTERNAL, .message = "Received RST_STREAM with error code 2"}, true, true},
      {With("MODEL_LOADING"), true, false},
      {{.code = StatusCode::RESOURCE_EXHAUSTED, .reason = "QUEUE_FULL"}, true, false},
      {{.code = StatusCode::CANCELLED, .reason = "CLIENT_CANCELLED", .message = "CANCELLED"}, false, false},
      {{.code = StatusCode::INVALID_ARGUMENT, .reason = "FIELD_INVALID"}, false, false},
      {{.code = StatusCode::INTERNAL, .reason = "NUMERIC_FAULT"}, false, false},
      {{.code = StatusCode::DEADLINE_EXCEEDED, .reason = "DEADLINE"}, false, false},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(Retries(2).After(row.failure, false).has_value(), row.before) << row.failure.reason;
    EXPECT_EQ(Retries(2).After(row.failure, true).has_value(), row.after) << row.failure.reason;
  }
}

TEST(RetriesTest, WithoutABeginningEachAddressIsAskedOnce) {
  Retries retries(3);
  EXPECT_EQ(retries.After(Lost(), false), 0.0);
  EXPECT_EQ(retries.index(), 1);
  EXPECT_EQ(retries.After(With("DRAINING"), false), 0.0);
  EXPECT_EQ(retries.index(), 2);
  EXPECT_FALSE(retries.After(Lost(), false).has_value());
}

TEST(RetriesTest, OnceBegunAServerIsWaitedFor) {
  Retries retries(1);
  EXPECT_EQ(retries.After(With("DRAINING"), true), Retries::kFirstWait);
  double last = Retries::kFirstWait;
  int rounds = 1;
  while (const auto wait = retries.After(Lost(), false)) {
    EXPECT_EQ(*wait, std::min(2 * last, Retries::kLongestWait));
    last = *wait;
    ++rounds;
  }
  EXPECT_EQ(rounds, Retries::kRounds);
}

TEST(RetriesTest, ACallThatEndsItsServersIsGivenUp) {
  Retries retries(1);
  for (int i = 0; i < Retries::kLost; ++i) EXPECT_TRUE(retries.After(Lost(), true).has_value());
  EXPECT_FALSE(retries.After(Lost(), true).has_value());
}

TEST(RetriesTest, TheServersWordOnWaitingCounts) {
  Retries retries(2);
  Failure busy{.code = StatusCode::RESOURCE_EXHAUSTED, .reason = "QUEUE_FULL", .retry_delay_s = 9};
  EXPECT_TRUE(retries.After(With("DRAINING"), true).has_value());
  EXPECT_EQ(retries.After(busy, false), 9.0);
  busy.retry_delay_s = 3600;
  EXPECT_TRUE(retries.After(Lost(), false).has_value());
  EXPECT_FALSE(retries.After(busy, false).has_value()) << "nobody waits for an hour";
}

TEST(RetriesTest, ATokenMayBeRefusedByServersThatKnowNone) {
  EXPECT_TRUE(TokenRefused({.reason = "RESUME_TOKEN_INVALID"}));
  EXPECT_TRUE(TokenRefused({.reason = "FIELD_INVALID", .fields = {"resume_token"}}));
  EXPECT_FALSE(TokenRefused({.reason = "FIELD_INVALID", .fields = {"resume_token", "steps"}}));
  EXPECT_FALSE(TokenRefused({.reason = "DRAINING"}));
}

}  // namespace
}  // namespace stepcast::cli
