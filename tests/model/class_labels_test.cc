#include "model/families/class_labels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stepcast::model {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

absl::StatusOr<ClassLabels> Read(const char* text) {
  auto json = JsonConfig::Parse(text, "model_index.json");
  return ReadClassLabels(*json);
}

TEST(ClassLabels, AreReadByIndex) {
  const auto classes = Read(R"({"id2label": {"10": "ten", "2": "two"}, "null_class": 11})");
  ASSERT_TRUE(classes.ok()) << classes.status();
  EXPECT_THAT(classes->labels, ElementsAre(Pair(2, "two"), Pair(10, "ten")));
  EXPECT_EQ(classes->null_class, 11);
}

TEST(ClassLabels, AreOptional) {
  const auto classes = Read("{}");
  ASSERT_TRUE(classes.ok()) << classes.status();
  EXPECT_TRUE(classes->labels.empty());
  EXPECT_EQ(classes->null_class, std::nullopt);
}

TEST(ClassLabels, EveryMalformedEntryIsNamed) {
  const char* const kBroken[] = {R"({"id2label": ["a"]})",        R"({"id2label": {"x": "a"}})",
                                 R"({"id2label": {"-1": "a"}})",  R"({"id2label": {"0": ""}})",
                                 R"({"id2label": {"0": 7}})",     R"({"id2label": {"99999999": "a"}})",
                                 R"({"id2label": {"+1": "one"}})"};
  for (const char* text : kBroken) {
    const absl::Status status = Read(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr("id2label")) << text;
  }
  EXPECT_THAT(std::string(Read(R"({"id2label": {"3": "a"}, "null_class": 3})").status().message()),
              HasSubstr("null_class: has a label"));
  EXPECT_THAT(std::string(Read(R"({"null_class": -1})").status().message()), HasSubstr("null_class"));
}

}  // namespace
}  // namespace stepcast::model
