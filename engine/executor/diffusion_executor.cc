#include "engine/executor/diffusion_executor.h"

#include <ATen/ops/index_select.h>
#include <ATen/ops/isfinite.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/decoding.h"
#include "core/error_reason.h"
#include "core/status_macros.h"
#include "core/string_view.h"
#include "engine/codecs/picture.h"
#include "engine/device/upload.h"
#include "engine/step/blend.h"

namespace stepcast::engine {
namespace {

using sampling::Special;

DenoiseState& StateOf(const Job& job) { return static_cast<DenoiseState&>(*job.state()); }

constexpr int kSmallTick = 2;  // rows: one guided picture, which leaves nothing behind worth giving back

absl::Status NumericFault(absl::string_view what) {
  return WithReason(absl::InternalError(absl::StrCat(what, " has values that are not finite")), "NUMERIC_FAULT");
}

// Refuses what programs can say but this engine does not do.
absl::Status CheckProgram(const sampling::SamplingProgram& program, const GenerationRequest& request,
                          const model::ModelBundle& bundle) {
  bool asks_classifier = false;
  for (const sampling::Evaluation& evaluation : program.evaluations) {
    const bool told_scale = evaluation.guidance.kind == sampling::GuidanceKind::kEmbedded;
    if (told_scale && !bundle.info()->noise_schedule.embeds_guidance) {
      return absl::UnimplementedError(absl::StrCat("model '", bundle.info()->id, "' cannot be told a guidance scale"));
    }
    const bool reads_variance =
        evaluation.special == Special::kVarianceNoise || evaluation.special == Special::kVarianceRoot;
    if (reads_variance && !bundle.info()->predicts_variance) {
      return absl::UnimplementedError(absl::StrCat("model '", bundle.info()->id, "' does not predict a variance"));
    }
    asks_classifier = asks_classifier || evaluation.classifier_coef != 0.0f;
  }
  if (!asks_classifier) return absl::OkStatus();
  if (bundle.classifier() == nullptr) {
    return absl::UnimplementedError(absl::StrCat("model '", bundle.info()->id, "' has no classifier"));
  }
  if (!request.class_index.has_value()) return absl::InvalidArgumentError("classifier guidance needs a class");
  return absl::OkStatus();
}

}  // namespace

DiffusionExecutor::DiffusionExecutor(DiffusionExecutorOptions options, EngineMetrics& metrics)
    : device_(std::move(options.device)),
      limits_(options.limits),
      log_(options.log),
      guard_(std::move(options.log)),
      shelf_(std::move(options.shelf)),
      nets_(std::move(options.nets)),
      loras_(std::move(options.loras)),
      cache_(options.embedding_cache_entries, metrics),
      encoder_(cache_, guard_, /*alone=*/options.limits.strict_rows > 0),
      sizes_(*device_, options.limits.strict_rows, nets_, log_),
      batch_(*device_, options.limits.strict_rows, nets_,
             [this](const model::ModelBundle& bundle, int64_t height, int64_t width) {
               return sizes_.Passes(bundle, {height, width});
             }),
      classifier_guidance_(*device_),
      runner_(*device_, /*strict=*/options.limits.strict_rows > 0),
      precise_(log_, guard_),
      decoder_(precise_),
      pictures_(options.picture_cache_bytes),
      picture_encoder_(
          {.device = *device_, .cache = pictures_, .precise = precise_, .guard = guard_, .hints = HintsOf(nets_)},
          limits_.RowCap(Phase::kEncodePicture)),
      synthetic_(*device_) {}

void DiffusionExecutor::BindThreadOnce() {
  if (std::exchange(thread_bound_, true)) return;
  device_->BindThread();
}

absl::StatusOr<std::shared_ptr<const model::ModelBundle>> DiffusionExecutor::BundleOf(const std::string& model) const {
  if (SharedBundle bundle = shelf_->Find(model)) return bundle;
  return absl::NotFoundError(absl::StrCat("model '", model, "' is not loaded on ", device_->name()));
}

absl::Status DiffusionExecutor::Start(Job& job) {
  BindThreadOnce();
  const sampling::SharedRecipe& recipe = job.spec().recipe;
  STEPCAST_RETURN_IF_ERROR(sampling::CheckRecipe(*recipe));
  std::vector<SharedBundle> bundles;
  for (const sampling::Stage& stage : recipe->stages) {
    STEPCAST_ASSIGN_OR_RETURN(SharedBundle bundle, BundleOf(stage.model->id));
    STEPCAST_RETURN_IF_ERROR(CheckProgram(*stage.program, job.request(), *bundle));
    STEPCAST_RETURN_IF_ERROR(CheckControl(stage, nets_.get()));
    bundles.push_back(std::move(bundle));
  }
  auto state = std::make_unique<DenoiseState>(bundles.front(), recipe, job.seed());
  state->stage_bundles = std::move(bundles);
  state->class_index = job.request().class_index;
  STEPCAST_RETURN_IF_ERROR(TakeLoras(*recipe, loras_.get(), state->loras));
  if (const auto& resume = job.request().resume) STEPCAST_RETURN_IF_ERROR(state->Restore(resume->state));
  STEPCAST_RETURN_IF_ERROR(LookUp(job, *state));
  job.set_state(std::move(state));
  return absl::OkStatus();
}

absl::Status DiffusionExecutor::LookUp(Job& job, DenoiseState& state) {
  STEPCAST_ASSIGN_OR_RETURN(const bool needs_text, encoder_.Start(state));
  std::vector<int> to_encode;
  for (const int index : job.to_encode()) {
    const WorkItem& item = job.work().items()[static_cast<size_t>(index)];
    const bool here = item.stage == state.stage_index();
    bool needed = !here || needs_text;  // what later stages show is looked up when they come
    if (here && item.key.phase == Phase::kEncodePicture) {
      const PictureWish wish{&state, item.first, job.request().vae_tiling};
      STEPCAST_ASSIGN_OR_RETURN(const bool known, picture_encoder_.Start(wish));
      needed = !known;
    }
    if (needed) to_encode.push_back(index);
  }
  job.set_to_encode(std::move(to_encode));
  return absl::OkStatus();
}

std::vector<StepResult> DiffusionExecutor::Execute(const StepPlan& plan, absl::Span<Job* const> jobs) {
  const c10::InferenceMode inference_mode;
  BindThreadOnce();
  largest_tick_ = std::max(largest_tick_, plan.rows);
  memory_caps_.erase(jobs.front()->key());
  parts_.clear();
  for (const RowPart& part : plan.parts) parts_.emplace(part.job, part);
  std::vector<StepResult> results(jobs.size());
  const Results all = absl::MakeSpan(results);
  std::vector<Job*> ready;
  for (size_t i = 0; i < jobs.size(); ++i) {
    results[i].status = EnterStage(*jobs[i]);
    if (results[i].status.ok()) ready.push_back(jobs[i]);
  }
  if (ready.size() < jobs.size()) return WithoutTheLost(plan, ready, std::move(results));
  switch (plan.phase()) {
    case Phase::kEncode:
      Encode(jobs, all);
      break;
    case Phase::kDenoise:
      Denoise(jobs, all);
      break;
    case Phase::kDecode:
      Decode(jobs, all);
      break;
    case Phase::kEncodePicture:
      EncodePictures(jobs, all);
      break;
    case Phase::kPreview:
    case Phase::kUpscale:
      for (StepResult& result : results) {
        result.status =
            absl::UnimplementedError(absl::StrCat("this engine has no ", ToAbsl(PhaseName(plan.phase())), " ticks"));
      }
      break;
  }
  const absl::Status synchronized = guard_.Run("synchronize", [this] { device_->Synchronize(); });
  if (!synchronized.ok()) {
    for (StepResult& result : results) result = {.status = synchronized, .preview = nullptr, .image = nullptr};
  }
  return results;
}

// Whoever has done a stage begins the next one.
absl::Status DiffusionExecutor::EnterStage(const Job& job) {
  DenoiseState& state = StateOf(job);
  while (state.stage_index() < job.next().stage) {
    const SharedBundle& bundle = state.stage_bundles[static_cast<size_t>(state.stage_index()) + 1];
    STEPCAST_RETURN_IF_ERROR(guard_.Run("stage", [&] { state.EnterNextStage(bundle, *device_); }));
  }
  return absl::OkStatus();
}

// The tick of those jobs that are `ready`; the others have their result.
std::vector<StepResult> DiffusionExecutor::WithoutTheLost(StepPlan plan, Jobs ready, std::vector<StepResult> results) {
  if (ready.empty()) return results;
  plan.jobs.clear();
  for (const Job* job : ready) plan.jobs.push_back(job->id());
  std::vector<StepResult> others = Execute(plan, ready);
  auto next = others.begin();
  for (StepResult& result : results) {
    if (result.status.ok()) result = std::move(*next++);
  }
  return results;
}

absl::Status DiffusionExecutor::RunSynthetic(const BatchKey& key, int rows) {
  const c10::InferenceMode inference_mode;
  BindThreadOnce();
  STEPCAST_ASSIGN_OR_RETURN(const auto bundle, BundleOf(key.model));
  largest_tick_ = std::max(largest_tick_, rows);
  const SyntheticTick tick = {.phase = key.phase,
                              .latent_height = key.latent_height,
                              .latent_width = key.latent_width,
                              .rows = strict() && key.phase == Phase::kDenoise ? limits_.strict_rows : rows,
                              .alone = strict(),
                              .decode_chunk = limits_.max_decode_jobs};
  const absl::Status status = guard_.Run("synthetic tick", [&] { synthetic_.Run(*bundle, tick); });
  if (IsOutOfMemory(status)) device_->ReleaseCachedMemory();
  return status;
}

absl::Status DiffusionExecutor::Park(JobState& state) {
  const c10::InferenceMode inference_mode;
  BindThreadOnce();
  return guard_.Run("park", [&] { static_cast<DenoiseState&>(state).Park(*device_); });
}

absl::StatusOr<SavedState> DiffusionExecutor::Save(const Job& job) {
  const c10::InferenceMode inference_mode;
  BindThreadOnce();
  SavedState saved;
  if (job.state() == nullptr) return saved;
  STEPCAST_RETURN_IF_ERROR(guard_.Run("save", [&] { saved = StateOf(job).Save(*device_); }));
  return saved;
}

std::optional<int> DiffusionExecutor::TakeMemoryCap(const BatchKey& key) {
  const auto cap = memory_caps_.find(key);
  if (cap == memory_caps_.end()) return std::nullopt;
  const int rows = cap->second;
  memory_caps_.erase(cap);
  return rows > 0 ? std::optional<int>(rows) : std::nullopt;
}

void DiffusionExecutor::OnIdle() {
  if (!precise_.Forget() && largest_tick_ <= kSmallTick) return;
  largest_tick_ = 0;
  batch_.Clear();
  device_->ReleaseCachedMemory();
}

void DiffusionExecutor::Encode(Jobs jobs, Results results) {
  std::vector<DenoiseState*> states;
  for (const Job* job : jobs) states.push_back(&StateOf(*job));
  std::vector<absl::Status> statuses = encoder_.Encode(states);
  for (size_t i = 0; i < jobs.size(); ++i) results[i].status = std::move(statuses[i]);
}

void DiffusionExecutor::EncodePictures(Jobs jobs, Results results) {
  std::vector<PictureWish> wishes;
  for (const Job* job : jobs) {
    wishes.push_back({&StateOf(*job), job->next().first, job->request().vae_tiling, NextTileShare(*job)});
  }
  std::vector<absl::Status> statuses = picture_encoder_.Encode(wishes);
  for (size_t i = 0; i < jobs.size(); ++i) results[i].status = std::move(statuses[i]);
}

void DiffusionExecutor::Denoise(Jobs jobs, Results results) {
  RunOrSplit("denoise", jobs, results, &DiffusionExecutor::RunDenoise);
}

void DiffusionExecutor::Decode(Jobs jobs, Results results) {
  for (size_t begin = 0, count = 0; begin < jobs.size(); begin += count) {
    count = DecodedTogether(jobs.subspan(begin));
    RunOrSplit("decode", jobs.subspan(begin, count), results.subspan(begin, count), &DiffusionExecutor::RunDecode);
  }
}

void DiffusionExecutor::RunOrSplit(absl::string_view what, Jobs jobs, Results results,
                                   void (DiffusionExecutor::*work)(Jobs, Results)) {
  const absl::Status status = guard_.Run(what, [&] { (this->*work)(jobs, results); });
  if (status.ok()) {
    if (memory_caps_.empty()) return;
    const auto cap = memory_caps_.find(jobs.front()->key());
    if (cap != memory_caps_.end()) cap->second = std::max(cap->second, RowsOf(jobs));
    return;
  }
  if (IsOutOfMemory(status)) {
    if (log_) log_(absl::StrCat(what, " of ", jobs.size(), " jobs ran out of memory; ", device_->MemoryReport()));
    batch_.Clear();
    device_->ReleaseCachedMemory();
    if (jobs.size() == 1 && work == &DiffusionExecutor::RunDenoise && RunInHalves(jobs, results)) return;
    if (jobs.size() > 1) memory_caps_[jobs.front()->key()] = 0;  // until a part succeeds
  }
  if (jobs.size() > 1 && !absl::IsUnavailable(status)) {
    const size_t half = jobs.size() / 2;
    RunOrSplit(what, jobs.subspan(0, half), results.subspan(0, half), work);
    RunOrSplit(what, jobs.subspan(half), results.subspan(half), work);
    return;
  }
  for (StepResult& result : results) result = {.status = status, .preview = nullptr, .image = nullptr};
}

int DiffusionExecutor::RowsOf(Jobs jobs) const {
  int rows = 0;
  for (const Job* job : jobs) {
    const auto part = parts_.find(job->id());
    rows += part == parts_.end() ? job->rows() : part->second.rows;
  }
  return rows;
}

// The rows of one job in two forwards. False where they are no more than a pair, which is never split.
bool DiffusionExecutor::RunInHalves(Jobs jobs, Results results) {
  const Job& job = *jobs.front();
  const auto known = parts_.find(job.id());
  const RowPart all = known != parts_.end()
                          ? known->second
                          : RowPart{.job = job.id(), .first_row = job.rows_done(), .rows = job.rows()};
  if (all.rows <= 2) return false;
  memory_caps_[job.key()] = 0;  // until a part succeeds
  const int half = all.rows / 2;
  for (const RowPart& part :
       {RowPart{all.job, all.first_row, half}, RowPart{all.job, all.first_row + half, all.rows - half}}) {
    parts_.insert_or_assign(job.id(), part);
    RunOrSplit("denoise", jobs, results, &DiffusionExecutor::RunDenoise);
    if (!results.front().status.ok()) break;
  }
  parts_.insert_or_assign(job.id(), all);
  return true;
}

void DiffusionExecutor::RunDenoise(Jobs jobs, Results results) {
  std::vector<TickGroup> groups = GroupByShape(jobs);
  std::vector<LatentGroup> latents;
  for (TickGroup& group : groups) {
    group.slots = runner_.Gather(group.active);
    latents.push_back({group.active, SeenLatents(group.active, group.slots.latents(), *device_)});
  }
  std::vector<GroupPrediction> predictions = batch_.Predict(latents);
  std::vector<SlotUpdate> updates;
  for (size_t i = 0; i < groups.size(); ++i) {
    TickGroup& group = groups[i];
    if (!group.finishes()) continue;
    group.lost = SteerByClassifier(group.active, group.slots.latents(), predictions[i].prediction);
    updates.push_back(runner_.Compute(group.active, predictions[i].prediction, group.slots));
  }
  // No group before all are done: what fails may be tried again.
  for (const SlotUpdate& update : updates) ProgramRunner::Commit(update);
  for (size_t i = 0; i < groups.size(); ++i) {
    for (size_t n = 0; n < predictions[i].sums.size(); ++n) {
      groups[i].active[n].state->set_sums(std::move(predictions[i].sums[n]));
    }
  }
  for (const TickGroup& group : groups) {
    if (!group.finishes()) continue;
    MakePreviews(group, jobs, results);
    for (const size_t place : group.places) {
      if (!jobs[place]->checkpoint_due()) continue;
      // One that fails costs no job its picture, and must not have the evaluation done again.
      (void)guard_.Run("checkpoint", [&] { results[place].saved = StateOf(*jobs[place]).Save(*device_); });
    }
    for (const size_t n : group.lost) results[group.places[n]].status = NumericFault("the gradient of the classifier");
  }
}

std::vector<DiffusionExecutor::TickGroup> DiffusionExecutor::GroupByShape(Jobs jobs) const {
  std::vector<TickGroup> groups;
  for (size_t i = 0; i < jobs.size(); ++i) {
    const Job& job = *jobs[i];
    const sampling::Stage& stage = job.stage();
    DenoiseState& state = StateOf(job);
    state.Begin(stage.latent_height, stage.latent_width, *device_);
    ActiveJob active{&state, &job.evaluation(), &stage.RowsOf(job.evaluation())};
    if (const auto part = parts_.find(job.id()); part != parts_.end()) {
      active.first_row = part->second.first_row;
      active.row_count = part->second.rows;
    }
    const auto fits = [&](const TickGroup& group) {
      return group.finishes() == active.finishes() &&
             group.active.front().state->tensors().front().sizes() == state.tensors().front().sizes();
    };
    auto group = std::ranges::find_if(groups, fits);
    if (group == groups.end()) group = groups.insert(groups.end(), TickGroup());
    group->active.push_back(active);
    group->places.push_back(i);
  }
  return groups;
}

std::vector<size_t> DiffusionExecutor::SteerByClassifier(absl::Span<const ActiveJob> jobs, const at::Tensor& latents,
                                                         at::Tensor& prediction) const {
  if (!strict()) return classifier_guidance_.Apply(jobs, latents, prediction);
  std::vector<size_t> lost;
  for (size_t n = 0; n < jobs.size(); ++n) {
    const auto row = static_cast<int64_t>(n);
    at::Tensor own = prediction.narrow(0, row, 1);
    if (!classifier_guidance_.Apply(jobs.subspan(n, 1), latents.narrow(0, row, 1), own).empty()) lost.push_back(n);
  }
  return lost;
}

}  // namespace stepcast::engine
