#include "server/call/generation_stream.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error_reason.h"
#include "server/request/errors/status_mapping.h"
#include "tests/support/await.h"
#include "tests/support/fake_executor.h"
#include "tests/support/job_builder.h"
#include "tests/support/simulated_clock.h"

namespace stepcast {
namespace {

using Event = v1::GenerateResponse;

// A reactor without gRPC: lets messages through one by one, or none, when a test says so.
class ScriptedTransport final : public ResponseTransport {
 public:
  explicit ScriptedTransport(bool reads = true) : reads_(reads) {}

  bool Send(Event&& message) override {
    MutexLock lock(mutex_);
    EXPECT_FALSE(outcome_) << "a message after the end";
    EXPECT_FALSE(on_its_way_) << "two messages at once";
    messages_.push_back(std::move(message));
    on_its_way_ = !reads_;
    changed_.NotifyAll();
    while (held_) changed_.WaitFor(mutex_, kAwaitLimit);
    return !reads_;
  }
  // From now on whoever sends stands still; the thread that decides, for one.
  void Hold() {
    MutexLock lock(mutex_);
    held_ = true;
  }
  void Release() {
    MutexLock lock(mutex_);
    held_ = false;
    changed_.NotifyAll();
  }
  void End(CallOutcome outcome) override {
    MutexLock lock(mutex_);
    EXPECT_FALSE(outcome_) << "ended twice";
    EXPECT_FALSE(on_its_way_) << "ended with a message on its way";
    outcome_ = std::move(outcome);
    changed_.NotifyAll();
  }
  void Abort() override { aborted_ = true; }

  // The message on its way is through (or lost, when `ok` is false). From now on all pass when `reads`.
  void Through(GenerationStream& stream, bool ok, bool reads) {
    {
      MutexLock lock(mutex_);
      on_its_way_ = false;
      reads_ = reads;
    }
    stream.OnWritten(ok);
  }

  [[nodiscard]] bool AwaitMessages(size_t count) {
    MutexLock lock(mutex_);
    const absl::Time giving_up = RealClock().Now() + kAwaitLimit;
    while (messages_.size() < count && RealClock().Now() < giving_up) changed_.WaitFor(mutex_, kAwaitLimit);
    return messages_.size() >= count;
  }
  [[nodiscard]] CallOutcome AwaitEnd() {
    MutexLock lock(mutex_);
    const absl::Time giving_up = RealClock().Now() + kAwaitLimit;
    while (!outcome_ && RealClock().Now() < giving_up) changed_.WaitFor(mutex_, kAwaitLimit);
    return outcome_ ? *outcome_ : CallOutcome{.status = absl::UnknownError("the call never ended")};
  }
  std::vector<Event> messages() {
    MutexLock lock(mutex_);
    return messages_;
  }
  bool ended() {
    MutexLock lock(mutex_);
    return outcome_.has_value();
  }
  bool aborted() const { return aborted_; }

 private:
  Mutex mutex_;
  CondVar changed_;
  bool reads_ ABSL_GUARDED_BY(mutex_);
  bool on_its_way_ ABSL_GUARDED_BY(mutex_) = false;
  bool held_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<Event> messages_ ABSL_GUARDED_BY(mutex_);
  std::optional<CallOutcome> outcome_ ABSL_GUARDED_BY(mutex_);
  std::atomic<bool> aborted_{false};
};

class GenerationStreamTest : public testing::Test {
 protected:
  GenerationStreamTest() {
    const SharedModelInfo model = MakeModelInfo("emoji");
    metrics_.AddModels({model});
    std::vector<DispatchDevice> devices;
    devices.push_back({.name = "cpu", .executor = MakeFakeExecutor(device_), .metrics = &metrics_});
    auto loops = Dispatcher::Create({}, std::move(devices), clock_);
    EXPECT_TRUE(loops.ok()) << loops.status();
    loops_ = *std::move(loops);
    services_ = std::make_unique<StreamServices>(StreamServices{.loops = *loops_,
                                                                .codec = codec_,
                                                                .writers = writers_,
                                                                .metrics = metrics_,
                                                                .pace = pace_,
                                                                .clock = clock_,
                                                                .on_device_lost = [this] { device_lost_ = true; }});
  }
  ~GenerationStreamTest() override { device_.Release(); }

