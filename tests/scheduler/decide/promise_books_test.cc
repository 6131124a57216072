#include "scheduler/decide/promise_books.h"

#include <gtest/gtest.h>

#include <memory>

#include "tests/support/job_builder.h"
#include "tests/support/recording_sink.h"

namespace stepcast {
namespace {

constexpr Priority kBatch = Priority::kBatch;

// A batch job with a client's deadline, unless it is not `firm`.
void End(PromiseBooks& books, JobStatus outcome, bool in_time = true, bool firm = true) {
  const auto job = MakeJob(1, {.priority = kBatch}, std::make_shared<RecordingSink>());
  JobView view;
  view.job = job.get();
  view.firm = firm;
  books.Ended(view, outcome, in_time);
}

TEST(PromiseBooksTest, ABrokenPromiseWeighsAsMuchAsAHundredKeptOnes) {
  PromiseBooks books;
  End(books, JobStatus::kExpired);
  EXPECT_GT(books.caution(kBatch), PromiseBooks::kStart);
  for (int i = 0; i < 100; ++i) End(books, JobStatus::kSucceeded);
  EXPECT_NEAR(books.caution(kBatch), PromiseBooks::kStart, 1e-9);
  EXPECT_EQ(books.caution(Priority::kInteractive), PromiseBooks::kStart) << "each class learns for itself";
}

TEST(PromiseBooksTest, APictureThatCameTooLateIsABrokenPromise) {
  PromiseBooks books;
  End(books, JobStatus::kSucceeded, /*in_time=*/false);
  EXPECT_GT(books.caution(kBatch), PromiseBooks::kStart);
}

TEST(PromiseBooksTest, OthersTeachNothing) {
  PromiseBooks books;
  End(books, JobStatus::kCancelled);
  End(books, JobStatus::kFailed);
  End(books, JobStatus::kExpired, /*in_time=*/false, /*firm=*/false);
  EXPECT_EQ(books.caution(kBatch), PromiseBooks::kStart);
}

TEST(PromiseBooksTest, StaysWithinItsBounds) {
  PromiseBooks books;
  for (int i = 0; i < 100; ++i) End(books, JobStatus::kExpired);
  EXPECT_EQ(books.caution(kBatch), PromiseBooks::kMost);
  for (int i = 0; i < 10'000; ++i) End(books, JobStatus::kSucceeded);
  EXPECT_EQ(books.caution(kBatch), PromiseBooks::kLeast);
}

TEST(PromiseBooksTest, ARefusalWasNeedlessIfTheDeviceIdledForAsLong) {
  PromiseBooks books;
  books.Refused(kBatch, /*alone=*/3.0, /*due=*/10.0, /*now=*/0.0);
  books.Worked(6.0, 9.0);
  EXPECT_EQ(books.caution(kBatch), PromiseBooks::kStart) << "it is not due yet";
  books.Worked(0.0, 20.0);
  EXPECT_LT(books.caution(kBatch), PromiseBooks::kStart);
}

TEST(PromiseBooksTest, ABusyDeviceRefusedRightly) {
  PromiseBooks books;
  books.Refused(kBatch, 3.0, 10.0, 0.0);
  books.Worked(8.0, 10.0);
  EXPECT_EQ(books.caution(kBatch), PromiseBooks::kStart);
}

TEST(PromiseBooksTest, TheSameIdleTimeExcusesOneRefusalOnly) {
  PromiseBooks one, two;
  one.Refused(kBatch, 6.0, 10.0, 0.0);
  two.Refused(kBatch, 6.0, 10.0, 0.0);
  two.Refused(kBatch, 6.0, 10.0, 0.0);
  one.Worked(0.0, 10.0);
  two.Worked(0.0, 10.0);
  EXPECT_EQ(one.caution(kBatch), two.caution(kBatch));
}

TEST(PromiseBooksTest, WhatCouldNotBeDoneAloneTeachesNothing) {
  PromiseBooks books;
  books.Refused(kBatch, 11.0, 10.0, 0.0);
  books.Worked(0.0, 100.0);
  EXPECT_EQ(books.caution(kBatch), PromiseBooks::kStart);
}

TEST(PromiseBooksTest, ManyRefusalsAreCountedUpToABound) {
  PromiseBooks books;
  for (int i = 0; i < 100'000; ++i) books.Refused(kBatch, 1e-9, 10.0, 0.0);
  books.Worked(0.0, 10.0);
  EXPECT_EQ(books.caution(kBatch), PromiseBooks::kLeast);
}

}  // namespace
}  // namespace stepcast
