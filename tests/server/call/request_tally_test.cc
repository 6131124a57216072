#include "server/call/request_tally.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/request/errors/status_mapping.h"

namespace stepcast {
namespace {

const absl::Time kArrival = absl::UnixEpoch();

JobProgress Done(int evaluations, int total = 10) {
  return {.step = evaluations,
          .steps = total,
          .evaluations_done = evaluations,
          .evaluations_total = total,
          .queue_position = 0};
}

std::string Metadata(const absl::Status& status, const std::string& key) {
  google::rpc::Status details;
  details.ParseFromString(ToGrpcStatus(status).error_details());
  google::rpc::ErrorInfo info;
  for (const auto& any : details.details()) {
    if (any.UnpackTo(&info)) return info.metadata().count(key) != 0 ? info.metadata().at(key) : "";
  }
  return "";
}

TEST(RequestTallyTest, EtaIsTheImagesOwnPaceSinceItsFirstEvaluation) {
  struct Row {
    std::vector<std::pair<int, int>> progress;  // seconds, evaluations
    std::optional<absl::Duration> eta;
  };
  const Row rows[] = {
      {{{0, 0}}, std::nullopt},
      {{{0, 0}, {50, 1}}, std::nullopt},                // waiting is no pace
      {{{50, 1}, {52, 2}}, absl::Seconds(16)},          // 2 s each, 8 left
      {{{50, 1}, {52, 2}, {60, 6}}, absl::Seconds(8)},  // 10 s for 5, 4 left
      {{{50, 1}, {59, 10}}, absl::ZeroDuration()},
  };
  for (const Row& row : rows) {
    RequestTally tally(1, kArrival);
    absl::Time now = kArrival;
    for (const auto& [seconds, evaluations] : row.progress) {
      now = kArrival + absl::Seconds(seconds);
      tally.OnProgress(0, Done(evaluations), now);
    }
    EXPECT_EQ(tally.Eta(0, now), row.eta);
  }
}

TEST(RequestTallyTest, TimingsAreThoseOfThePictureThatFinishedLast) {
  RequestTally tally(2, kArrival);
  JobStatistics first{.queued = absl::Seconds(1),
                      .encode = {},
                      .denoise = absl::Seconds(2),
                      .decode = {},
                      .evaluations = 10,
                      .rows_in_company = 40,
                      .denoise_ticks = 10,
                      .cost = {.row_evaluations = 20, .device_time = absl::Milliseconds(750)}};
  JobStatistics second{.queued = absl::Seconds(3),
                       .encode = absl::Milliseconds(1500),
                       .denoise = absl::Seconds(4),
                       .decode = absl::Seconds(5),
                       .evaluations = 10,
                       .rows_in_company = 20,
                       .denoise_ticks = 10,
                       .cost = {.row_evaluations = 10, .device_time = absl::Milliseconds(500)}};
  tally.OnFinished(1, absl::OkStatus(), second);
  EXPECT_FALSE(tally.all_finished());
  tally.OnFinished(0, absl::OkStatus(), first);
  EXPECT_TRUE(tally.all_finished());
  EXPECT_TRUE(tally.Result().ok());
  const v1::Timings timings = tally.TimingsAt(kArrival + absl::Seconds(30));
  EXPECT_EQ(timings.queued().seconds(), 1);
  EXPECT_EQ(timings.denoise().seconds(), 2);
  EXPECT_EQ(timings.total().seconds(), 30);
  EXPECT_EQ(tally.queued(), absl::Seconds(3));
  EXPECT_EQ(tally.evaluations(), 20);
  EXPECT_EQ(tally.Batch().denoise_ticks(), 20);
  EXPECT_EQ(tally.Batch().mean_rows(), 3.0);
  EXPECT_EQ(tally.Cost().row_evaluations(), 30);
  EXPECT_EQ(tally.Cost().device_seconds(), 1.25);
}

TEST(RequestTallyTest, TheResultNamesTheImagesThatFailed) {
  RequestTally tally(4, kArrival);
  tally.OnProgress(3, Done(7), kArrival);
  tally.OnFinished(0, absl::OkStatus(), {});
  tally.OnFinished(1, absl::DeadlineExceededError("late"), {});
  tally.OnFinished(2, absl::OkStatus(), {});
  tally.OnFinished(3, absl::InternalError("secret"), {});
  const absl::Status result = tally.Result();
  EXPECT_EQ(ReasonOf(result), "DEADLINE");
  EXPECT_EQ(Metadata(result, "failed_images"), "1,3");
  EXPECT_EQ(Metadata(result, "steps_done"), "7");
  EXPECT_TRUE(tally.succeeded(2));
  EXPECT_FALSE(tally.succeeded(3));
}

TEST(RequestTallyTest, OneImageNeedsNoIndex) {
  RequestTally tally(1, kArrival);
  tally.OnFinished(0, absl::CancelledError("gone"), {});
  EXPECT_EQ(ReasonOf(tally.Result()), "CLIENT_CANCELLED");
  EXPECT_EQ(Metadata(tally.Result(), "failed_images"), "");
}

TEST(RequestTallyTest, AnImageThatCannotBeEncodedFailsAfterItsJob) {
  RequestTally tally(2, kArrival);
  tally.OnFinished(0, absl::OkStatus(), {});
  tally.OnFinished(1, absl::OkStatus(), {});
  tally.OnFailure(1, absl::InternalError("no codec"));
  EXPECT_EQ(ReasonOf(tally.Result()), "ENGINE_ERROR");
  EXPECT_EQ(Metadata(tally.Result(), "failed_images"), "1");
}

TEST(RequestTallyTest, WithoutTicksThereIsNoMean) {
  RequestTally tally(1, kArrival);
  tally.OnFinished(0, absl::OkStatus(), {});
  EXPECT_EQ(tally.Batch().mean_rows(), 0.0);
}

}  // namespace
}  // namespace stepcast
