#include "sampling/program/program_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace stepcast::sampling {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr PredictionForm kForm = {2.0, -1.0};

uint32_t Bits(std::initializer_list<Slot> slots) {
  uint32_t bits = 0;
  for (const Slot slot : slots) bits |= 1u << static_cast<unsigned>(slot);
  return bits;
}

TEST(LinearFormTest, Arithmetic) {
  const LinearForm x = LinearForm::Of(Slot::kLatents);
  const LinearForm y = LinearForm::Of(Slot::kModelOutput);
  const LinearForm form = 2.0 * (x - 3.0 * y) / 4.0 + x * 0.5;
  EXPECT_EQ(form.coefficient(Slot::kLatents), 1.0);
  EXPECT_EQ(form.coefficient(Slot::kModelOutput), -1.5);
  EXPECT_EQ(form.coefficient(Slot::kNoise), 0.0);
}

TEST(ProgramBuilderTest, InlinesX0WhenNothingIsDoneToIt) {
  ProgramBuilder builder(Sampler::kDdim, 0);
  builder.Evaluate(0, 10.0, 0.5);
  const LinearForm x0 = builder.PredictX0(kForm);
  builder.Assign(Slot::kLatents, 0.25 * x0 + builder.latents());
  const SamplingProgram program = std::move(builder).Build().value();
  ASSERT_EQ(program.evaluations.size(), 1u);
  const Evaluation& e = program.evaluations[0];
  EXPECT_EQ(e.timestep, 10.0f);
  EXPECT_EQ(e.input_scale, 0.5f);
  EXPECT_EQ(e.x0_from_latents, 2.0f);
  EXPECT_EQ(e.x0_from_output, -1.0f);
  EXPECT_THAT(e.transition, ElementsAre(Term{Slot::kLatents, Slot::kLatents, 1.5f},
                                        Term{Slot::kLatents, Slot::kModelOutput, -0.25f}));
  EXPECT_EQ(program.slots_used, Bits({Slot::kLatents, Slot::kModelOutput, Slot::kX0}));
}

TEST(ProgramBuilderTest, NeverComposesAcrossPost) {
  ProgramBuilder builder(Sampler::kDdim, 0);
  builder.Evaluate(0, 10.0);
  const LinearForm x0 = builder.PredictX0(kForm, {PostKind::kClip, 1.0f, 0.0f});
  builder.Assign(Slot::kLatents, 0.25 * x0 + builder.Combine({1.0, 3.0}));
  const SamplingProgram program = std::move(builder).Build().value();
  EXPECT_THAT(program.evaluations[0].transition,
              ElementsAre(Term{Slot::kLatents, Slot::kLatents, 1.0f}, Term{Slot::kLatents, Slot::kModelOutput, 3.0f},
                          Term{Slot::kLatents, Slot::kX0, 0.25f}));
}

// A correction of the latents followed by a prediction from the corrected ones is one matrix.
TEST(ProgramBuilderTest, LaterStepsSeeEarlierAssignments) {
  ProgramBuilder builder(Sampler::kUnipc, 0);
  builder.Evaluate(0, 1.0);
  builder.Assign(Slot::kLatents, builder.latents() * 0.5 + builder.Value(Slot::kSaved));
  builder.Assign(Slot::kSaved, builder.latents());
  builder.Assign(Slot::kLatents, builder.latents() * 2.0 + builder.Value(Slot::kModelOutput));
  builder.Evaluate(1, 0.0);
  builder.Assign(Slot::kLatents, builder.latents() + builder.Value(Slot::kSaved));
  const SamplingProgram program = std::move(builder).Build().value();
  EXPECT_THAT(program.evaluations[0].transition,
              ElementsAre(Term{Slot::kLatents, Slot::kLatents, 1.0f}, Term{Slot::kLatents, Slot::kModelOutput, 1.0f},
                          Term{Slot::kLatents, Slot::kSaved, 2.0f}, Term{Slot::kSaved, Slot::kLatents, 0.5f},
                          Term{Slot::kSaved, Slot::kSaved, 1.0f}));
}

TEST(ProgramBuilderTest, HistoryIsARing) {
  ProgramBuilder builder(Sampler::kDpmpp3m, 2);
  std::vector<Slot> written;
  for (int i = 0; i < 6; ++i) {
    builder.Evaluate(i, 6.0 - i);
    const LinearForm output = builder.Value(Slot::kModelOutput);
    EXPECT_EQ(builder.history_size(), std::min(i, 2));
    builder.PushHistory(output);
    EXPECT_EQ(builder.History(0), output);
    LinearForm next = builder.latents() + builder.History(0);
    if (i >= 1) next += 10.0 * builder.History(1);
    if (i >= 2) next += 100.0 * builder.History(2);
    builder.Assign(Slot::kLatents, next);
  }
  const SamplingProgram program = std::move(builder).Build().value();
  // One write per evaluation, into alternating slots; none in the last two places where nobody reads them.
  for (size_t i = 0; i < 6; ++i) {
    for (const Term& term : program.evaluations[i].transition) {
      if (term.to == Slot::kLatents) continue;
      written.push_back(term.to);
      EXPECT_EQ(term.from, Slot::kModelOutput);
    }
  }
  EXPECT_THAT(written,
              ElementsAre(Slot::kHistory0, Slot::kHistory1, Slot::kHistory0, Slot::kHistory1, Slot::kHistory0));
  // The fourth evaluation reads the third's output with 10 and the second's with 100.
  EXPECT_THAT(program.evaluations[3].transition,
              testing::IsSupersetOf(
                  {Term{Slot::kLatents, Slot::kHistory0, 10.0f}, Term{Slot::kLatents, Slot::kHistory1, 100.0f}}));
  EXPECT_EQ(program.slots_used,
            Bits({Slot::kLatents, Slot::kModelOutput, Slot::kX0, Slot::kHistory0, Slot::kHistory1}));
}

