#pragma once
// Random traffic for the real executor: jobs that join, leave, show previews and mix everything that may meet in a
// tick.

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "core/image.h"
#include "core/metrics.h"
#include "engine/start/engine_factory.h"
#include "sampling/recipe/stage.h"
#include "scheduler/decide/step_scheduler.h"
#include "scheduler/words/step_executor.h"
#include "tests/engine/picture_jobs.h"
#include "tests/support/recording_sink.h"
#include "text/tokenizer/clip_tokenizer.h"

namespace stepcast::engine {

// What the evaluations of a job sum. All but the first are no plain pairs.
enum class RowKind { kPlain, kTwoPrompts, kRegions, kTiles };
inline constexpr int kRowKinds = 4;

// One job of the traffic.
struct Visitor {
  Picture picture;
  RowKind rows = RowKind::kPlain;
  std::vector<int32_t> second_prompt = {};  // of all but kPlain and kTiles
  bool second_pass = false;                 // half of the steps once more, in larger latents with fresh noise
  std::vector<sampling::StageLora> loras = {};
  int joins_at = 0;                 // tick
  int cancels_at = -1;              // tick; -1: never
  SharedModelInfo model = nullptr;  // that paints it; null: the house's
};

// `count` visitors of the bundled text model: each of its samplers in turn, three sizes, mixed steps and guidance,
// previews, cancels.
std::vector<Visitor> RandomTraffic(int count, const ModelInfo& model, const ClipTokenizer& tokenizer,
                                   std::mt19937& random);

// Makes every third visitor one of the other kinds of rows, in turn: two prompts together, two prompts each in its
// half, the picture painted in tiles as large as the smallest pictures.
void MixRows(std::vector<Visitor>& traffic, const ClipTokenizer& tokenizer);

// Lengthens every second prompt to two or three chunks, and every fourth negative prompt; weighs some of their words.
// None has another's length on both sides.
void MixPrompts(std::vector<Visitor>& traffic);

// Gives every third visitor a picture to begin with, in turn: image-to-image, kept cells in the latents and in the
// estimates, differential masks, inversion; and every seventh a second pass.
void MixPictures(std::vector<Visitor>& traffic);

// Puts two LoRAs beside the one model of `engine`: the shipped one, and another of the same layers. Returns their keys.
std::vector<std::string> LoadLoras(LoadedEngine& engine);

// Gives three of five visitors LoRAs: the first, the second with a negative strength, both.
void MixLoras(std::vector<Visitor>& traffic, const std::vector<std::string>& keys);

// Runs visitors through a scheduler of its own; the outcome of each is in its sink.
class House {
 public:
  House(StepExecutor& executor, SharedModelInfo model);

  // From the first tick until the last visitor has left.
  void Run(const std::vector<const Visitor*>& visitors);

  // The picture of visitor `i`; null when it has none.
  SharedImage ImageOf(size_t i) const;
  absl::Status StatusOf(size_t i) const;

  // SHA-256 of visitor `i`'s slots after each of its denoise ticks, in order.
  const std::vector<std::string>& DigestsOf(size_t i) const { return digests_[i]; }

  int largest_batch() const { return largest_batch_; }  // jobs in one denoise tick

 private:
  bool Over() const { return joined_ == sinks_.size() && scheduler_->live() == 0; }
  void Join(size_t i, const Visitor& visitor, absl::Time now);
  void Digest(const std::vector<Job*>& jobs);

  StepExecutor& executor_;
  const SharedModelInfo model_;
  NullEngineMetrics metrics_;
  std::unique_ptr<StepScheduler> scheduler_;
  std::vector<std::shared_ptr<RecordingSink>> sinks_;
  std::vector<JobId> ids_;
  std::vector<std::vector<std::string>> digests_;
  size_t joined_ = 0;
  int64_t last_id_ = 0;
  int largest_batch_ = 0;
};

}  // namespace stepcast::engine
