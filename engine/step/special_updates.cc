#include "engine/step/special_updates.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/where.h>

#include <cstdint>

#include "sampling/program/special.h"

namespace stepcast::engine {
namespace {

using sampling::Special;
using sampling::SpecialCoefs;

// The step of Song et al. 2021, appendix G: 2 (snr |z| / |g|)^2, from the norms of this row alone.
void ScaleByLangevinStep(const SpecialCoefs& coefs, const at::Tensor& latents, at::Tensor score, at::Tensor noise) {
  score.mul_(coefs.score_from_output).add_(latents, coefs.score_from_latents);
  const at::Tensor score_norm = score.norm();
  const at::Tensor ratio = at::where(score_norm == 0.0, 0.0, noise.norm() * coefs.scale / score_norm);
  const at::Tensor step = 2.0 * ratio * ratio;
  score.mul_(step);
  noise.mul_((2.0 * step).sqrt());
}

}  // namespace

void ApplySpecials(absl::Span<const ActiveJob> jobs, const SpecialRows& rows) {
  for (size_t n = 0; n < jobs.size(); ++n) {
    const Special special = jobs[n].evaluation->special;
    if (special == Special::kNone) continue;
    const SpecialCoefs& coefs = jobs[n].evaluation->special_coefs;
    const auto row = [n](const at::Tensor& all) { return all.select(0, static_cast<int64_t>(n)); };
    switch (special) {
      case Special::kNone:
        break;
      case Special::kVarianceNoise:
        row(rows.noise).mul_((row(rows.variance) * coefs.scale).add_(coefs.offset).mul_(0.5).exp_());
        break;
      case Special::kVarianceRoot:
        row(rows.noise).mul_(row(rows.variance).clamp_min(0.0).sqrt_());
        break;
      case Special::kLangevinNorm:
        ScaleByLangevinStep(coefs, row(rows.latents), row(rows.model_output), row(rows.noise));
        break;
    }
  }
}

}  // namespace stepcast::engine
