// Painting over real gRPC, from the first message to the last.

#include "server/call/generate_calls.h"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "codec/files/image_codec.h"
#include "core/sha256.h"
#include "tests/server/service_fixture.h"

namespace stepcast {
namespace {

using Event = v1::GenerateResponse;
using ::testing::HasSubstr;

class GenerateCallsTest : public ServiceFixture {
 protected:
  v1::GenerateRequest Request(const std::string& text) const {
    v1::GenerateRequest request;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &request)) << text;
    return request;
  }
  // A stream that a test reads by itself. One at a time.
  grpc::ClientReader<Event>& Open(const std::string& text, grpc::ClientContext& context,
                                  const grpc::ChannelArguments& arguments = {}) {
    stub_ = v1::ImageGenerationService::NewStub(NewChannel(arguments));
    reader_ = stub_->Generate(&context, Request(text));
    return *reader_;
  }
  // A client that does not read: without these its transport swallows megabytes before back-pressure shows.
  static grpc::ChannelArguments Narrow() {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 65535);
    return arguments;
  }
  // Many large previews, which nobody reads, and the end of the painting.
  grpc::ClientReader<Event>& OpenAndDoNotRead(grpc::ClientContext& context) {
    Start(TestConfig(), WithNoisyPreviews(MakeFakeExecutor(device_), 512));
    grpc::ClientReader<Event>& reader = Open(R"(prompt: "a" steps: 25 width: 1024 height: 1024
        preview { every_n_steps: 1 max_side: 512 format: IMAGE_FORMAT_PNG })",
                                             context, Narrow());
    EXPECT_TRUE(
        Await([this] { return server_->engine_idle() && Series("stepcast_images_total{finish_reason=\"succ") == 1; }));
    return reader;
  }
  grpc::Status Unary(const std::string& text, v1::GenerateImageResponse& response) const {
    v1::GenerateImageRequest request;
    *request.mutable_request() = Request(text);
    grpc::ClientContext context;
    return NewStub()->GenerateImage(&context, request, &response);
  }

 private:
  std::unique_ptr<v1::ImageGenerationService::Stub> stub_;
  std::unique_ptr<grpc::ClientReader<Event>> reader_;
};

TEST_F(GenerateCallsTest, StreamsInOrderWithEveryValueTold) {
  Start();
  const StreamResult result = Generate(
      R"(prompt: "a red apple" seed: 7 steps: 6 preview { every_n_steps: 2 } output { embed_parameters: true })");
  ASSERT_TRUE(result.status.ok()) << result.status.error_message();
  ASSERT_GE(result.messages.size(), 3u);
  for (size_t i = 0; i < result.messages.size(); ++i) {
    EXPECT_EQ(result.messages[i].sequence(), static_cast<int64_t>(i));
  }
  const v1::Accepted& accepted = result.messages.front().accepted();
  ASSERT_TRUE(result.messages.front().has_accepted());
  EXPECT_EQ(accepted.request().model(), "texty");
  EXPECT_EQ(accepted.request().seed(), 7);
  EXPECT_EQ(accepted.request().width(), 64);
  EXPECT_EQ(accepted.request().sampler(), v1::SAMPLER_DDIM);
  EXPECT_EQ(accepted.request().guidance_scale(), 5.0);
  EXPECT_EQ(accepted.evaluations(), 6);
  EXPECT_EQ(accepted.queue_position(), 0);
  EXPECT_EQ(accepted.job_ids_size(), 1);

  ASSERT_TRUE(result.messages.back().has_completed());
  const v1::Completed& completed = result.messages.back().completed();
  EXPECT_EQ(completed.evaluations(), 6);
  EXPECT_EQ(completed.batch().denoise_ticks(), 6);
  EXPECT_EQ(completed.batch().mean_rows(), 2.0);
  EXPECT_EQ(completed.model_sha256(), std::string(64, 'a'));

  const std::vector<Event> chunks = result.Of(Event::kImageChunk);
  ASSERT_EQ(chunks.size(), 1u);
  const v1::ImageChunk& chunk = chunks[0].image_chunk();
  EXPECT_EQ(chunk.mime(), "image/png");
  EXPECT_EQ(chunk.seed(), 7);
  EXPECT_EQ(chunk.total_bytes(), static_cast<int64_t>(chunk.data().size()));
  EXPECT_EQ(chunk.sha256(), Sha256Hex(chunk.data()));
  EXPECT_THAT(chunk.data(), HasSubstr("a red apple"));
  const auto image = DecodeImage(chunk.data(), {});
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ(image->width, 64);
  EXPECT_EQ(image->height, 64);

  for (const Event& event : result.Of(Event::kPreview)) {
    EXPECT_EQ(event.preview().mime(), "image/jpeg");
    EXPECT_EQ(event.preview().step() % 2, 0);
    EXPECT_EQ(event.preview().width(), 16);
    EXPECT_TRUE(DecodeImage(event.preview().data(), {}).ok());
  }
  EXPECT_TRUE(Await([this] { return Series("stepcast_previews_total") == 2; })) << "each ends as one of three";
}

