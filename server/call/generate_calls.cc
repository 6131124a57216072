#include "server/call/generate_calls.h"

#include <grpc/slice.h>

#include <utility>

#include "absl/base/thread_annotations.h"
#include "core/mutex.h"
#include "server/request/errors/status_mapping.h"

#include "stepcast/v1/image_generation.pb.h"

namespace stepcast {
namespace {

// What both reactors do: hold the call, have its pictures decoded, tell whoever works on it of a cancel, leave the
// register at the end.
//
// Owned by itself until OnDone, and by an upload until that is done: the call may end while the stream is being made.
template <typename Reactor>
class PaintingReactor : public Reactor, public ResponseTransport {
 public:
  explicit PaintingReactor(CallStart& start)
      : context_(start.context),
        record_(std::move(start.record)),
        live_(start.live),
        services_(start.services),
        model_(start.model),
        validate_only_(start.validate_only) {}

  void Start(std::shared_ptr<PaintingReactor> self, CallStart start) {
    self_ = self;
    if (start.upload == nullptr) return Begin(std::move(start.request));
    const auto upload = std::make_shared<Upload>(
        std::move(start.upload),
        [self](absl::StatusOr<StreamRequest> request) mutable { self->Begin(std::move(request)); });
    {
      MutexLock lock(mutex_);
      work_ = upload;
    }
    live_.Add(upload);
    upload->Start(*start.uploads);
  }

  void OnCancel() override {
    // gRPC's timer may fire a moment before our clock gets there.
    constexpr absl::Duration kTimerSlack = absl::Milliseconds(20);
    std::shared_ptr<LiveCall> work;
    absl::Status reason = absl::CancelledError("cancelled by the client");
    {
      MutexLock lock(mutex_);
      work = work_;
      if (work == nullptr) return;
      if (services_->clock.Now() + kTimerSlack >= record_->deadline()) {
        reason = absl::DeadlineExceededError("the deadline passed");
      }
      cancelled_ = reason;
    }
    work->Cancel(reason);
  }

  void OnDone() override {
    const std::shared_ptr<PaintingReactor> self = std::move(self_);
    std::shared_ptr<LiveCall> work;
    {
      MutexLock lock(mutex_);
      done_ = true;
      work = work_;
    }
    if (work != nullptr) live_.Remove(work);
  }

  void Abort() override { context_.TryCancel(); }

 protected:
  grpc::CallbackServerContext& context_;
  const std::unique_ptr<CallRecord> record_;
  std::shared_ptr<GenerationStream> stream_;  // null for a refused call
  int64_t bytes_ = 0;

 private:
  // Refuses, or makes the stream and submits its jobs. The call may be over before this returns.
  void Begin(absl::StatusOr<StreamRequest> request) {
    if (!request.ok()) return End({.status = ToClientError(request.status()), .model = std::move(model_)});
    const auto stream = std::make_shared<GenerationStream>(*std::move(request), *this, *services_);
    stream_ = stream;
    live_.Add(stream);
    std::shared_ptr<LiveCall> before;
    absl::Status cancelled;
    bool done = false;
    {
      MutexLock lock(mutex_);
      before = std::exchange(work_, stream);
      cancelled = cancelled_;
      done = done_;
    }
    if (before != nullptr) live_.Remove(before);
    if (done) return live_.Remove(stream);
    if (!cancelled.ok()) return stream->Cancel(cancelled);
    if (validate_only_) {
      stream->SubmitNothing();
    } else {
      stream->Submit();
    }
  }

  LiveCalls& live_;
  const StreamServices* const services_;
  std::string model_;
  const bool validate_only_;
  std::shared_ptr<PaintingReactor> self_;

  Mutex mutex_;
  std::shared_ptr<LiveCall> work_ ABSL_GUARDED_BY(mutex_);  // the upload, then the stream
  absl::Status cancelled_ ABSL_GUARDED_BY(mutex_);
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
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
        *answer_.mutable_cost() = std::move(*message.mutable_completed()->mutable_cost());
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
    *answer_.mutable_prompts() = std::move(*accepted.mutable_prompts());
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
  const auto reactor = std::make_shared<GenerateReactor>(start);
  reactor->Start(reactor, std::move(start));
  return reactor.get();
}

grpc::ServerUnaryReactor* AnswerGenerateImage(CallStart start, grpc::ByteBuffer& response) {
  const auto reactor = std::make_shared<GenerateImageReactor>(start, response);
  reactor->Start(reactor, std::move(start));
  return reactor.get();
}

void ToBytes(const google::protobuf::MessageLite& message, grpc::ByteBuffer& bytes) {
  grpc::Slice slice(message.ByteSizeLong());
  message.SerializeWithCachedSizesToArray(const_cast<uint8_t*>(slice.begin()));
  bytes = grpc::ByteBuffer(&slice, 1);
}

}  // namespace stepcast
