#pragma once
// What waits to be written to one client, and in which order.

#include <cstdint>
#include <deque>
#include <optional>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "core/job_event.h"
#include "server/call/picture_encoder.h"
#include "stepcast/v1/image_generation.pb.h"

namespace stepcast {

// The outbound side of one stream, as data. Accepted, pictures and Completed are never dropped and keep their order;
// of Progress, Preview and Checkpoint only the newest of each image waits. So what waits is bounded by the pictures,
// whatever a client reads, and the owner bounds those (waiting_bytes).
//
// Thread-safety: none; its owner locks.
class StreamWriter {
 public:
  // `chunk_bytes` bounds ImageChunk.data, >= 1.
  StreamWriter(int images, int64_t chunk_bytes);

  void PushAccepted(v1::Accepted accepted);
  void PushCompleted(v1::Completed completed);
  // What waits of the image's Progress, Preview and Checkpoint is dropped.
  void PushParked(v1::Parked parked);
  // Chunks are cut as they are written: one copy of the file waits, not two. What waits of the image's Progress and
  // Preview is dropped: it is stale now. Returns whether a preview was.
  bool PushPicture(int image_index, EncodedPicture picture);

  // Cheap enough for the engine thread: nothing is allocated once each image has had one.
  void SetProgress(int image_index, const JobProgress& progress, std::optional<absl::Duration> eta);
  // Returns whether it replaced one that was never written.
  bool SetPreview(int image_index, int step, EncodedPicture picture);

  // Replaces one that was never written.
  void SetCheckpoint(int image_index, int evaluations_done, std::string token);

  // Fills `message` with what goes next and returns true, or returns false when nothing waits. Sequence numbers count
  // what was taken.
  bool Next(v1::GenerateResponse& message);

  // Drops everything. Returns how many previews that were.
  int Abandon();

  bool empty() const { return must_send_.empty() && newest_.empty(); }
  // Bytes of pictures (not previews) that wait.
  int64_t waiting_bytes() const { return waiting_bytes_; }

 private:
  struct File {
    int image_index = 0;
    EncodedPicture picture;
    int64_t offset = 0;
  };
  using MustSend = std::variant<v1::Accepted, File, v1::Parked, v1::Completed>;

  struct ImageSlots {
    std::optional<JobProgress> progress;
    std::optional<absl::Duration> eta;
    std::optional<EncodedPicture> preview;
    int preview_step = 0;
    std::optional<v1::Checkpoint> checkpoint;
    bool done = false;  // its picture was pushed
  };
  // A slot that holds something, in the order in which they became full: a chatty image cannot starve another.
  enum class Kind { kProgress, kPreview, kCheckpoint };
  struct Newest {
    int image_index = 0;
    Kind kind = Kind::kProgress;
  };

  void TakeChunk(File& file, v1::ImageChunk& chunk);
  void TakeNewest(Newest which, v1::GenerateResponse& message);
  void Forget(int image_index);

  const int64_t chunk_bytes_;
  std::deque<MustSend> must_send_;
  std::vector<ImageSlots> slots_;
  std::deque<Newest> newest_;
  int64_t waiting_bytes_ = 0;
  int64_t sequence_ = 0;
};

}  // namespace stepcast
