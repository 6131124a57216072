// Decodes, previews of a denoise tick, and how much is decoded together.

#include <ATen/ops/index_select.h>
#include <ATen/ops/isfinite.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "core/decoding.h"
#include "core/error_reason.h"
#include "engine/codecs/picture.h"
#include "engine/device/upload.h"
#include "engine/executor/diffusion_executor.h"

namespace stepcast::engine {
namespace {

DenoiseState& StateIn(const Job& job) { return static_cast<DenoiseState&>(*job.state()); }

absl::Status NoSense() {
  return WithReason(absl::InternalError("the picture has values that are not finite"), "NUMERIC_FAULT");
}

}  // namespace

void DiffusionExecutor::RunDecode(Jobs jobs, Results results) {
  if (const TileShare share = NextTileShare(*jobs.front()); share.ticks > 1) {
    DenoiseState& state = StateIn(*jobs.front());
    state.Resume(*device_);
    const std::optional<SharedImage> image = decoder_.DecodeTiles(state, share);
    if (!image.has_value()) return;
    results.front().image = *image;
    if (*image == nullptr) results.front().status = NoSense();
    return;
  }
  std::vector<at::Tensor> latents;
  for (const Job* job : jobs) {
    StateIn(*job).Resume(*device_);
    latents.push_back(StateIn(*job).FinishedLatents());
  }
  const Job& first = *jobs.front();
  const std::vector<SharedImage> images = decoder_.Decode(StateIn(first).bundle(), latents, first.request().vae_tiling);
  for (size_t i = 0; i < jobs.size(); ++i) {
    results[i].image = images[i];
    if (images[i] == nullptr) results[i].status = NoSense();
  }
}

size_t DiffusionExecutor::DecodedTogether(Jobs jobs) const {
  const auto in_tiles = [](const Job* job) { return job->phase() == Phase::kDecode && job->next().count > 1; };
  if (in_tiles(jobs.front())) return 1;
  const GenerationRequest& request = jobs.front()->request();
  const Decoding& decoding = request.model->decoding;
  // Of the stage that the job is in.
  const BatchKey key = jobs.front()->key();
  const int factor = request.model->vae_scale_factor;
  const int64_t each = DecodeBytes(decoding, key.latent_width * factor, key.latent_height * factor, request.vae_tiling);
  int64_t most = strict() ? 1 : limits_.max_decode_jobs;
  if (each > 0 && decoding.max_bytes > 0) most = std::clamp<int64_t>(decoding.max_bytes / each, 1, most);
  most = std::min<int64_t>(most, static_cast<int64_t>(jobs.size()));
  const auto alike = [&](const Job* job) { return job->request().vae_tiling == request.vae_tiling && !in_tiles(job); };
  const auto end = std::find_if_not(jobs.begin(), jobs.begin() + most, alike);
  return static_cast<size_t>(end - jobs.begin());
}

void DiffusionExecutor::MakePreviews(const TickGroup& group, Jobs jobs, Results results) const {
  std::vector<Job*> shown;
  std::vector<int64_t> due;  // of the group
  for (size_t i = 0; i < group.places.size(); ++i) {
    Job* const job = jobs[group.places[i]];
    if (!job->shows_preview()) continue;
    shown.push_back(job);
    due.push_back(static_cast<int64_t>(i));
  }
  const Jobs all = absl::MakeSpan(shown);
  for (size_t begin = 0, count = 0; begin < due.size(); begin += count) {
    count = DecodedTogether(all.subspan(begin));
    // A preview that fails costs no job its picture.
    (void)guard_.Run("preview", [&] {
      ShowEstimates(group, all.subspan(begin, count), absl::MakeSpan(due).subspan(begin, count), results);
    });
  }
}

void DiffusionExecutor::ShowEstimates(const TickGroup& group, Jobs shown, absl::Span<const int64_t> due,
                                      Results results) const {
  const model::PreviewDecoder& decoder = group.active.front().state->bundle().preview();
  const at::Tensor estimates = at::index_select(group.slots.x0(), 0, UploadIndices(*device_, {due.begin(), due.end()}));
  const bool tiled = shown.front()->request().vae_tiling;
  const std::vector<SharedImage> images = ToImages(tiled ? decoder.DecodeTiled(estimates) : decoder.Decode(estimates));
  for (size_t i = 0; i < due.size(); ++i) {
    StepResult& result = results[group.places[static_cast<size_t>(due[i])]];
    result.preview = images[i];
    if (images[i] != nullptr || at::isfinite(estimates[static_cast<int64_t>(i)]).all().item<bool>()) continue;
    result.status =
        WithReason(absl::InternalError("the estimate of the picture has values that are not finite"), "NUMERIC_FAULT");
  }
}

}  // namespace stepcast::engine