  std::shared_ptr<GenerationStream> Make(const TestJob& job, ResponseTransport& transport) {
    StreamRequest request;
    request.request = MakeRequest(job);
    request.program = MakeProgram(job);
    request.arrival = clock_.Now();
    request.deadline = job.deadline;
    return std::make_shared<GenerationStream>(std::move(request), transport, *services_);
  }

  // Waits until every job submitted so far has ended and every event has been told. No job may be submitted later.
  void AwaitNoJobs() {
    Notification drained;
    loops_->Drain(absl::InfiniteFuture(), [&drained] { drained.Notify(); });
    EXPECT_TRUE(drained.Await());
  }

  // Waits until everything handed to the codec's one thread so far is encoded.
  void AwaitEncoded() {
    Notification encoded;
    ASSERT_TRUE(codec_.TryPost([&encoded] { encoded.Notify(); }));
    EXPECT_TRUE(encoded.Await());
  }

  static int Count(const std::vector<Event>& messages, Event::EventCase kind) {
    return static_cast<int>(std::count_if(messages.begin(), messages.end(),
                                          [kind](const Event& message) { return message.event_case() == kind; }));
  }

  SimulatedClock clock_;
  FakeDevice device_;
  ServerMetrics metrics_{clock_};
  CompletionPace pace_;
  CodecPool codec_{1, 64};
  CodecPool writers_{1, 64};
  std::unique_ptr<Dispatcher> loops_;
  std::unique_ptr<StreamServices> services_;
  std::atomic<bool> device_lost_{false};
};

TEST_F(GenerationStreamTest, AcceptedIsFirstAndCompletedLast) {
  ScriptedTransport transport;
  const auto stream = Make({.steps = 3, .image_count = 2}, transport);
  stream->Submit();
  const CallOutcome outcome = transport.AwaitEnd();
  EXPECT_TRUE(outcome.status.ok()) << outcome.status;
  EXPECT_TRUE(outcome.admitted);
  EXPECT_EQ(outcome.model, "emoji");
  EXPECT_EQ(outcome.work.evaluations, 6);
  const std::vector<Event> messages = transport.messages();
  EXPECT_TRUE(messages.front().has_accepted());
  EXPECT_TRUE(messages.back().has_completed());
  EXPECT_EQ(Count(messages, Event::kImageChunk), 2);
}

TEST_F(GenerationStreamTest, ARefusalEndsWithoutAMessage) {
  ScriptedTransport transport;
  const auto stream = Make({.image_count = 65}, transport);
  stream->Submit();
  const CallOutcome outcome = transport.AwaitEnd();
  EXPECT_EQ(ReasonOf(outcome.status), "QUEUE_FULL");
  EXPECT_FALSE(outcome.admitted);
  EXPECT_TRUE(transport.messages().empty());
}

TEST_F(GenerationStreamTest, AStalledReaderGetsTheNewestOfEverything) {
  ScriptedTransport transport(/*reads=*/false);
  const auto stream = Make({.steps = 12, .preview_every = 1}, transport);
  stream->Submit();
  ASSERT_TRUE(transport.AwaitMessages(1));  // Accepted is on its way and stays there
  AwaitNoJobs();
  AwaitEncoded();  // a preview that is being encoded would pass as the second
  transport.Through(*stream, /*ok=*/true, /*reads=*/true);
  EXPECT_TRUE(transport.AwaitEnd().status.ok());
  const std::vector<Event> messages = transport.messages();
  EXPECT_LE(Count(messages, Event::kProgress), 1);
  EXPECT_LE(Count(messages, Event::kPreview), 1);
  EXPECT_EQ(Count(messages, Event::kImageChunk), 1);
  EXPECT_TRUE(messages.back().has_completed());
}

TEST_F(GenerationStreamTest, CancelBeforeTheDecisionCancelsTheJobs) {
  device_.Hold();  // so that it is not the engine who tells the first
  ScriptedTransport first_transport;
  first_transport.Hold();
  const auto first = Make({}, first_transport);
  first->Submit();
  ASSERT_TRUE(first_transport.AwaitMessages(1));

  ScriptedTransport transport;
  const auto stream = Make({.steps = 9}, transport);
  stream->Submit();  // the thread that decides is held while it tells the first: no decision yet
  stream->Cancel(absl::CancelledError("gone"));
  const CallOutcome outcome = transport.AwaitEnd();
  EXPECT_EQ(ReasonOf(outcome.status), "CLIENT_CANCELLED");
  EXPECT_TRUE(transport.messages().empty());
  first_transport.Release();
  device_.Release();
  EXPECT_TRUE(first_transport.AwaitEnd().status.ok());
  AwaitNoJobs();
  EXPECT_EQ(device_.live_states(), 0);
}

TEST_F(GenerationStreamTest, ALostWriteIsACancel) {
  device_.Hold();
  ScriptedTransport transport(/*reads=*/false);
  const auto stream = Make({.steps = 9}, transport);
  stream->Submit();
  ASSERT_TRUE(transport.AwaitMessages(1));
  transport.Through(*stream, /*ok=*/false, /*reads=*/false);
  EXPECT_EQ(ReasonOf(transport.AwaitEnd().status), "CLIENT_CANCELLED");
  device_.Release();
  AwaitNoJobs();
}

TEST_F(GenerationStreamTest, AWriteThatHangsIsBrokenAfterItsTime) {
  ScriptedTransport transport(/*reads=*/false);
  const auto stream = Make({.steps = 2}, transport);
  stream->Submit();
  ASSERT_TRUE(transport.AwaitMessages(1));
  clock_.Advance(absl::Seconds(30));
  stream->CheckStall(clock_.Now());
  EXPECT_FALSE(transport.aborted());
  clock_.Advance(absl::Seconds(1));
  stream->CheckStall(clock_.Now());
  EXPECT_TRUE(transport.aborted());
  EXPECT_FALSE(transport.ended()) << "nothing may follow while a message is on its way";
  transport.Through(*stream, /*ok=*/false, /*reads=*/false);
  EXPECT_EQ(ReasonOf(transport.AwaitEnd().status), "CLIENT_STALLED") << "the client did not cancel: it did not read";
}

TEST_F(GenerationStreamTest, AStallOfTenSecondsStopsPreviews) {
  device_.Hold();
  ScriptedTransport transport(/*reads=*/false);
  const auto stream = Make({.steps = 6, .preview_every = 1}, transport);
  stream->Submit();
  ASSERT_TRUE(transport.AwaitMessages(1));
  clock_.Advance(absl::Seconds(11));
  device_.Release();
  AwaitNoJobs();
  transport.Through(*stream, /*ok=*/true, /*reads=*/true);
  EXPECT_TRUE(transport.AwaitEnd().status.ok());
  EXPECT_EQ(Count(transport.messages(), Event::kPreview), 0);
}

TEST_F(GenerationStreamTest, PicturesWaitForRoomBeforeTheyAreEncoded) {
  services_->max_waiting_bytes = 1;  // room for one at a time
  ScriptedTransport transport(/*reads=*/false);
  const auto stream = Make({.steps = 1, .image_count = 4}, transport);
  stream->Submit();
  ASSERT_TRUE(transport.AwaitMessages(1));
  AwaitNoJobs();
  transport.Through(*stream, /*ok=*/true, /*reads=*/true);
  EXPECT_TRUE(transport.AwaitEnd().status.ok());
  EXPECT_EQ(Count(transport.messages(), Event::kImageChunk), 4);
}

TEST_F(GenerationStreamTest, ALostDeviceIsReported) {
  device_.SetFault([](const Job&, Phase) { return WithReason(absl::UnavailableError("gone"), "DEVICE_LOST"); });
  ScriptedTransport transport;
  const auto stream = Make({}, transport);
  stream->Submit();
  EXPECT_EQ(ReasonOf(transport.AwaitEnd().status), "DEVICE_LOST");
  EXPECT_TRUE(device_lost_);
}

TEST_F(GenerationStreamTest, CancelAfterTheEndDoesNothing) {
  ScriptedTransport transport;
  const auto stream = Make({.steps = 1}, transport);
  stream->Submit();
  EXPECT_TRUE(transport.AwaitEnd().status.ok());
  stream->Cancel(absl::CancelledError("too late"));
  stream->CheckStall(clock_.Now() + absl::Hours(1));
  EXPECT_FALSE(transport.aborted());
}

}  // namespace
}  // namespace stepcast