TEST(ProgramBuilderTest, DropsWritesThatNobodyReads) {
  ProgramBuilder builder(Sampler::kPndm, 0);
  builder.Evaluate(0, 1.0);
  builder.Assign(Slot::kSaved, builder.latents());
  builder.Assign(Slot::kAccumulator, builder.Value(Slot::kModelOutput));
  builder.Evaluate(1, 0.0);
  builder.Assign(Slot::kLatents, builder.Value(Slot::kAccumulator));
  builder.Assign(Slot::kAccumulator, builder.latents());
  const SamplingProgram program = std::move(builder).Build().value();
  EXPECT_THAT(program.evaluations[0].transition, ElementsAre(Term{Slot::kAccumulator, Slot::kModelOutput, 1.0f}));
  EXPECT_THAT(program.evaluations[1].transition, ElementsAre(Term{Slot::kLatents, Slot::kAccumulator, 1.0f}));
}

TEST(ProgramBuilderTest, KeptSlotsHaveNoTermsAndZeroedOnesHaveOne) {
  ProgramBuilder builder(Sampler::kDdim, 0);
  builder.Evaluate(0, 1.0);
  builder.Evaluate(1, 0.0);
  builder.Assign(Slot::kLatents, LinearForm());
  const SamplingProgram program = std::move(builder).Build().value();
  EXPECT_THAT(program.evaluations[0].transition, IsEmpty());
  EXPECT_THAT(program.evaluations[1].transition, ElementsAre(Term{Slot::kLatents, Slot::kLatents, 0.0f}));
}

TEST(ProgramBuilderTest, DrawsCountEvenUnread) {
  ProgramBuilder builder(Sampler::kEulerAncestral, 0);
  builder.Evaluate(0, 1.0);
  builder.Assign(Slot::kLatents, builder.latents() * 0.5 + 0.0 * builder.DrawNoise());
  const SamplingProgram program = std::move(builder).Build().value();
  EXPECT_TRUE(program.evaluations[0].draws_noise);
  EXPECT_THAT(program.evaluations[0].transition, ElementsAre(Term{Slot::kLatents, Slot::kLatents, 0.5f}));
  EXPECT_NE(program.slots_used & Bits({Slot::kNoise}), 0u);
}

TEST(ProgramBuilderTest, HistoryMayBeSetLater) {
  for (const int history : {1, 2}) {
    ProgramBuilder builder(Sampler::kDeis, 4);
    builder.set_history(history);
    for (int i = 0; i < 5; ++i) {
      builder.Evaluate(i, 5.0 - i);
      EXPECT_EQ(builder.history_size(), std::min(i, history));
      builder.PushHistory(builder.Value(Slot::kModelOutput));
    }
  }
}

TEST(ProgramBuilderTest, StepsCountDistinctSteps) {
  ProgramBuilder builder(Sampler::kHeun, 0);
  for (const int step : {0, 0, 1, 1, 2}) builder.Evaluate(step, 5.0 - step);
  EXPECT_EQ(std::move(builder).Build()->steps, 3);
}

TEST(ProgramBuilderTest, RefusesWhatIsNotFinite) {
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double bad : {infinity, -infinity, std::nan(""), 1e300}) {  // 1e300 is not finite in float32
    for (int place = 0; place < 4; ++place) {
      ProgramBuilder builder(Sampler::kDdim, 0);
      builder.Evaluate(3, place == 0 ? bad : 500.0, place == 1 ? bad : 1.0);
      builder.PredictX0({1.0, place == 2 ? bad : 1.0});
      builder.Assign(Slot::kLatents, builder.latents() * (place == 3 ? bad : 1.0));
      const absl::Status status = std::move(builder).Build().status();
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << place;
      EXPECT_THAT(std::string(status.message()), HasSubstr("sampler: DDIM"));
      EXPECT_THAT(std::string(status.message()), HasSubstr("step 3"));
    }
  }
  ProgramBuilder builder(Sampler::kDdim, 0);
  builder.set_start({0.0f, std::numeric_limits<float>::infinity()});
  builder.Evaluate(0, 1.0);
  EXPECT_FALSE(std::move(builder).Build().ok());
  EXPECT_FALSE(ProgramBuilder(Sampler::kDdim, 0).Build().ok());
}

}  // namespace
}  // namespace stepcast::sampling