TEST_F(GenerateCallsTest, ProgressAndPreviewsArriveWhileItPaints) {
  Start();
  Notification seen;
  device_.SetFault([&seen](const Job& job, Phase phase) {
    if (phase == Phase::kDenoise && job.position() == 4) {
      EXPECT_TRUE(seen.Await());
    }
    return absl::OkStatus();
  });
  grpc::ClientContext context;
  grpc::ClientReader<Event>& reader = Open(R"(prompt: "a" steps: 6 preview { every_n_steps: 2 })", context);
  bool progress = false;
  bool preview = false;
  Event event;
  // Step 5 waits for both: neither may depend on a later tick.
  while (!(progress && preview) && reader.Read(&event)) {
    if (event.has_progress() && event.progress().step() > 0) {
      progress = true;
      EXPECT_EQ(event.progress().steps(), 6);
      EXPECT_EQ(event.progress().evaluations_total(), 6);
    }
    preview |= event.has_preview();
  }
  EXPECT_TRUE(progress && preview);
  seen.Notify();
  EXPECT_TRUE(Drain(reader, context).status.ok());
}

TEST_F(GenerateCallsTest, TheEffectiveRequestAsksForTheSamePicture) {
  Start();
  const StreamResult first = Generate(R"(prompt: "a" steps: 3)");
  ASSERT_TRUE(first.status.ok()) << first.status.error_message();
  std::string again;
  google::protobuf::TextFormat::PrintToString(first.messages.front().accepted().request(), &again);
  const StreamResult second = Generate(again);
  ASSERT_TRUE(second.status.ok()) << second.status.error_message();
  EXPECT_EQ(first.Pictures(1), second.Pictures(1));
  EXPECT_EQ(second.messages.front().accepted().request().SerializeAsString(),
            first.messages.front().accepted().request().SerializeAsString());
}

TEST_F(GenerateCallsTest, BigPicturesComeInChunks) {
  ServerConfig config = TestConfig();
  config.limits.image_chunk_bytes = 1024;
  Start(std::move(config));
  const StreamResult result = Generate(R"(prompt: "a" steps: 1 width: 512 height: 512 image_count: 2
                                          output { format: IMAGE_FORMAT_JPEG })");
  ASSERT_TRUE(result.status.ok()) << result.status.error_message();
  const std::vector<Event> chunks = result.Of(Event::kImageChunk);
  ASSERT_GT(chunks.size(), 4u);
  for (const Event& event : chunks) {
    const v1::ImageChunk& chunk = event.image_chunk();
    EXPECT_LE(chunk.data().size(), 1024u);
    const bool last = chunk.offset() + static_cast<int64_t>(chunk.data().size()) == chunk.total_bytes();
    EXPECT_EQ(chunk.sha256().empty(), !last);
  }
  for (const std::string& picture : result.Pictures(2)) EXPECT_TRUE(DecodeImage(picture, {}).ok());
}

TEST_F(GenerateCallsTest, ValidateOnlyPaintsNothing) {
  Start();
  const StreamResult result = Generate(R"(prompt: "a" validate_only: true)");
  ASSERT_TRUE(result.status.ok());
  ASSERT_EQ(result.messages.size(), 1u);
  EXPECT_EQ(result.messages[0].accepted().evaluations(), 20);
  EXPECT_EQ(Generate(R"(validate_only: true)").reason, "FIELD_INVALID");

  v1::GenerateImageResponse response;
  ASSERT_TRUE(Unary(R"(prompt: "a" validate_only: true)", response).ok());
  EXPECT_EQ(response.images_size(), 0);
  EXPECT_EQ(response.request().model(), "texty");
  EXPECT_FALSE(response.has_timings());
  EXPECT_EQ(device_.plans(), 0);
}

