#pragma once
// What the engine keeps for one job between ticks.

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "engine/device/device.h"
#include "engine/job/embedding_cache.h"
#include "engine/job/encoded_picture.h"
#include "engine/job/job_lora.h"
#include "model/model_bundle.h"
#include "sampling/program/noise_generator.h"
#include "sampling/program/sampling_program.h"
#include "sampling/recipe/recipe.h"
#include "scheduler/words/job.h"

namespace stepcast::engine {

// Slots of `program` that must survive from one evaluation to the next: those that some evaluation (or the finish)
// reads and does not make itself, and always the latents. Ascending. The others exist only inside a tick.
std::vector<sampling::Slot> PersistentSlots(const sampling::SamplingProgram& program);

// Weighted sums of the first rows of an evaluation over the whole picture.
struct RowSums {
  int rows = 0;  // that are summed
  // [1, C, h, w] float32 each, of models that predict a variance [1, 2C, h, w]. Undefined where nobody asks for it.
  at::Tensor guided;
  at::Tensor cond;
};

// State of one image: its latents and sampler history, its noise generator, its pinned conditioning.
//
// Belongs to its Job; destroying it frees every tensor. Engine thread only.
class DenoiseState final : public JobState {
 public:
  // `recipe` is the job's, `bundle` the model of its first stage; `seed` is that of its image.
  DenoiseState(std::shared_ptr<const model::ModelBundle> bundle, sampling::SharedRecipe recipe, int64_t seed);

  const model::ModelBundle& bundle() const { return *bundle_; }
  const sampling::Recipe& recipe() const { return *recipe_; }
  int stage_index() const { return stage_; }
  const sampling::Stage& stage() const { return recipe_->stages[static_cast<size_t>(stage_)]; }
  const sampling::SamplingProgram& program() const { return *stage().program; }

  // The pinned embedding of one of the recipe's conditionings; null where no row of the stage shows it, or not yet.
  const SharedEmbedding& embedding(int conditioning) const { return embeddings_[static_cast<size_t>(conditioning)]; }
  void Pin(int conditioning, SharedEmbedding embedding) {
    embeddings_[static_cast<size_t>(conditioning)] = std::move(embedding);
  }

  // The pinned tensors of one of the recipe's pictures; null where the stage does without, or not yet.
  const SharedEncodedPicture& picture(int index) const { return pictures_[static_cast<size_t>(index)]; }
  void PinPicture(int index, SharedEncodedPicture encoded) {
    pictures_[static_cast<size_t>(index)] = std::move(encoded);
  }

  // What the stage's recipe has of a picture that is latents, [C, h, w] float32: this job's draw, or the mode.
  // REQUIRES: Begin; not parked.
  const at::Tensor& LatentsOf(int picture) const { return drawn_.at(picture); }
  // The normals that the stage began with, [C, h, w], of stages that blend. REQUIRES: Begin; not parked.
  const at::Tensor& InitialNoise() const { return initial_noise_; }
  // What follows the latents in the denoiser's input of rows with these `inputs`, [1, E, h, w]. REQUIRES: as above.
  const at::Tensor& InputsOf(int inputs, const ComputeDevice& device);

  // A weight map of the recipe on the device, [1, 1, h, w].
  const at::Tensor& MapOf(const sampling::SharedWeightMap& map, const ComputeDevice& device);
  // The models of its stages, one for each, and the LoRAs that it names, by key: in memory as long as the job.
  std::vector<std::shared_ptr<const model::ModelBundle>> stage_bundles;
  std::map<std::string, SharedLora> loras;
  std::optional<int> class_index;  // what classifier guidance steers towards; of class-conditional models

  // Makes the slots for latents of `height` x `width` cells and draws from the pictures, if not done yet. In the order
  // of diffusers: pictures that are a start or kept, the initial noise, other pictures, and only then steps. Latents
  // are what the start says, all else is zero. What it throws leaves the job where it was. REQUIRES: pictures are
  // pinned.
  void Begin(int height, int width, const ComputeDevice& device);

  // Begins the next stage, whose model is `bundle`, with the latents that this one has come to. What it throws leaves
  // the job where it was. REQUIRES: Begin; the program is done; there is a next stage.
  void EnterNextStage(std::shared_ptr<const model::ModelBundle> bundle, const ComputeDevice& device);

  // Moves the slots to host memory and waits for the copy, so that the device's is free. Nothing to do before Begin.
  void Park(const ComputeDevice& device);
  // The same copy in bytes, beside stage and generator. Null before Begin: the seed leads here again.
  SavedState Save(const ComputeDevice& device) const;
  // Makes this what Save was called on, parked. Errors: INVALID_ARGUMENT for what Save made of no such recipe.
  // REQUIRES: stage_bundles; nothing was begun.
  absl::Status Restore(absl::string_view saved);
  // Brings parked slots back, unchanged; nothing to do for others. Begin does it too.
  void Resume(const ComputeDevice& device);
  bool parked() const { return parked_.defined(); }
  // The persistent slots and their tensors, [C, h, w] float32 on the device, the latents first. REQUIRES: as above.
  const std::vector<sampling::Slot>& slots() const { return slots_; }
  const std::vector<at::Tensor>& tensors() const { return tensors_; }

  // What earlier ticks have summed of the evaluation at hand. Park forgets it, and so does the evaluation's end.
  const RowSums& sums() const { return sums_; }
  void set_sums(RowSums sums) { sums_ = std::move(sums); }

  // What is decoded or encoded in tiles at the moment; Park forgets it.
  std::optional<Tiling>& tiling() { return tiling_; }
  // Index of `slot` in slots(), or -1.
  int IndexOf(sampling::Slot slot) const { return index_[static_cast<size_t>(slot)]; }

  // Noise of the current evaluation: drawn on the first call, the same again until ConsumeNoise, so that a
  // tick that is tried again draws nothing twice. Returns C * h * w normals. REQUIRES: Begin was called.
  const std::vector<float>& Noise();
  void ConsumeNoise() { noise_drawn_ = false; }

  // Finish.latents_coef * latents + Finish.x0_coef * x0: what the latent codec decodes. [C, h, w] float32.
  // REQUIRES: not parked.
  at::Tensor FinishedLatents() const;

 private:
  // Lays out slots_ and index_ for the program.
  void PlaceSlots();
  // Everything that is parked, in a fixed order, of one shape; its copy on the host, once it is complete.
  std::vector<at::Tensor*> Tensors();
  at::Tensor HostCopy(const ComputeDevice& device) const;

  std::shared_ptr<const model::ModelBundle> bundle_;
  const sampling::SharedRecipe recipe_;
  const uint64_t seed_;
  int stage_ = 0;
  std::vector<sampling::Slot> slots_;
  std::array<int8_t, sampling::kSlotCount> index_;
  std::vector<at::Tensor> tensors_;
  RowSums sums_;
  at::Tensor parked_;  // [S, C, h, w] on the host
  std::vector<SharedEmbedding> embeddings_;
  std::vector<SharedEncodedPicture> pictures_;
  bool begun_ = false;  // the stage
  std::map<int, at::Tensor> drawn_;
  at::Tensor initial_noise_;
  std::map<int, at::Tensor> inputs_;
  std::map<const sampling::WeightMap*, at::Tensor> maps_;
  sampling::NoiseGenerator generator_;
  std::vector<float> noise_;
  bool noise_drawn_ = false;
  std::optional<Tiling> tiling_;
};

}  // namespace stepcast::engine
