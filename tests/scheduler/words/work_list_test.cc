#include "scheduler/words/work_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "scheduler/words/job_spec.h"
#include "tests/support/job_builder.h"
#include "tests/support/recording_sink.h"

namespace stepcast {
namespace {

using testing::ElementsAre;

// "denoise:emoji:16x16 rows=2 count=4 step=0/1"
std::string Text(const WorkItem& item) {
  std::string text = item.key.ToString();
  if (item.rows != 1 || item.count != 1) absl::StrAppend(&text, " rows=", item.rows, " count=", item.count);
  if (item.key.phase == Phase::kDenoise) absl::StrAppend(&text, " step=", item.step, "/", item.per_step);
  return text;
}

std::vector<std::string> Texts(const WorkList& work) {
  std::vector<std::string> texts;
  for (const WorkItem& item : work.items()) texts.push_back(Text(item));
  return texts;
}

SharedWorkList Compiled(const TestJob& job) { return MakeJobSpec(MakeRequest(job), MakeProgram(job)).work; }

TEST(WorkListTest, APlainPictureIsEncodedDenoisedAndDecoded) {
  const SharedWorkList work = Compiled({.steps = 20});
  EXPECT_THAT(Texts(*work),
              ElementsAre("encode:emoji", "denoise:emoji:16x16 rows=2 count=20 step=0/1", "decode:emoji:16x16"));
  EXPECT_EQ(work->evaluations(), 20);
  EXPECT_EQ(work->steps(), 20);
  EXPECT_EQ(work->most_rows(), 2);
  EXPECT_EQ(Text(work->lead()), "denoise:emoji:16x16 rows=2 count=20 step=0/1");
}

TEST(WorkListTest, RunsEndWhereRowsOrThePaceOfStepsChange) {
  EXPECT_THAT(Texts(*Compiled({.steps = 6, .unguided_tail = 2})),
              ElementsAre("encode:emoji", "denoise:emoji:16x16 rows=2 count=4 step=0/1",
                          "denoise:emoji:16x16 rows=1 count=2 step=4/1", "decode:emoji:16x16"));
  EXPECT_THAT(
      Texts(*Compiled({.steps = 3, .evaluations_per_step = 2, .unguided_tail = 3})),
      ElementsAre("encode:emoji", "denoise:emoji:16x16 rows=2 count=3 step=0/2",
                  "denoise:emoji:16x16 rows=1 count=2 step=1/1", "denoise:emoji:16x16 step=2/1", "decode:emoji:16x16"))
      << "the second evaluation of step 1 begins a run";
}

TEST(WorkListTest, EveryEvaluationKeepsItsStepAndRows) {
  // Steps of four, one and two evaluations, as samplers with Runge-Kutta starts and second orders make them.
  const std::vector<std::vector<int>> scenes = {
      {0, 0, 0, 0, 1, 1, 1, 1, 2, 3, 4}, {0, 0, 1, 1, 2}, {0, 1, 1, 2, 2, 3}, {3},
      {0, 0, 1, 2, 2, 2, 3, 3, 4},       {5, 6, 7}};
  for (const std::vector<int>& steps : scenes) {
    auto program = std::make_shared<sampling::SamplingProgram>();
    program->steps = steps.back() + 1;
    for (size_t i = 0; i < steps.size(); ++i) {
      sampling::Evaluation evaluation;
      evaluation.step = steps[i];
      if (i % 5 > 1) evaluation.guidance.kind = sampling::GuidanceKind::kClassifierFree;
      program->evaluations.push_back(evaluation);
    }
    const SharedWorkList work = MakeJobSpec(MakeRequest({}), program).work;
    std::vector<int> told, rows, wanted;
    for (const WorkItem& item : work->items()) {
      for (int i = 0; item.key.phase == Phase::kDenoise && i < item.count; ++i) {
        told.push_back(item.StepOf(i));
        rows.push_back(item.rows);
      }
    }
    for (const sampling::Evaluation& evaluation : program->evaluations) wanted.push_back(evaluation.rows());
    EXPECT_EQ(told, steps);
    EXPECT_EQ(rows, wanted);
  }
}

TEST(WorkListTest, LinesAddUpWhatCostsTheSame) {
  const BatchKey small{Phase::kDenoise, "emoji", 16, 16}, large{Phase::kDenoise, "emoji", 32, 32};
  const WorkList work({{.key = {Phase::kEncode, "emoji"}},
                       {.key = small, .rows = 2, .count = 3},
                       {.key = small, .rows = 1, .count = 2, .step = 3},
                       {.key = small, .rows = 2, .count = 4, .step = 5},
                       {.key = {Phase::kDecode, "emoji", 16, 16}},
                       {.key = large, .rows = 2, .count = 5, .step = 9},
                       {.key = {Phase::kDecode, "emoji", 32, 32}, .count = 4}},
                      14);
  std::vector<std::string> lines;
  for (const WorkLine& line : work.lines())
    lines.push_back(absl::StrCat(line.key.ToString(), " ", line.rows, " ", line.count));
  EXPECT_THAT(lines, ElementsAre("decode:emoji:16x16 1 1", "decode:emoji:32x32 1 4", "denoise:emoji:16x16 1 2",
                                 "denoise:emoji:16x16 2 7", "denoise:emoji:32x32 2 5", "encode:emoji 1 1"));
  EXPECT_EQ(work.LineOf(3), 3);
  EXPECT_EQ(work.evaluations(), 14);
}

// A job of two stages: small, decoded, encoded again, large with prompts of another model.
TEST(WorkListTest, AJobGoesThroughAllOfIt) {
  JobSpec spec = MakeSpecs({}, std::make_shared<RecordingSink>()).front();
  spec.work = std::make_shared<WorkList>(
      std::vector<WorkItem>{{.key = {Phase::kEncode, "a"}},
                            {.key = {Phase::kDenoise, "a", 8, 8}, .rows = 2, .count = 2},
                            {.key = {Phase::kDecode, "a", 8, 8}},
                            {.key = {Phase::kEncode, "b"}},
                            {.key = {Phase::kEncodePicture, "b", 16, 16}},
                            {.key = {Phase::kEncodePicture, "b", 16, 16}, .first = 1},
                            {.key = {Phase::kDenoise, "b", 16, 16}, .rows = 1, .count = 1, .step = 2},
                            {.key = {Phase::kDecode, "b", 16, 16}, .count = 2}},
      3);
  Job job(JobId{1}, spec);
  std::vector<std::string> story;
  while (!job.on_last_tick()) {
    story.push_back(absl::StrCat(job.key().ToString(), " ", job.position(), "/", job.finished_steps()));
    job.Advance();
  }
  EXPECT_THAT(story, ElementsAre("encode:a 0/0", "denoise:a:8x8 0/0", "denoise:a:8x8 1/1", "decode:a:8x8 2/2",
                                 "encode:b 2/2", "encode_picture:b:16x16 2/2", "encode_picture:b:16x16 2/2",
                                 "denoise:b:16x16 2/2", "decode:b:16x16 3/3"));
  EXPECT_TRUE(job.finishing());
  EXPECT_EQ(job.ticks(), 5) << "encodes aside";
  for (size_t line = 0; line < job.work().lines().size(); ++line) {
    EXPECT_EQ(job.left(line), job.work().lines()[line].key.ToString() == "decode:b:16x16" ? 1 : 0);
  }
  job.Advance();
  EXPECT_TRUE(job.done());
}

TEST(WorkListTest, WhatIsKnownIsNotEncoded) {
  JobSpec spec = MakeSpecs({}, std::make_shared<RecordingSink>()).front();
  spec.work =
      std::make_shared<WorkList>(std::vector<WorkItem>{{.key = {Phase::kEncode, "a"}},
                                                       {.key = {Phase::kDenoise, "a", 8, 8}, .count = 3},
                                                       {.key = {Phase::kEncode, "b"}},
                                                       {.key = {Phase::kDenoise, "b", 8, 8}, .count = 4, .step = 3},
                                                       {.key = {Phase::kDecode, "b", 8, 8}}},
                                 7);
  Job job(JobId{1}, spec);
  EXPECT_THAT(job.to_encode(), ElementsAre(0, 2));
  EXPECT_EQ(job.evaluations_here(), 3);
  job.set_to_encode({2});
  EXPECT_FALSE(job.needs_encode()) << "the second stage is far";
  for (int i = 0; i < 3; ++i) job.Advance();
  EXPECT_TRUE(job.needs_encode());
  EXPECT_EQ(job.key().ToString(), "encode:b");
  EXPECT_EQ(job.evaluations_here(), 4) << "of what comes after the encode";
  job.Advance();
  EXPECT_EQ(job.key().ToString(), "denoise:b:8x8");
  EXPECT_EQ(job.evaluations_left(), 4);
}

TEST(WorkListTest, PicturesAreEncodedOnce) {
  sampling::Recipe recipe = *MakeRecipe({.steps = 4});
  const InputPicture picture{.image = std::make_shared<Image>()};
  recipe.pictures = {{.picture = picture}, {.picture = picture, .use = sampling::PictureUse::kHint, .network = "c"}};
  sampling::Stage& stage = recipe.stages.front();
  stage.start = sampling::StageStart::kPicture;
  stage.start_picture = 0;
  stage.blend = sampling::Blend{.mask = nullptr, .picture = 0};
  stage.control = {{.picture = 1, .network = "c"}};
  sampling::Stage second = stage;
  second.start = sampling::StageStart::kLatents;
  recipe.stages.push_back(second);
  const SharedWorkList work = CompileWork(recipe);
  EXPECT_THAT(Texts(*work), ElementsAre("encode:emoji", "encode_picture:emoji:16x16", "encode_picture:emoji:16x16",
                                        "denoise:emoji:16x16 rows=2 count=4 step=0/1",
                                        "denoise:emoji:16x16 rows=2 count=4 step=4/1", "decode:emoji:16x16"));
  EXPECT_EQ(work->items()[1].first, 0);
  EXPECT_EQ(work->items()[2].first, 1);
  JobSpec spec = MakeSpecs({}, std::make_shared<RecordingSink>()).front();
  spec.work = work;
  Job job(JobId{1}, spec);
  EXPECT_THAT(job.to_encode(), ElementsAre(0, 1, 2));
  job.set_to_encode({2});
  EXPECT_EQ(job.next().first, 1);
  job.Advance();
  EXPECT_EQ(job.phase(), Phase::kDenoise);
}

TEST(WorkListTest, LongPromptsArePaidForWhereTheyAreEncoded) {
  const auto beside = [](std::vector<int> chunks, int negative) {
    auto request = std::make_shared<GenerationRequest>(*MakeRequest({}));
    const WeightedPrompt part = request->prompt_parts.front();
    request->prompt_parts.clear();
    for (const int count : chunks) {
      request->prompt_parts.push_back(part);
      request->prompt_parts.back().tokens.chunks = count;
      // Different prompts.
      request->prompt_parts.back().tokens.ids = {{static_cast<int>(request->prompt_parts.size())}};
    }
    request->negative_tokens.chunks = negative;
    return MakeJobSpec(request, MakeProgram({})).work->items().front().beside;
  };
  EXPECT_EQ(beside({1}, 1), 0);
  EXPECT_EQ(beside({2}, 1), 1);
  EXPECT_EQ(beside({4}, 4), 3);
  EXPECT_EQ(beside({1, 1, 1}, 1), 1);
}

TEST(WorkListTest, WhatWorksBesideTheDenoiserIsPaidForWhereItWorks) {
  auto recipe = std::make_shared<sampling::Recipe>(*MakeJobSpec(MakeRequest({}), MakeProgram({.steps = 6})).recipe);
  sampling::Stage& stage = recipe->stages.front();
  stage.control = {{.network = "edges", .first_evaluation = 2, .end_evaluation = 5},
                   {.network = "depth", .first_evaluation = 4, .end_evaluation = 6, .guess_mode = true}};
  recipe->pictures = {{.use = sampling::PictureUse::kHint, .network = "edges"},
                      {.use = sampling::PictureUse::kHint, .network = "depth"}};
  stage.control[1].picture = 1;
  const SharedWorkList work = CompileWork(*recipe);
  std::vector<std::string> denoises;
  for (const WorkItem& item : work->items()) {
    if (item.key.phase != Phase::kDenoise) continue;
    denoises.push_back(absl::StrCat(item.first, "+", item.count, " rows=", item.rows, " beside=", item.beside));
  }
  // Of two rows that a net sees one is paid for, of three two; the second net guesses and sees one.
  EXPECT_THAT(denoises,
              ElementsAre("0+2 rows=2 beside=0", "2+2 rows=2 beside=1", "4+1 rows=2 beside=2", "5+1 rows=2 beside=1"));
  std::vector<int> paid;
  for (const WorkLine& line : work->lines()) {
    if (line.key.phase == Phase::kDenoise) paid.push_back(line.rows * 100 + line.count);
  }
  EXPECT_THAT(paid, testing::UnorderedElementsAre(202, 303, 401));
  EXPECT_EQ(work->most_rows(), 2) << "the forward has no more rows for it";
}

TEST(WorkListTest, WhatIsLeftOfAResumedPictureIsTheEndOfTheWhole) {
  const std::vector<TestJob> jobs = {{.steps = 5},
                                     {.steps = 4, .evaluations_per_step = 2},
                                     {.steps = 6, .evaluations_per_step = 3, .unguided_tail = 4},
                                     {.steps = 3, .second_steps = 2}};
  for (const TestJob& job : jobs) {
    const sampling::SharedRecipe recipe = MakeRecipe(job);
    const auto ticks = [](const WorkList& work) {
      std::vector<std::string> all;
      for (const WorkItem& item : work.items()) {
        if (item.key.phase != Phase::kDenoise) continue;
        for (int i = 0; i < item.count; ++i) {
          all.push_back(absl::StrCat(item.key.ToString(), " ", item.stage, ".", item.first + i, " rows ", item.rows,
                                     " step ", item.StepOf(i)));
        }
      }
      return all;
    };
    const SharedWorkList whole = CompileWork(*recipe);
    const std::vector<std::string> all = ticks(*whole);
    for (int done = 1; done <= whole->evaluations(); ++done) {
      const SharedWorkList rest = CompileWork(*recipe, done);
      EXPECT_EQ(ticks(*rest), std::vector<std::string>(all.begin() + done, all.end()));
      EXPECT_EQ(rest->evaluations_before(), done);
      EXPECT_EQ(rest->evaluations(), whole->evaluations() - done);
      EXPECT_EQ(rest->steps(), whole->steps());
      EXPECT_EQ(rest->items().back(), whole->items().back());
      const bool encodes = IsEncode(rest->items().front().key.phase);
      EXPECT_EQ(encodes, done < whole->evaluations()) << "the stage it is in shows its prompt anew";
    }
  }
}

}  // namespace
}  // namespace stepcast
