#include "server/call/generate_calls.h"

#include <grpc/slice.h>

#include <utility>

#include "stepcast/v1/image_generation.pb.h"

namespace stepcast {
namespace {

// What both reactors do: hold the call, tell the stream of a cancel, leave the register at the end.
template <typename Reactor>
class PaintingReactor : public Reactor, public ResponseTransport {
 public:
  explicit PaintingReactor(CallStart& start)
      : context_(start.context), record_(std::move(start.record)), live_(start.live) {}

  void Start(CallStart start) {
    if (!start.request.ok()) {
      End({.status = start.request.status(), .model = std::move(start.model)});
      return;
    }
    deadline_clock_ = &start.services->clock;
    stream_ = std::make_shared<GenerationStream>(*std::move(start.request), *this, *start.services);
    // A local reference: the call may end, and this with it, before Submit returns.
    const std::shared_ptr<GenerationStream> stream = stream_;
    live_.Add(stream);
    if (start.validate_only) {
      stream->SubmitNothing();
    } else {
      stream->Submit();
    }
  }

  void OnCancel() override {
    if (stream_ == nullptr) return;
    // gRPC's timer may fire a moment before our clock gets there.
    constexpr absl::Duration kTimerSlack = absl::Milliseconds(20);
    const bool expired = deadline_clock_->Now() + kTimerSlack >= record_->deadline();
    stream_->Cancel(expired ? absl::DeadlineExceededError("the deadline passed")
                            : absl::CancelledError("cancelled by the client"));
  }

  void OnDone() override {
    if (stream_ != nullptr) live_.Remove(stream_);
    delete this;
  }

  void Abort() override { context_.TryCancel(); }

 protected:
  grpc::CallbackServerContext& context_;
  const std::unique_ptr<CallRecord> record_;
  std::shared_ptr<GenerationStream> stream_;  // null for a refused call
  int64_t bytes_ = 0;

 private:
  LiveCalls& live_;
  const Clock* deadline_clock_ = nullptr;
};

class GenerateReactor final : public PaintingReactor<grpc::ServerWriteReactor<grpc::ByteBuffer>> {
 public:
  using PaintingReactor::PaintingReactor;

  bool Send(v1::GenerateResponse&& message) override {
    ToBytes(message, buffer_);
    bytes_ += static_cast<int64_t>(buffer_.Length());
    StartWrite(&buffer_);
    return true;
  }

  void OnWriteDone(bool ok) override { stream_->OnWritten(ok); }

  void End(CallOutcome outcome) override {
    outcome.bytes = bytes_;
    Finish(record_->Finish(outcome));
  }

 private:
  grpc::ByteBuffer buffer_;  // alive until OnWriteDone
};

class GenerateImageReactor final : public PaintingReactor<grpc::ServerUnaryReactor> {
 public:
  GenerateImageReactor(CallStart& start, grpc::ByteBuffer& response) : PaintingReactor(start), response_(response) {}

  bool Send(v1::GenerateResponse&& message) override {
    switch (message.event_case()) {
      case v1::GenerateResponse::kAccepted:
        Take(std::move(*message.mutable_accepted()));
        break;
      case v1::GenerateResponse::kImageChunk:
        Collect(std::move(*message.mutable_image_chunk()));
        break;
      case v1::GenerateResponse::kCompleted:
        *answer_.mutable_timings() = std::move(*message.mutable_completed()->mutable_timings());
        *answer_.mutable_batch() = std::move(*message.mutable_completed()->mutable_batch());
        answer_.set_evaluations(message.completed().evaluations());
        answer_.set_model_sha256(message.completed().model_sha256());
        break;
      default:  // progress has no place in one answer
        break;
    }
    return false;
  }

  void End(CallOutcome outcome) override {
    if (outcome.status.ok()) {
      ToBytes(answer_, response_);
      outcome.bytes = static_cast<int64_t>(response_.Length());
    }
    Finish(record_->Finish(outcome));
  }

 private:
  void Take(v1::Accepted&& accepted) {
    *answer_.mutable_request() = std::move(*accepted.mutable_request());
    *answer_.mutable_warnings() = std::move(*accepted.mutable_warnings());
    if (!accepted.has_estimated_total()) return;
    *answer_.mutable_estimated_wait() = accepted.estimated_wait();
    *answer_.mutable_estimated_total() = accepted.estimated_total();
  }

  // Pictures come in order of completion, chunks of one picture in order of offset.
  void Collect(v1::ImageChunk&& chunk) {
    while (answer_.images_size() <= chunk.image_index()) answer_.add_images();
    v1::GeneratedImage& image = *answer_.mutable_images(chunk.image_index());
    if (chunk.offset() == 0) {
      image.set_data(std::move(*chunk.mutable_data()));
      image.set_mime(chunk.mime());
      image.set_width(chunk.width());
      image.set_height(chunk.height());
      image.set_seed(chunk.seed());
    } else {
      image.mutable_data()->append(chunk.data());
    }
    image.set_sha256(chunk.sha256());
  }

  grpc::ByteBuffer& response_;  // gRPC's, until Finish
  v1::GenerateImageResponse answer_;
};

}  // namespace

grpc::ServerWriteReactor<grpc::ByteBuffer>* AnswerGenerate(CallStart start) {
  auto* reactor = new GenerateReactor(start);
  reactor->Start(std::move(start));
  return reactor;
}

grpc::ServerUnaryReactor* AnswerGenerateImage(CallStart start, grpc::ByteBuffer& response) {
  auto* reactor = new GenerateImageReactor(start, response);
  reactor->Start(std::move(start));
  return reactor;
}

void ToBytes(const google::protobuf::MessageLite& message, grpc::ByteBuffer& bytes) {
  grpc::Slice slice(message.ByteSizeLong());
  message.SerializeWithCachedSizesToArray(const_cast<uint8_t*>(slice.begin()));
  bytes = grpc::ByteBuffer(&slice, 1);
}

}  // namespace stepcast
