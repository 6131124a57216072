#include "text/vocabulary/vocabulary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stepcast {
namespace {

using testing::HasSubstr;

TEST(VocabularyTest, MapsBothWays) {
  Vocabulary vocabulary;
  EXPECT_EQ(vocabulary.max_id(), -1);
  ASSERT_TRUE(vocabulary.Add("a", 0).ok());
  ASSERT_TRUE(vocabulary.Add("b", 5).ok());
  EXPECT_EQ(vocabulary.size(), 2u);
  EXPECT_EQ(vocabulary.max_id(), 5);
  EXPECT_EQ(vocabulary.Find("b"), 5);
  EXPECT_EQ(vocabulary.Find("c"), std::nullopt);
  EXPECT_EQ(vocabulary.TokenOf(0), "a");
  for (const int32_t id : {-1, 3, 6}) {
    EXPECT_EQ(vocabulary.TokenOf(id), "") << id;
  }
}

TEST(VocabularyTest, RefusesWhatIsNotOneToOneOrInRange) {
  Vocabulary vocabulary;
  ASSERT_TRUE(vocabulary.Add("a", 0).ok());
  ASSERT_TRUE(vocabulary.Add("last", Vocabulary::kMaxId).ok());
  ASSERT_TRUE(vocabulary.Add(std::string(Vocabulary::kMaxTokenBytes, 'x'), 1).ok());
  const struct {
    std::string token;
    int64_t id;
    const char* message;
  } cases[] = {
      {"a", 2, "token \"a\" appears twice"},
      {"b", 0, "tokens \"a\" and \"b\" have the same id 0"},
      {"b", -1, "token \"b\" has id -1; allowed are 0..1048575"},
      {"b", Vocabulary::kMaxId + 1, "id 1048576"},
      {"b", INT64_MAX, "id 9223372036854775807"},
      {"", 2, "token \"\" has 0 bytes"},
      {std::string(Vocabulary::kMaxTokenBytes + 1, 'y'), 2, "has 1025 bytes; allowed are 1..1024"},
  };
  for (const auto& [token, id, message] : cases) {
    const absl::Status status = vocabulary.Add(token, id);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(message));
  }
  EXPECT_EQ(vocabulary.size(), 3u);
}

TEST(VocabularyTest, QuotesForMessages) {
  EXPECT_EQ(QuoteToken("a\"\n\u00e9"), "\"a\\\"\\n\u00e9\"");
  EXPECT_EQ(QuoteToken(std::string(48, 'x')), "\"" + std::string(48, 'x') + "\"");
  EXPECT_EQ(QuoteToken(std::string(49, 'x')), "\"" + std::string(48, 'x') + "...\"");
}

}  // namespace
}  // namespace stepcast
