#include "model/text_encoder/textual_inversion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "core/sha256.h"
#include "tests/model/safetensors_writer.h"

namespace stepcast::model {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// What is read of a file called `name`.
absl::StatusOr<TextualInversion> Read(const std::string& name, const std::string& bytes) {
  const std::string path = FreshFolder("inversion_" + std::to_string(bytes.size()) + name) + "/" + name;
  WriteFile(path, bytes);
  return ReadTextualInversion(path);
}

TEST(TextualInversionTest, OneTensorIsOneEncoders) {
  const std::string bytes = SafetensorsWriter().Add("emb_params", {2, 3}, {1, 2, 3, 4, 5, 6}).Build();
  const auto a1111 = Read("easy.safetensors", bytes);
  ASSERT_TRUE(a1111.ok()) << a1111.status();
  EXPECT_EQ(a1111->name, "easy");
  EXPECT_EQ(a1111->token, "");
  EXPECT_EQ(a1111->vectors, 2);
  EXPECT_THAT(a1111->towers, ElementsAre(ElementsAre(1, 2, 3, 4, 5, 6)));
  EXPECT_EQ(a1111->sha256, Sha256Hex(bytes));
  const auto diffusers = Read("learned_embeds.safetensors", SafetensorsWriter().Add("<cat>", {3}, {1, 2, 3}).Build());
  ASSERT_TRUE(diffusers.ok()) << diffusers.status();
  EXPECT_EQ(diffusers->token, "<cat>");
  EXPECT_EQ(diffusers->vectors, 1);
}

TEST(TextualInversionTest, TwoTensorsAreThoseOfStableDiffusionXl) {
  const auto pair = Read("pair.safetensors",
                         SafetensorsWriter().Add("clip_g", {1, 3}, {4, 5, 6}).Add("clip_l", {1, 2}, {1, 2}).Build());
  ASSERT_TRUE(pair.ok()) << pair.status();
  EXPECT_THAT(pair->towers, ElementsAre(ElementsAre(1, 2), ElementsAre(4, 5, 6)));
}

TEST(TextualInversionTest, HalfPrecisionIsRead) {
  const auto half =
      Read("h.safetensors", SafetensorsWriter().Add("emb_params", "F16", {1}, std::string("\0\x3e", 2)).Build());
  ASSERT_TRUE(half.ok()) << half.status();
  EXPECT_THAT(half->towers, ElementsAre(ElementsAre(1.5F)));
  const auto brain =
      Read("b.safetensors", SafetensorsWriter().Add("x", "BF16", {1}, std::string("\xc0\x3f", 2)).Build());
  ASSERT_TRUE(brain.ok()) << brain.status();
  EXPECT_THAT(brain->towers, ElementsAre(ElementsAre(1.5F)));
}

TEST(TextualInversionTest, WhatIsNoneIsRefusedByName) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const struct {
    const char* name;
    std::string bytes;
    const char* what;
  } rows[] = {
      {"a.pt", "anything", "never read"},
      {"a.bin", "anything", "docs/prompts.md"},
      {"a.safetensors", "short", "a.safetensors"},
      {"b.safetensors", SafetensorsWriter().Add("emb_params", {1, 2, 1}, {1, 2}).Build(), "is [1, 2, 1]"},
      {"c.safetensors", SafetensorsWriter().Add("emb_params", {2}, {1, nan}).Build(), "not finite"},
      {"d.safetensors", SafetensorsWriter().Add("i", "I64", {1}, std::string(8, '\0')).Build(), "type I64"},
      {"e.safetensors", SafetensorsWriter().Add("clip_l", {2}, {1, 2}).Add("x", {1}, {1}).Build(), "2 tensors"},
      {"f.safetensors", SafetensorsWriter().Add("clip_l", {1, 2}, {1, 2}).Add("clip_g", {2, 1}, {1, 2}).Build(),
       "clip_l has 1 vectors and clip_g 2"},
      {"g.safetensors", SafetensorsBytes("{}", ""), "0 tensors"},
  };
  for (const auto& row : rows) {
    const absl::Status status = Read(row.name, row.bytes).status();
    EXPECT_FALSE(status.ok()) << row.name;
    EXPECT_THAT(std::string(status.message()), HasSubstr(row.what)) << row.name;
  }
  EXPECT_EQ(ReadTextualInversion("/nonexistent/x.safetensors").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace stepcast::model
