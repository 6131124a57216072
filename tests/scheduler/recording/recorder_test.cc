#include "scheduler/recording/recorder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "scheduler/recording/recording_reader.h"
#include "tests/support/job_builder.h"
#include "tests/support/recording_sink.h"

namespace stepcast {
namespace {

using testing::HasSubstr;
using testing::Not;

const absl::Time kBegin = absl::FromUnixSeconds(1'800'000'000);

std::string FileOf(const std::string& name) {
  const std::string path = testing::TempDir() + "/" + name;
  std::remove(path.c_str());
  std::remove((path + ".old").c_str());
  return path;
}

std::string Contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

RecordingHeader Header() {
  return {.policy = {.name = "request_level", .max_queue_delay = absl::Milliseconds(50)},
          .limits = {.max_denoise_rows = 6, .max_encode_jobs = 3, .max_decode_jobs = 2, .max_resident_jobs = 9},
          .tenant_weights = {{"", 1.0}, {"night shift", 0.1}},
          .initial_costs = {{.key = {.phase = Phase::kEncode, .model = "emoji"},
                             .points = {{1, absl::Milliseconds(3)}, {3, absl::Milliseconds(5)}},
                             .row_cap = 3}},
          .fingerprint = "sha cpu fp32 2",
          .begin = kBegin};
}

std::unique_ptr<Job> NewJob(int64_t id, const TestJob& job) {
  return MakeJob(id, job, std::make_shared<RecordingSink>());
}

TEST(RecorderTest, WhatGoesInComesOut) {
  const std::string path = FileOf("round_trip.rec");
  {
    auto recorder = Recorder::Open(path, Header());
    ASSERT_TRUE(recorder.ok()) << recorder.status();
    const auto warm = NewJob(4, {.steps = 3, .image_count = 2, .tenant = "night shift", .arrival = kBegin});
    warm->set_needs_encode(false);
    const auto cold = NewJob(9, {.steps = 3, .arrival = absl::InfinitePast(), .deadline = kBegin + absl::Seconds(5)});
    (*recorder)->OnSubmit(*warm, kBegin + absl::Nanoseconds(7));
    (*recorder)->OnSubmit(*cold, kBegin + absl::Milliseconds(1));
    StepPlan plan;
    plan.id = 1;
    plan.key = {.phase = Phase::kDecode, .model = "emoji", .latent_height = 16, .latent_width = 8};
    plan.jobs = {JobId{4}, JobId{9}, JobId{2}, JobId{3}};
    plan.rows = 4;
    plan.group = {JobId{4}};
    plan.evict = {JobId{9}, JobId{12}};
    plan.predicted = absl::Nanoseconds(1) / 2;
    (*recorder)->OnPlan(plan, kBegin + absl::Milliseconds(2));
    (*recorder)->OnLeave(JobId{9}, absl::CancelledError("secret words of a client"), kBegin + absl::Milliseconds(9));
    std::vector<StepResult> results(3);
    results[0].image = std::make_shared<Image>();
    results[1].status = absl::InternalError("secret words of an engine");
    (*recorder)->OnComplete(plan, results, kBegin + absl::Milliseconds(8));
    (*recorder)->OnCurve(plan.key, std::vector<CostPoint>{{1, absl::Milliseconds(3)}, {2, absl::Milliseconds(4)}});
    (*recorder)->OnRowCap(plan.key, 3);
    const std::vector<JobSpec> refused =
        MakeSpecs({.steps = 3, .image_count = 2, .arrival = kBegin, .deadline = kBegin + absl::Seconds(1)}, nullptr);
    (*recorder)->OnRefuse(refused, absl::ResourceExhaustedError("secret words of a queue"), kBegin + absl::Seconds(1));
    EXPECT_EQ((*recorder)->events(), 9);
  }
  auto reader = RecordingReader::Open(path);
  ASSERT_TRUE(reader.ok()) << reader.status();
  const RecordingHeader& header = (*reader)->header();
  EXPECT_EQ(header.policy.name, "request_level");
  EXPECT_EQ(header.policy.max_queue_delay, absl::Milliseconds(50));
  EXPECT_EQ(header.limits.max_denoise_rows, 6);
  EXPECT_EQ(header.limits.max_decode_jobs, 2);
  EXPECT_EQ(header.limits.max_resident_jobs, 9);
  EXPECT_EQ(header.tenant_weights, Header().tenant_weights);
  EXPECT_EQ(header.initial_costs, Header().initial_costs);
  EXPECT_EQ(header.fingerprint, "sha cpu fp32 2");
  EXPECT_EQ(header.begin, kBegin);

  std::vector<RecordedEvent> events;
  while (true) {
    auto event = (*reader)->Next();
    ASSERT_TRUE(event.ok()) << event.status();
    if (!event->has_value()) break;
    events.push_back(**std::move(event));
  }
  EXPECT_TRUE((*reader)->complete());
  ASSERT_EQ(events.size(), 9u);
  const auto& refused = std::get<RecordedRefusal>(events[8].what);
  EXPECT_EQ(events[8].at, kBegin + absl::Seconds(1));
  EXPECT_EQ(refused.spec.arrival, kBegin);
  EXPECT_EQ(refused.spec.deadline, kBegin + absl::Seconds(1));
  EXPECT_EQ(refused.spec.image_index, 1);
  EXPECT_EQ(refused.spec.work->evaluations(), 3);
  EXPECT_EQ(refused.code, absl::StatusCode::kResourceExhausted);
  const auto& warm = std::get<RecordedSubmit>(events[0].what);
  EXPECT_EQ(events[0].at, kBegin + absl::Nanoseconds(7));
  EXPECT_EQ(warm.job, JobId{4});
  EXPECT_EQ(warm.spec.arrival, kBegin);
  EXPECT_EQ(warm.spec.deadline, absl::InfiniteFuture());
  EXPECT_EQ(warm.spec.request->tenant, "night shift");
  EXPECT_EQ(warm.spec.work->evaluations(), 3);
  EXPECT_THAT(warm.to_encode, testing::IsEmpty());
  const auto& cold = std::get<RecordedSubmit>(events[1].what);
  EXPECT_EQ(cold.spec.arrival, absl::InfinitePast());
  EXPECT_EQ(cold.spec.deadline, kBegin + absl::Seconds(5));
  EXPECT_EQ(cold.spec.work, warm.spec.work) << "equal work is one list";
  EXPECT_THAT(cold.to_encode, testing::ElementsAre(0));
  const StepPlan& plan = std::get<RecordedPlan>(events[2].what).plan;
  EXPECT_EQ(plan.ToString(), "#1 decode:emoji:16x8 rows=4 jobs=4,9,2,3 group=4 evict=9,12");
  EXPECT_EQ(plan.predicted, absl::Nanoseconds(1) / 2);
  EXPECT_EQ(std::get<RecordedLeave>(events[3].what).code, absl::StatusCode::kCancelled);
  // The completion carries the end of its tick, which lies before the cancel that came in between.
  EXPECT_EQ(events[4].at, kBegin + absl::Milliseconds(8));
  const auto& results = std::get<RecordedComplete>(events[4].what).exceptions;
  ASSERT_EQ(results.size(), 3u);
  EXPECT_EQ(results.at(1).code, absl::StatusCode::kInternal);
  EXPECT_EQ(results.at(2).kind, RecordedResult::kNoImage);
  EXPECT_EQ(results.at(3).kind, RecordedResult::kMissing);
  const auto& curve = std::get<RecordedCurve>(events[5].what);
  EXPECT_EQ(curve.key, plan.key);
  ASSERT_EQ(curve.points.size(), 2u);
  EXPECT_EQ(curve.points[1], (CostPoint{2, absl::Milliseconds(4)}));
  EXPECT_EQ(std::get<RecordedRowCap>(events[6].what).rows, 3);
}

TEST(RecorderTest, WhatIsLearntOfAJobLaterIsALineOfItsOwn) {
  const std::string path = FileOf("skip.rec");
  {
    auto recorder = Recorder::Open(path, Header());
    ASSERT_TRUE(recorder.ok());
    const auto job = NewJob(4, {});
    (*recorder)->OnSubmit(*job, kBegin);
    job->set_to_encode({});
    (*recorder)->OnEncodeOnly(*job, kBegin + absl::Milliseconds(2));
  }
  auto reader = RecordingReader::Open(path);
  ASSERT_TRUE(reader.ok());
  EXPECT_THAT(std::get<RecordedSubmit>((*reader)->Next()->value().what).to_encode, testing::ElementsAre(0));
  const auto event = (*reader)->Next();
  ASSERT_TRUE(event.ok()) << event.status();
  EXPECT_EQ(std::get<RecordedEncodeOnly>((*event)->what).job, JobId{4});
  EXPECT_THAT(std::get<RecordedEncodeOnly>((*event)->what).to_encode, testing::IsEmpty());
  EXPECT_EQ((*event)->at, kBegin + absl::Milliseconds(2));
}

TEST(RecorderTest, NoPromptSeedOrMessageIsInTheFile) {
  const std::string path = FileOf("privacy.rec");
  {
    auto recorder = Recorder::Open(path, Header());
    ASSERT_TRUE(recorder.ok());
    (*recorder)->OnSubmit(*NewJob(1, {.seed = 987654321}), kBegin);
    (*recorder)->OnLeave(JobId{1}, absl::CancelledError("secret words"), kBegin);
  }
  const std::string text = Contents(path);
  EXPECT_THAT(text, Not(HasSubstr("picture")));
  EXPECT_THAT(text, Not(HasSubstr("987654321")));
  EXPECT_THAT(text, Not(HasSubstr("secret")));
  struct stat info = {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07, 0u) << "tenant names are nobody else's business";
}

TEST(RecorderTest, ATickTakesFewBytes) {
  const std::string path = FileOf("compact.rec");
  auto recorder = Recorder::Open(path, Header());
  ASSERT_TRUE(recorder.ok());
  StepPlan plan;
  plan.key = {.phase = Phase::kDenoise, .model = "emoji", .latent_height = 64, .latent_width = 64};
  plan.rows = 16;
  plan.predicted = absl::Microseconds(425'123);
  for (int64_t i = 0; i < 8; ++i) plan.jobs.push_back(JobId{123'456 + 3 * i});
  const std::vector<StepResult> results(8);
  absl::Time now = kBegin;
  (*recorder)->OnPlan(plan, now);  // names the key
  const int64_t before = (*recorder)->bytes();
  for (plan.id = 2; plan.id <= 101; ++plan.id) {
    now += absl::Microseconds(425'987);
    (*recorder)->OnComplete(plan, results, now);
    now += absl::Microseconds(30);
    (*recorder)->OnPlan(plan, now);
  }
  EXPECT_LE(((*recorder)->bytes() - before) / 100, 90);
}

TEST(RecorderTest, AnEarlierRecordingIsKeptOnce) {
  const std::string path = FileOf("twice.rec");
  for (const char* fingerprint : {"first", "second", "third"}) {
    RecordingHeader header = Header();
    header.fingerprint = fingerprint;
    ASSERT_TRUE(Recorder::Open(path, header).ok());
  }
  EXPECT_THAT(Contents(path), HasSubstr("third"));
  EXPECT_THAT(Contents(path + ".old"), HasSubstr("second"));
}

TEST(RecorderTest, AFileThatCannotBeMadeIsAnErrorThatNamesIt) {
  const auto recorder = Recorder::Open(testing::TempDir() + "/no/such/folder/x.rec", Header());
  EXPECT_TRUE(absl::IsUnavailable(recorder.status()));
  EXPECT_THAT(std::string(recorder.status().message()), HasSubstr("/no/such/folder/x.rec"));
  EXPECT_TRUE(absl::IsInvalidArgument(Recorder::Open(FileOf("small.rec"), Header(), {.max_bytes = 1000}).status()));
}

TEST(RecorderTest, AFolderIsNotMovedAway) {
  const std::string folder = testing::TempDir() + "stepcast_recorder_folder_" + std::to_string(getpid());
  ASSERT_EQ(mkdir(folder.c_str(), 0700), 0);
  const auto recorder = Recorder::Open(folder, Header());
  EXPECT_THAT(std::string(recorder.status().message()), HasSubstr("it is no regular file"));
  EXPECT_EQ(rmdir(folder.c_str()), 0) << "it is where it was";
}

// A limit on file sizes stands for a full disk: write() fails in both.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit small{.rlim_cur = bytes, .rlim_max = before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
  }
  ~FullDisk() {
    std::signal(SIGXFSZ, handler_);
    setrlimit(RLIMIT_FSIZE, &before_);
  }

 private:
  rlimit before_ = {};
  void (*handler_)(int) = nullptr;
};

TEST(RecorderTest, AFullDiskEndsTheRecordingAndNothingElse) {
  const std::string path = FileOf("full.rec");
  std::vector<absl::Status> stops;
  {
    const FullDisk disk(200'000);
    auto recorder = Recorder::Open(path, Header(), {.on_stopped = [&](absl::Status why) { stops.push_back(why); }});
    ASSERT_TRUE(recorder.ok()) << recorder.status();
    for (int i = 0; i < 60'000; ++i) (*recorder)->OnLeave(JobId{i + 1}, absl::CancelledError(""), kBegin);
    EXPECT_TRUE((*recorder)->stopped());
  }
  ASSERT_EQ(stops.size(), 1u);
  EXPECT_TRUE(absl::IsUnavailable(stops[0]));
  EXPECT_THAT(std::string(stops[0].message()), HasSubstr(path));
  // What lies on the disk can be read, up to the line that was cut.
  auto reader = RecordingReader::Open(path);
  ASSERT_TRUE(reader.ok());
  int64_t events = 0;
  while ((*reader)->Next().value().has_value()) ++events;
  EXPECT_FALSE((*reader)->complete());
  EXPECT_GT(events, 1'000);
}

TEST(RecorderTest, TheLargestSizeEndsTheRecordingOnceAndWhole) {
  const std::string path = FileOf("limit.rec");
  std::vector<absl::Status> stops;
  constexpr int64_t kLimit = 1 << 20;
  {
    auto recorder = Recorder::Open(
        path, Header(), {.max_bytes = kLimit, .on_stopped = [&](absl::Status why) { stops.push_back(why); }});
    ASSERT_TRUE(recorder.ok());
    for (int i = 0; i < 60'000; ++i) (*recorder)->OnLeave(JobId{i + 1}, absl::CancelledError(""), kBegin);
    EXPECT_TRUE((*recorder)->stopped());
  }
  ASSERT_EQ(stops.size(), 1u);
  EXPECT_TRUE(absl::IsResourceExhausted(stops[0]));
  EXPECT_THAT(std::string(stops[0].message()), HasSubstr(path));
  EXPECT_LE(static_cast<int64_t>(Contents(path).size()), kLimit);
  auto reader = RecordingReader::Open(path);
  ASSERT_TRUE(reader.ok());
  int64_t events = 0;
  while ((*reader)->Next().value().has_value()) ++events;
  EXPECT_TRUE((*reader)->complete());
  EXPECT_GT(events, 30'000);
}

// Dictionaries are bounded: numbering starts anew, and a reader follows.
TEST(RecorderTest, MoreSettingsThanTheDictionaryHolds) {
  const std::string path = FileOf("many.rec");
  constexpr int kJobs = 5'000;
  {
    auto recorder = Recorder::Open(path, Header());
    ASSERT_TRUE(recorder.ok());
    for (int i = 1; i <= kJobs; ++i) {
      (*recorder)->OnSubmit(*NewJob(i, {.guidance_scale = 1.5 + i * 1e-3}), kBegin);
    }
  }
  auto reader = RecordingReader::Open(path);
  ASSERT_TRUE(reader.ok());
  for (int i = 1; i <= kJobs; ++i) {
    const auto event = (*reader)->Next();
    ASSERT_TRUE(event.ok()) << event.status();
    const auto& submit = std::get<RecordedSubmit>((*event)->what);
    ASSERT_EQ(submit.spec.request->guidance_scale, 1.5 + i * 1e-3);
  }
}

}  // namespace
}  // namespace stepcast