TEST_F(GenerateCallsTest, ValidateOnlyFailsWhenTheCallWould) {
  ServerConfig config = TestConfig();
  config.scheduler.admission.max_queued_jobs = 1;
  Start(std::move(config));
  const StreamResult result = Generate(R"(prompt: "a" image_count: 2 validate_only: true)");
  EXPECT_EQ(result.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(result.reason, "QUEUE_FULL");
}

TEST_F(GenerateCallsTest, WhatCannotBeDoneInTimeIsRefusedAtOnce) {
  FakeDevice slow({.latency = [](const StepPlan&) { return absl::Seconds(1); }, .clock = &clock_});
  Start(TestConfig(), MakeFakeExecutor(slow));
  ASSERT_FALSE(Generate(R"(prompt: "a" steps: 2)").messages.front().accepted().has_estimated_total())
      << "nothing is known yet";
  const StreamResult told = Generate(R"(prompt: "b" steps: 20 validate_only: true)");
  ASSERT_EQ(told.messages.size(), 1u);
  EXPECT_GE(told.messages[0].accepted().estimated_total().seconds(), 20) << "a second per evaluation";
  v1::GenerateImageResponse response;
  ASSERT_TRUE(Unary(R"(prompt: "b" steps: 20 validate_only: true)", response).ok());
  EXPECT_EQ(response.estimated_total().seconds(), told.messages[0].accepted().estimated_total().seconds());

  const int plans = slow.plans();
  for (const std::string dry : {"", " validate_only: true"}) {
    grpc::ClientContext context;
    context.set_deadline(gpr_time_add(gpr_now(GPR_CLOCK_REALTIME), gpr_time_from_seconds(9, GPR_TIMESPAN)));
    const StreamResult late = Generate(R"(prompt: "b" steps: 20)" + dry, context);
    EXPECT_EQ(late.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
    EXPECT_EQ(late.reason, "DEADLINE_UNREACHABLE");
    EXPECT_NE(late.pushback, "");
    EXPECT_TRUE(late.messages.empty());
  }
  EXPECT_EQ(slow.plans(), plans);
  server_.reset();  // before `slow`
}

TEST_F(GenerateCallsTest, UnaryCollectsPicturesInOrder) {
  Start();
  v1::GenerateImageResponse response;
  const grpc::Status status = Unary(R"(prompt: "a" seed: 40 image_count: 3 steps: 2)", response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(response.images_size(), 3);
  const StreamResult streamed = Generate(R"(prompt: "a" seed: 40 image_count: 3 steps: 2)");
  const std::vector<std::string> pictures = streamed.Pictures(3);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(response.images(i).seed(), 40 + i);
    EXPECT_EQ(response.images(i).sha256(), Sha256Hex(response.images(i).data()));
    EXPECT_EQ(response.images(i).data(), pictures[static_cast<size_t>(i)]);
  }
  EXPECT_EQ(response.evaluations(), 6);
  EXPECT_EQ(response.request().image_count(), 3);
  EXPECT_TRUE(response.has_timings());
}

TEST_F(GenerateCallsTest, UnaryRefusesWhatItCannotAnswerBeforeAnyWork) {
  Start();
  v1::GenerateImageResponse response;
  const grpc::Status large = Unary(R"(prompt: "a" width: 1024 height: 1024 image_count: 4)", response);
  EXPECT_EQ(large.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(ReasonIn(large), "WORK_LIMIT");
  EXPECT_THAT(large.error_message(), HasSubstr("Generate"));
  const grpc::Status preview = Unary(R"(prompt: "a" preview { every_n_steps: 5 })", response);
  EXPECT_EQ(preview.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(ViolationsIn(preview), testing::ElementsAre("preview"));
  EXPECT_EQ(device_.plans(), 0);
}

TEST_F(GenerateCallsTest, SiblingsOfAFailedImageAreDelivered) {
  Start();
  device_.SetFault([](const Job& job, Phase phase) {
    return job.spec().image_index == 2 && phase == Phase::kDenoise && job.position() == 1
               ? absl::InternalError("tensor of shape [4, 16] at 0x7f00")
               : absl::OkStatus();
  });
  const StreamResult result = Generate(R"(prompt: "a" image_count: 4 steps: 3)");
  EXPECT_EQ(result.status.error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_EQ(result.reason, "ENGINE_ERROR");
  EXPECT_EQ(MetadataIn(result.status, "failed_images"), "2");
  EXPECT_NE(MetadataIn(result.status, "error_id"), "");
  EXPECT_THAT(result.status.error_message(), testing::Not(HasSubstr("tensor")));
  const std::vector<std::string> pictures = result.Pictures(4);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(pictures[static_cast<size_t>(i)].empty(), i == 2) << i;
  EXPECT_TRUE(result.Of(Event::kCompleted).empty());
}

TEST_F(GenerateCallsTest, CancelFreesTheRowsAtTheNextTick) {
  Start();
  device_.Hold();
  grpc::ClientContext context;
  grpc::ClientReader<Event>& reader = Open(R"(prompt: "a" steps: 50)", context);
  ASSERT_TRUE(device_.AwaitHeld());
  context.TryCancel();
  ASSERT_TRUE(Await([this] { return server_->Idle(); })) << "the call ends while the engine still works";
  const int plans = device_.plans();
  device_.Release();
  ASSERT_TRUE(AwaitIdle());
  EXPECT_LE(device_.plans(), plans + 1);
  EXPECT_EQ(device_.live_states(), 0);
  EXPECT_EQ(Drain(reader, context).status.error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_EQ(Series(R"(stepcast_requests_total{code="CANCELLED",method="Generate",model="texty"})"), 1);
  EXPECT_EQ(Series(R"(stepcast_images_total{finish_reason="cancelled",model="texty"})"), 1);
}

TEST_F(GenerateCallsTest, ADisconnectIsACancel) {
  Start();
  device_.Hold();
  {
    grpc::ClientContext context;
    const auto channel = NewChannel();
    const auto stub = v1::ImageGenerationService::NewStub(channel);
    const auto reader = stub->Generate(&context, Request(R"(prompt: "a" steps: 50)"));
    ASSERT_TRUE(device_.AwaitHeld());
  }
  ASSERT_TRUE(Await([this] { return server_->Idle(); }));
  device_.Release();
  ASSERT_TRUE(AwaitIdle());
}

TEST_F(GenerateCallsTest, AnUnaryCancelEndsToo) {
  Start();
  device_.Hold();
  grpc::ClientContext context;
  std::thread client([&] {
    v1::GenerateImageRequest request;
    request.mutable_request()->set_prompt("a");
    v1::GenerateImageResponse response;
    EXPECT_EQ(NewStub()->GenerateImage(&context, request, &response).error_code(), grpc::StatusCode::CANCELLED);
  });
  ASSERT_TRUE(device_.AwaitHeld());
  context.TryCancel();
  client.join();
  ASSERT_TRUE(Await([this] { return server_->Idle(); }));
  device_.Release();
}

TEST_F(GenerateCallsTest, ADeadlineEndsTheCallAndTheWork) {
  Start();
  device_.Hold();
  grpc::ClientContext context;
  context.set_deadline(gpr_time_add(gpr_now(GPR_CLOCK_REALTIME), gpr_time_from_millis(300, GPR_TIMESPAN)));
  const StreamResult result = Generate(R"(prompt: "a" steps: 50)", context);
  EXPECT_EQ(result.status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  ASSERT_TRUE(Await([this] { return server_->Idle(); }));
  device_.Release();
  ASSERT_TRUE(AwaitIdle());
}

TEST_F(GenerateCallsTest, EightAtOnceShareTicks) {
  ServerConfig config = TestConfig();
  config.scheduler.admission.max_queued_jobs = 64;
  Start(std::move(config));
  device_.Hold();
  std::vector<std::thread> clients;
  std::atomic<int> done{0};
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([this, i, &done] {
      const StreamResult result =
          Generate("prompt: \"p\" seed: " + std::to_string(i) + " steps: " + std::to_string(4 + i));
      EXPECT_TRUE(result.status.ok()) << result.status.error_message();
      EXPECT_NE(result.Pictures(1)[0], "");
      ++done;
    });
  }
  ASSERT_TRUE(Await([this] { return server_->live_calls() == 8; }));
  device_.Release();
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(done, 8);
  EXPECT_GT(Series("stepcast_batch_rows_sum"), 2 * Series("stepcast_batch_rows_count"));
}

TEST_F(GenerateCallsTest, AClientThatStopsReadingHarmsNobody) {
  constexpr int kPreviews = 24;  // of 25 steps, the last without
  grpc::ClientContext context;
  // It reads nothing. The engine goes on, and so do the others.
  grpc::ClientReader<Event>& reader = OpenAndDoNotRead(context);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(Generate(R"(prompt: "b" steps: 2)").status.ok());

  // It reads again: what was stale is gone, what must come comes.
  const StreamResult result = Drain(reader, context);
  ASSERT_TRUE(result.status.ok()) << result.status.error_message();
  EXPECT_NE(result.Pictures(1)[0], "");
  EXPECT_TRUE(result.messages.back().has_completed());
  const size_t previews = result.Of(Event::kPreview).size();
  EXPECT_LT(previews, static_cast<size_t>(kPreviews) / 2);
  EXPECT_EQ(Series(R"(stepcast_previews_total{result="sent"})"), static_cast<double>(previews));
  // Each preview ends as one of the three; one may still be with the codec.
  EXPECT_TRUE(Await([this] { return Series("stepcast_previews_total") == kPreviews; }));
}

TEST_F(GenerateCallsTest, AClientThatNeverReadsIsCancelled) {
  grpc::ClientContext context;
  grpc::ClientReader<Event>& reader = OpenAndDoNotRead(context);
  server_->Housekeep();
  EXPECT_EQ(server_->live_calls(), 1);
  // More than once, because the write that hangs may only have started.
  ASSERT_TRUE(Await([this] {
    clock_.Advance(absl::Seconds(31));
    server_->Housekeep();
    return server_->Idle();
  }));
  EXPECT_EQ(Series("stepcast_stalled_clients_total"), 1);
  EXPECT_EQ(Drain(reader, context).status.error_code(), grpc::StatusCode::CANCELLED);
}

}  // namespace
}  // namespace stepcast
