#include "scheduler/recording/recording_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "absl/strings/str_split.h"
#include "core/string_view.h"
#include "tests/support/job_builder.h"

namespace stepcast::recording {
namespace {

using testing::HasSubstr;
using testing::Not;

std::vector<std::string_view> Words(const std::string& line) {
  std::vector<std::string_view> words;
  for (const absl::string_view word : absl::StrSplit(line, ' ')) words.push_back(ToStd(word));
  return words;
}

TEST(RecordingTextTest, DurationsComeBackExactly) {
  const absl::Duration tick = absl::Nanoseconds(1) / 4;
  const struct {
    absl::Duration value;
    const char* text;
  } kCases[] = {
      {absl::ZeroDuration(), "0"},
      {absl::Nanoseconds(1500), "1500"},
      {-absl::Nanoseconds(1500), "-1500"},
      {tick, "0.25"},
      {-tick, "-0.25"},
      {absl::Seconds(1) + 2 * tick, "1000000000.5"},
      {absl::Nanoseconds(7) + 3 * tick, "7.75"},
      {absl::Hours(24 * 365 * 80), "2522880000000000000"},
      {absl::InfiniteDuration(), "inf"},
      {-absl::InfiniteDuration(), "-inf"},
  };
  for (const auto& test : kCases) {
    std::string line;
    AppendDuration(line, test.value);
    EXPECT_EQ(line, test.text);
    const auto back = ParseDuration(line);
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(*back, test.value) << test.text;
  }
}

TEST(RecordingTextTest, WordsMayHoldAnything) {
  const std::vector<std::string> words = {"",     "plain", "with space", "100%",
                                          "a\nb", "%",     "Zo\u00eb",   std::string("\0x", 2)};
  for (const std::string& word : words) {
    std::string line;
    AppendWord(line, word);
    EXPECT_THAT(line, Not(HasSubstr(" ")));
    EXPECT_THAT(line, Not(HasSubstr("\n")));
    EXPECT_EQ(ParseWord(line).value(), word);
  }
}

TEST(RecordingTextTest, JobsAreTheFirstAndTheDifferences) {
  const std::vector<JobId> jobs = {JobId{120'403}, JobId{120'404}, JobId{120'409}, JobId{7}};
  std::string line;
  AppendJobs(line, jobs);
  EXPECT_EQ(line, "120403+1+5-120402");
  EXPECT_EQ(ParseJobs(line).value(), jobs);
}

TEST(RecordingTextTest, SettingsComeBackWithoutPromptAndSeed) {
  GenerationRequest request;
  auto model = std::make_shared<ModelInfo>();
  model->id = "emoji";
  model->vae_scale_factor = 4;
  request.model = model;
  request.prompt = "a secret";
  request.negative_prompt = "another";
  request.prompt_parts = {{.tokens = {.ids = {{1, 4242, 2}}}}};
  request.seed = 987654321;
  request.width = 64;
  request.height = 96;
  request.steps = 20;
  request.sampler = Sampler::kDpmpp2m;
  request.sigma_schedule = SigmaSchedule::kKarras;
  request.timestep_spacing = TimestepSpacing::kTrailing;
  request.guidance_scale = 2.1;
  request.sampler_options.churn = 0.1;
  request.sampler_options.langevin.final_denoise = true;
  request.sigmas = {14.6, 1.0 / 3.0, 0.0};
  request.image_count = 3;
  request.priority = Priority::kBatch;
  request.tenant = "night shift";
  request.preview.every_n_steps = 5;
  std::string line;
  AppendSettings(line, request);
  for (const char* secret : {"secret", "another", "4242", "987654321"}) EXPECT_THAT(line, Not(HasSubstr(secret)));

  const auto back = ParseSettings(Words(line), 0);
  ASSERT_TRUE(back.ok()) << back.status();
  const GenerationRequest& r = **back;
  EXPECT_EQ(r.model->id, "emoji");
  EXPECT_EQ(r.latent_width(), 16);
  EXPECT_EQ(r.latent_height(), 24);
  EXPECT_EQ(r.sampler, request.sampler);
  EXPECT_EQ(r.sigma_schedule, request.sigma_schedule);
  EXPECT_EQ(r.timestep_spacing, request.timestep_spacing);
  EXPECT_EQ(r.guidance_scale, request.guidance_scale) << "every bit of a double";
  EXPECT_EQ(r.sampler_options, request.sampler_options);
  EXPECT_EQ(r.sigmas, request.sigmas);
  EXPECT_EQ(r.image_count, 3);
  EXPECT_EQ(r.priority, request.priority);
  EXPECT_EQ(r.tenant, request.tenant);
  EXPECT_EQ(r.preview.every_n_steps, 5);
  std::string again;
  AppendSettings(again, r);
  EXPECT_EQ(again, line);
}

TEST(RecordingTextTest, WhatMakesPreviewsIsKept) {
  for (const PreviewKind kind : {PreviewKind::kLinear, PreviewKind::kNetwork}) {
    auto model = std::make_shared<ModelInfo>();
    model->id = "m";
    model->decoding.preview = kind;
    GenerationRequest request;
    request.model = std::move(model);
    std::string line;
    AppendSettings(line, request);
    const auto back = ParseSettings(Words(line), 0);
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ((*back)->model->decoding.preview, kind);
  }
}

TEST(RecordingTextTest, NothingIsTrusted) {
  for (const char* word : {"", "x", "1.3", "--1", "1e3", "99999999999999999999", "1.", ".5", "-"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseDuration(word).status())) << word;
  }
  for (const char* word : {"", "+", "1+", "0", "1-1", "1x", "1++2", "99999999999999999999"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseJobs(word).status())) << word;
  }
  for (const char* word : {"%4", "%zz", "a%"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseWord(word).status())) << word;
  }
  for (const char* line : {"steps", "steps=x", "prompt=cat", "priority=3", "sampler=NEW", "sigmas=1,,2", "scale=0",
                           "guidance=inf", "width=-8", "previews=matrix"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseSettings(Words(line), 0).status())) << line;
  }
  for (const char* line : {"denoise m 1", "dream m 1 1", "denoise m -1 1", "denoise m 1 x"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseKey(Words(line), 0).status())) << line;
  }
  for (const char* word : {"1", "0:5", "x:5", "1:y", ":"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParsePoint(word).status())) << word;
  }
}

TEST(RecordingTextTest, TheHashIsFnv1a) {
  EXPECT_EQ(Hash(kHashStart, ""), 0xcbf29ce484222325u);
  EXPECT_EQ(Hash(kHashStart, "a"), 0xaf63dc4c8601ec8cu) << "the published value";
  EXPECT_EQ(Hash(Hash(kHashStart, "foo"), "bar"), 0x85944171f73967e8u) << "the published value of foobar";
}

}  // namespace
}  // namespace stepcast::recording
