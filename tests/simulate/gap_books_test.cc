#include "tools/simulate/gap_books.h"

#include <gtest/gtest.h>

namespace stepcast::simulate {
namespace {

absl::Time At(double seconds) { return absl::UnixEpoch() + absl::Seconds(seconds); }

void Tick(GapBooks& books, Phase phase, std::vector<JobId> jobs, double from, double to) {
  StepPlan plan;
  plan.key = {phase, "m", 64, 64};
  plan.jobs = std::move(jobs);
  books.OnPlan(plan, At(from));
  books.OnComplete(plan, {}, At(to));
}

// Somebody else's denoise tick does not end the gap of a job that stands still.
TEST(GapBooksTest, AGapIsThatOfTheJob) {
  GapBooks books(absl::Seconds(0.5));
  Tick(books, Phase::kDenoise, {JobId{1}, JobId{2}}, 0.0, 0.2);
  Tick(books, Phase::kDecode, {JobId{3}}, 0.2, 0.7);
  Tick(books, Phase::kDenoise, {JobId{2}}, 0.7, 1.7);
  Tick(books, Phase::kDenoise, {JobId{1}, JobId{2}}, 1.7, 1.9);
  ASSERT_EQ(books.gaps().size(), 3u);
  EXPECT_EQ(books.gaps()[0].job, JobId{2});
  EXPECT_NEAR(books.gaps()[0].quanta, 1.0, 1e-9) << "one item of 0.5 s, longer than twice a tick of 0.2 s";
  EXPECT_EQ(books.gaps()[1].job, JobId{1});
  EXPECT_EQ(books.gaps()[1].from, At(0.2));
  EXPECT_EQ(books.gaps()[1].to, At(1.7));
  EXPECT_NEAR(books.gaps()[1].quanta, 3.0, 1e-9);
  EXPECT_EQ(books.gaps()[2].quanta, 0.0);
}

TEST(GapBooksTest, AQuantumIsTwiceALongTick) {
  GapBooks books(absl::Seconds(0.1));
  Tick(books, Phase::kDenoise, {JobId{1}}, 0.0, 1.0);
  Tick(books, Phase::kEncode, {JobId{2}}, 1.0, 2.0);
  Tick(books, Phase::kDenoise, {JobId{1}}, 2.0, 3.0);
  ASSERT_EQ(books.gaps().size(), 1u);
  EXPECT_NEAR(books.gaps()[0].quanta, 0.5, 1e-9);
}

}  // namespace
}  // namespace stepcast::simulate
