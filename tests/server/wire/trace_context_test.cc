#include "server/wire/trace_context.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace stepcast {
namespace {

constexpr char kTrace[] = "0af7651916cd43dd8448eb211c80319c";
constexpr char kHeader[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

TEST(TraceContextTest, ATraceGoesOnWithASpanOfItsOwn) {
  const TraceContext context = ContinueTrace(kHeader);
  EXPECT_EQ(context.trace_id, kTrace);
  EXPECT_TRUE(context.sampled);
  EXPECT_THAT(context.span_id, testing::MatchesRegex("[0-9a-f]{16}"));
  EXPECT_NE(context.span_id, "b7ad6b7169203331");
  EXPECT_EQ(context.ToHeader(), std::string("00-") + kTrace + "-" + context.span_id + "-01");
}

TEST(TraceContextTest, FlagsBeyondSampledAreLeftOut) {
  EXPECT_FALSE(ContinueTrace("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-02").sampled);
  EXPECT_TRUE(ContinueTrace("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff").sampled);
}

TEST(TraceContextTest, AVersionToComeIsReadAsFarAsItIsKnown) {
  EXPECT_EQ(ContinueTrace("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-the-future-holds").trace_id,
            kTrace);
  EXPECT_EQ(ContinueTrace("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").trace_id, kTrace);
}

TEST(TraceContextTest, WhatIsNoTraceBeginsOne) {
  const std::string wrong[] = {
      "",
      "00",
      "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      "00-00000000000000000000000000000000-b7ad6b7169203331-01",
      "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
      "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g",
      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
      "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.x",
      "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      std::string(10'000, '0'),
  };
  for (const std::string& header : wrong) {
    const TraceContext context = ContinueTrace(header);
    EXPECT_THAT(context.trace_id, testing::MatchesRegex("[0-9a-f]{32}")) << header;
    EXPECT_NE(context.trace_id, kTrace) << header;
    EXPECT_NE(context.trace_id, ContinueTrace(header).trace_id) << header;
  }
}

}  // namespace
}  // namespace stepcast
