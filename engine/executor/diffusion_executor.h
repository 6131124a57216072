#pragma once
// The real StepExecutor: runs plans on one device with LibTorch.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/metrics.h"
#include "engine/codecs/picture_cache.h"
#include "engine/codecs/picture_decoder.h"
#include "engine/codecs/picture_encoder.h"
#include "engine/codecs/precise_codecs.h"
#include "engine/codecs/prompt_encoder.h"
#include "engine/device/device.h"
#include "engine/device/torch_guard.h"
#include "engine/job/embedding_cache.h"
#include "engine/shelves/control_shelf.h"
#include "engine/shelves/lora_shelf.h"
#include "engine/shelves/model_shelf.h"
#include "engine/step/classifier_guidance.h"
#include "engine/step/program_runner.h"
#include "engine/step/step_batch.h"
#include "engine/trial/size_checks.h"
#include "engine/trial/synthetic_tick.h"
#include "scheduler/words/step_executor.h"

namespace stepcast::engine {

struct DiffusionExecutorOptions {
  std::shared_ptr<const ModelShelf> shelf;  // the models that are on `device` at the moment
  std::unique_ptr<ComputeDevice> device;
  ExecutorLimits limits;
  size_t embedding_cache_entries = 1024;
  int64_t picture_cache_bytes = int64_t{128} << 20;    // of encoded pictures that no job needs
  std::shared_ptr<const ControlShelf> nets = nullptr;  // that are on `device`; null: there are no ControlNets
  std::shared_ptr<const LoraShelf> loras = nullptr;    // the same of LoRAs
  ErrorLog log;                                        // may be empty
};

// Runs every phase of a job's life: encodes prompts in batches through a cache, steps rows of any mixture of
// samplers, positions and guidance in one forward, decodes latents to 8-bit pictures.
//
// A job whose numbers are bad fails alone (INTERNAL, reason NUMERIC_FAULT); a picture that a decoder of less than
// float32 made so is decoded once more in float32 first. When memory runs out, the tick is
// split in halves and tried again; only a job that does not fit alone fails (RESOURCE_EXHAUSTED, DEVICE_MEMORY).
// Any other failure of a forward is looked for likewise: only a job whose forward fails when it is alone fails
// (INTERNAL, ENGINE_ERROR).
//
// With limits.strict_rows every denoiser forward has exactly that many rows (the missing ones zero), and encoders and
// decoders see one item at a time: a job's numbers are then the same to the last bit whoever its neighbours are.
//
// Thread-safety: none after construction; the engine thread is the only caller.
class DiffusionExecutor final : public StepExecutor {
 public:
  // `metrics` must outlive the executor. REQUIRES: options.device and options.shelf are set.
  DiffusionExecutor(DiffusionExecutorOptions options, EngineMetrics& metrics);

  // Errors: NOT_FOUND for a model that is not loaded; INVALID_ARGUMENT for token ids outside its vocabulary;
  // UNIMPLEMENTED for a program or a model that needs what this engine does not do.
  absl::Status Start(Job& job) override;

  std::vector<StepResult> Execute(const StepPlan& plan, absl::Span<Job* const> jobs) override;

  ExecutorLimits Limits() const override { return limits_; }

  // Errors: NOT_FOUND for a model that is not loaded; RESOURCE_EXHAUSTED (DEVICE_MEMORY); INTERNAL (ENGINE_ERROR).
  absl::Status RunSynthetic(const BatchKey& key, int rows) override;

  absl::Status Park(JobState& state) override;
  absl::StatusOr<SavedState> Save(const Job& job) override;
  std::optional<int> TakeMemoryCap(const BatchKey& key) override;
  void OnIdle() override;

 private:
  using Jobs = absl::Span<Job* const>;
  using Results = absl::Span<StepResult>;

  void BindThreadOnce();
  absl::StatusOr<std::shared_ptr<const model::ModelBundle>> BundleOf(const std::string& model) const;
  absl::Status EnterStage(const Job& job);
  std::vector<StepResult> WithoutTheLost(StepPlan plan, Jobs ready, std::vector<StepResult> results);
  bool strict() const { return limits_.strict_rows > 0; }
  void Encode(Jobs jobs, Results results);
  void EncodePictures(Jobs jobs, Results results);
  // Pins what is known of what the job's first stage needs; the rest is its to_encode.
  absl::Status LookUp(Job& job, DenoiseState& state);
  void Denoise(Jobs jobs, Results results);
  void Decode(Jobs jobs, Results results);

  // The tensor work of a tick; all of it may throw.
  void RunDenoise(Jobs jobs, Results results);
  void RunDecode(Jobs jobs, Results results);
  // Classifier guidance, job by job in strict mode. Returns the indices of the jobs it lost.
  std::vector<size_t> SteerByClassifier(absl::Span<const ActiveJob> jobs, const at::Tensor& latents,
                                        at::Tensor& prediction) const;
  // Forward rows of jobs in this tick.
  int RowsOf(Jobs jobs) const;
  bool RunInHalves(Jobs jobs, Results results);

  // Jobs of a tick whose latents have one shape, and whose evaluations it finishes, or none of them.
  struct TickGroup {
    std::vector<ActiveJob> active;
    std::vector<size_t> places;  // in the tick
    SlotBatch slots;
    std::vector<size_t> lost;  // of `active`, to the classifier

    bool finishes() const { return active.front().finishes(); }
  };
  std::vector<TickGroup> GroupByShape(Jobs jobs) const;
  void MakePreviews(const TickGroup& group, Jobs jobs, Results results) const;
  void ShowEstimates(const TickGroup& group, Jobs shown, absl::Span<const int64_t> due, Results results) const;
  // How many of the jobs from the first one on are decoded together: those that are decoded alike, as many as memory
  // allows.
  size_t DecodedTogether(Jobs jobs) const;

  // Guards `work`; where it fails for another reason than a lost device halves the jobs, tries again and remembers how
  // much fitted into memory.
  void RunOrSplit(absl::string_view what, Jobs jobs, Results results, void (DiffusionExecutor::*work)(Jobs, Results));

  const std::unique_ptr<ComputeDevice> device_;
  const ExecutorLimits limits_;
  const ErrorLog log_;
  const TorchGuard guard_;
  const std::shared_ptr<const ModelShelf> shelf_;
  const std::shared_ptr<const ControlShelf> nets_;
  const std::shared_ptr<const LoraShelf> loras_;
  EmbeddingCache cache_;
  PromptEncoder encoder_;
  SizeChecks sizes_;  // of strict mode
  StepBatch batch_;
  ClassifierGuidance classifier_guidance_;
  ProgramRunner runner_;
  PreciseCodecs precise_;
  PictureDecoder decoder_;
  PictureCache pictures_;
  PictureEncoder picture_encoder_;
  SyntheticTicks synthetic_;
  absl::flat_hash_map<JobId, RowPart> parts_;  // of the tick that runs
  std::map<BatchKey, int> memory_caps_;        // rows that fitted after a split, until they are taken
  int largest_tick_ = 0;                       // rows, since memory was last given back
  bool thread_bound_ = false;
};

}  // namespace stepcast::engine
