#include "engine/step/blend.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/ge.h>
#include <ATen/ops/gt.h>

#include <algorithm>

#include "sampling/recipe/stage.h"

namespace stepcast::engine {
namespace {

using sampling::Blend;
using sampling::Level;

// A job's blend, and how far the job is.
struct Kept {
  const ActiveJob& job;
  const Blend& blend;
  const ComputeDevice& device;

  int count() const { return static_cast<int>(job.state->program().evaluations.size()); }
  int index() const { return static_cast<int>(job.evaluation - job.state->program().evaluations.data()); }
  bool last() const { return index() + 1 == count(); }

  // [1, h, w]: the share that is free once `done` evaluations are.
  at::Tensor Free(int done) const {
    const at::Tensor mask = job.state->MapOf(blend.mask, device).squeeze(0);
    if (!blend.differential) return mask;
    const double threshold = 1.0 - static_cast<double>(done) / count();
    return (done == count() ? mask.gt(0.0) : mask.ge(threshold)).to(c10::ScalarType::Float);
  }

  const at::Tensor& picture() const { return job.state->LatentsOf(blend.picture); }
  at::Tensor Known(const Level& level) const {
    return picture().mul(level.image_coef).add_(job.state->InitialNoise(), level.noise_coef);
  }
};

at::Tensor Mixed(const at::Tensor& kept, const at::Tensor& painted, const at::Tensor& free) {
  return (1.0 - free) * kept + free * painted;
}

bool Blends(const ActiveJob& job) { return job.state->stage().blend.has_value(); }

bool BlendsEstimates(const ActiveJob& job) {
  return Blends(job) && job.state->stage().blend->domain == BlendDomain::kX0;
}

Kept KeptOf(const ActiveJob& job, const ComputeDevice& device) { return {job, *job.state->stage().blend, device}; }

at::Tensor Row(const at::Tensor& rows, size_t n) { return rows.select(0, static_cast<int64_t>(n)); }

at::Tensor Seen(const Kept& kept, const at::Tensor& latents) {
  return Mixed(kept.Known(kept.job.evaluation->level), latents, kept.Free(kept.index()));
}

}  // namespace

at::Tensor SeenLatents(absl::Span<const ActiveJob> jobs, const at::Tensor& latents, const ComputeDevice& device) {
  if (std::ranges::none_of(jobs, BlendsEstimates)) return latents;
  const at::Tensor seen = latents.clone();
  for (size_t n = 0; n < jobs.size(); ++n) {
    if (BlendsEstimates(jobs[n])) Row(seen, n).copy_(Seen(KeptOf(jobs[n], device), Row(latents, n)));
  }
  return seen;
}

void BlendEstimates(absl::Span<const ActiveJob> jobs, const at::Tensor& latents, const at::Tensor& model_output,
                    const at::Tensor& x0, const ComputeDevice& device) {
  for (size_t n = 0; n < jobs.size(); ++n) {
    if (!BlendsEstimates(jobs[n])) continue;
    const Kept kept = KeptOf(jobs[n], device);
    const sampling::Evaluation& evaluation = *jobs[n].evaluation;
    const at::Tensor free = kept.Free(kept.index());
    const at::Tensor own = Row(latents, n);
    at::Tensor estimate = Row(x0, n);
    at::Tensor output = Row(model_output, n);
    // The denoiser spoke of what it saw.
    const at::Tensor moved = (Seen(kept, own) - own).mul_(evaluation.x0_from_latents);
    if (evaluation.post.kind == sampling::PostKind::kNone) estimate.add_(moved);
    estimate.copy_(Mixed(kept.picture(), estimate, free));
    if (evaluation.x0_from_output == 0.0f) continue;
    const at::Tensor implied = (kept.picture() - own * evaluation.x0_from_latents).div_(evaluation.x0_from_output);
    output.copy_(Mixed(implied, output + moved.div_(evaluation.x0_from_output), free));
  }
}

void BlendLatents(absl::Span<const ActiveJob> jobs, const at::Tensor& latents, const ComputeDevice& device) {
  for (size_t n = 0; n < jobs.size(); ++n) {
    if (!Blends(jobs[n])) continue;
    const Kept kept = KeptOf(jobs[n], device);
    if (kept.blend.domain == BlendDomain::kX0 && !kept.last()) continue;
    Row(latents, n).copy_(Mixed(kept.Known(jobs[n].evaluation->kept), Row(latents, n), kept.Free(kept.index() + 1)));
  }
}

}  // namespace stepcast::engine
