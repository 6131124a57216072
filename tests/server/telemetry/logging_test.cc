#include "server/telemetry/logging.h"

#include <grpc/support/log.h>
#include <signal.h>

#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "google/rpc/status.pb.h"
#include "tests/support/simulated_clock.h"

namespace stepcast {
namespace {

using ::testing::HasSubstr;

// Logs at `level` with the given format and returns what was written.
template <typename Action>
std::string Captured(LogLevel level, LogFormat format, Action action) {
  testing::internal::CaptureStderr();
  InitLogging({.level = level, .format = format});
  action();
  EXPECT_TRUE(FlushLog(absl::Seconds(10)));
  std::string written = testing::internal::GetCapturedStderr();
  InitLogging({});
  return written;
}

TEST(LoggingTest, JsonLinesParseWhateverTheValues) {
  const std::string written = Captured(LogLevel::kInfo, LogFormat::kJson, [] {
    Log(LogLevel::kInfo, "say \"hi\"\n",
        {{"text", "a\xff\x01\\b"},
         {"count", int64_t{-3}},
         {"ratio", 0.5},
         {"nan", std::numeric_limits<double>::quiet_NaN()}});
  });
  const auto line = nlohmann::json::parse(written, nullptr, /*allow_exceptions=*/false);
  ASSERT_FALSE(line.is_discarded()) << written;
  EXPECT_EQ(line["msg"], "say \"hi\"\n");
  EXPECT_EQ(line["level"], "info");
  EXPECT_EQ(line["text"], "a\xEF\xBF\xBD\x01\\b");
  EXPECT_EQ(line["count"], -3);
  EXPECT_EQ(line["ratio"], 0.5);
  EXPECT_TRUE(line["nan"].is_null());
  EXPECT_THAT(line["ts"].get<std::string>(), testing::MatchesRegex("....-..-..T..:..:..\\....Z"));
}

TEST(LoggingTest, TextLinesCannotBeForged) {
  EXPECT_EQ(TextBody("a\nb", {{"key", "plain"}, {"spaced", "x y\n"}, {"empty", ""}, {"n", int64_t{4}}}),
            R"(a\nb key=plain spaced="x y\n" empty="" n=4)");
}

TEST(LoggingTest, QuotesInMessagesAreReadable) {
  EXPECT_EQ(TextBody("model 'a': \"b\"", {{"cause", "no 'c'"}}), R"(model 'a': "b" cause="no 'c'")");
  EXPECT_EQ(TextBody("\\'\n\\n", {}), R"(\\'\n\\n)") << "a backslash is no part of what follows it";
}

TEST(LoggingTest, LevelsBelowTheThresholdAreSilent) {
  const std::string written = Captured(LogLevel::kWarning, LogFormat::kText, [] {
    Log(LogLevel::kInfo, "quiet");
    Log(LogLevel::kWarning, "loud");
  });
  EXPECT_THAT(written, HasSubstr("warning loud"));
  EXPECT_THAT(written, testing::Not(HasSubstr("quiet")));
}

TEST(LoggingTest, AccessLinesCarryTheirFields) {
  const std::string written = Captured(LogLevel::kInfo, LogFormat::kJson, [] {
    LogAccess({.method = "Generate",
               .code = "OK",
               .reason = "",
               .model = "emoji",
               .request_id = "r1",
               .peer = "ipv4:127.0.0.1:1",
               .duration = absl::Milliseconds(1500),
               .bytes = 4096,
               .work = {.queued = absl::Milliseconds(20),
                        .evaluations = 20,
                        .cost = {.row_evaluations = 40, .device_time = absl::Microseconds(2500)}}});
  });
  const auto line = nlohmann::json::parse(written, nullptr, false);
  ASSERT_FALSE(line.is_discarded()) << written;
  EXPECT_EQ(line["msg"], "call");
  EXPECT_EQ(line["method"], "Generate");
  EXPECT_EQ(line["request_id"], "r1");
  EXPECT_EQ(line["duration_ms"], 1500.0);
  EXPECT_EQ(line["queue_ms"], 20.0);
  EXPECT_EQ(line["evaluations"], 20);
  EXPECT_EQ(line["row_evaluations"], 40);
  EXPECT_EQ(line["device_ms"], 2.5);
}

// libprotobuf prints a line for each malformed string that a client sends; those must not fill the log.
TEST(LoggingTest, ProtobufErrorsOfClientsAreDebugLines) {
  const auto parse_bad_utf8 = [] {
    google::rpc::Status message;
    EXPECT_FALSE(message.ParseFromString("\x12\x02\xff\xff"));
  };
  EXPECT_EQ(Captured(LogLevel::kInfo, LogFormat::kText, parse_bad_utf8), "");
  EXPECT_THAT(Captured(LogLevel::kDebug, LogFormat::kText, parse_bad_utf8), HasSubstr("logger=protobuf"));
}

TEST(LoggingTest, LinesOfGrpcJoinOurs) {
  const std::string written = Captured(LogLevel::kInfo, LogFormat::kText, [] {
    // More than may pass in ten seconds; they are below the level, and count for nothing.
    google::rpc::Status message;
    for (int i = 0; i < 30; ++i) EXPECT_FALSE(message.ParseFromString("\x12\x02\xff\xff"));
    gpr_log(GPR_ERROR, "No address added out of total 1 resolved");  // Listener tells that in one clear line
    gpr_log(GPR_INFO, "chatter");
    gpr_log(GPR_ERROR, "something else");
  });
  EXPECT_THAT(written, testing::AllOf(HasSubstr("something else"), HasSubstr("logger=grpc")));
  EXPECT_THAT(written, testing::Not(testing::AnyOf(HasSubstr("No address"), HasSubstr("chatter"))));
}

TEST(LoggingTest, BrokenPipesAreIgnored) {
  InitLogging({});
  struct sigaction action{};
  ASSERT_EQ(sigaction(SIGPIPE, nullptr, &action), 0);
  EXPECT_EQ(action.sa_handler, SIG_IGN);
}

TEST(LoggingTest, LimiterLetsABurstThroughPerPeriodAndCountsTheRest) {
  SimulatedClock clock;
  LogLimiter limiter(2, absl::Seconds(10), clock);
  int64_t suppressed = -1;
  EXPECT_TRUE(limiter.Allow(suppressed));
  EXPECT_TRUE(limiter.Allow(suppressed));
  EXPECT_FALSE(limiter.Allow(suppressed));
  EXPECT_FALSE(limiter.Allow(suppressed));
  clock.Advance(absl::Seconds(10));
  EXPECT_TRUE(limiter.Allow(suppressed));
  EXPECT_EQ(suppressed, 2);
  EXPECT_TRUE(limiter.Allow(suppressed));
  EXPECT_EQ(suppressed, 0);
}

}  // namespace
}  // namespace stepcast
