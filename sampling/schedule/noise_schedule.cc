#include "sampling/schedule/noise_schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"

namespace stepcast::sampling {
namespace {

double CosineAlphaBar(double u) {
  const double c = std::cos((u + 0.008) / 1.008 * std::numbers::pi / 2);
  return c * c;
}

std::vector<float> Betas(const ScheduleSettings& settings) {
  const int count = settings.num_train_timesteps;
  std::vector<float> betas;
  if (!settings.trained_betas.empty()) {
    betas.assign(settings.trained_betas.begin(), settings.trained_betas.end());
    return betas;
  }
  switch (settings.beta_schedule) {
    case BetaSchedule::kLinear:
      return TorchLinspace(settings.beta_start, settings.beta_end, count);
    case BetaSchedule::kScaledLinear:
      betas = TorchLinspace(std::sqrt(settings.beta_start), std::sqrt(settings.beta_end), count);
      for (float& beta : betas) beta *= beta;
      return betas;
    case BetaSchedule::kSquaredCosCapV2:
      betas.reserve(count);
      for (int i = 0; i < count; ++i) {
        const double ratio = CosineAlphaBar((i + 1.0) / count) / CosineAlphaBar(static_cast<double>(i) / count);
        betas.push_back(static_cast<float>(std::min(1.0 - ratio, 0.999)));
      }
      return betas;
    case BetaSchedule::kSigmoid: {
      const auto start = static_cast<float>(settings.beta_start);
      const auto range = static_cast<float>(settings.beta_end - settings.beta_start);
      betas = TorchLinspace(-6.0, 6.0, count);
      for (float& beta : betas) beta = 1.0f / (1.0f + std::exp(-beta)) * range + start;
      return betas;
    }
  }
  return betas;
}

std::vector<float> CumulativeAlphas(const std::vector<float>& betas) {
  std::vector<float> alphas_cumprod;
  alphas_cumprod.reserve(betas.size());
  double product = 1.0;
  for (const float beta : betas) {
    product *= static_cast<double>(1.0f - beta);
    alphas_cumprod.push_back(static_cast<float>(product));
  }
  return alphas_cumprod;
}

void RescaleToZeroSnr(std::vector<float>& betas) {
  std::vector<float> root = CumulativeAlphas(betas);
  for (float& value : root) value = std::sqrt(value);
  const float first = root.front();
  const float last = root.back();
  const float scale = first / (first - last);
  for (float& value : root) value = (value - last) * scale;
  betas[0] = 1.0f - root[0] * root[0];
  for (size_t i = 1; i < root.size(); ++i) betas[i] = 1.0f - (root[i] * root[i]) / (root[i - 1] * root[i - 1]);
}

absl::Status CheckFalling(const std::vector<float>& alphas_cumprod) {
  float previous = 1.0f;
  for (size_t t = 0; t < alphas_cumprod.size(); ++t) {
    if (!(alphas_cumprod[t] < previous && alphas_cumprod[t] >= 0.0f)) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "scheduler_config.json: the betas give a cumulative alpha of %g at timestep %d, which must be below %g and "
          "not negative",
          alphas_cumprod[t], t, previous));
    }
    previous = alphas_cumprod[t];
  }
  return absl::OkStatus();
}

// Rounds as numpy does: ties to even (the default rounding mode).
double RoundHalfEven(double value) { return std::nearbyint(value); }

}  // namespace

std::vector<float> TorchLinspace(double start, double end, int count) {
  const auto first = static_cast<float>(start);
  const auto last = static_cast<float>(end);
  if (count == 1) return {first};
  std::vector<float> values(count);
  const float step = (last - first) / static_cast<float>(count - 1);
  for (int i = 0; i < count; ++i) {
    // One rounding for product and sum, as torch's kernels for AVX2 and newer have it.
    values[i] = i < count / 2 ? std::fma(step, static_cast<float>(i), first)
                              : std::fma(-step, static_cast<float>(count - 1 - i), last);
  }
  return values;
}

std::vector<double> NumpyLinspace(double start, double end, int count) {
  if (count == 1) return {start};
  std::vector<double> values(count);
  const double step = (end - start) / (count - 1);
  for (int i = 0; i < count; ++i) values[i] = i * step + start;
  values.back() = end;
  return values;
}

absl::StatusOr<NoiseSchedule> NoiseSchedule::Create(const ScheduleSettings& settings) {
  std::vector<float> betas = Betas(settings);
  if (settings.zero_snr != ZeroSnr::kUnknown) RescaleToZeroSnr(betas);
  std::vector<float> alphas_cumprod = CumulativeAlphas(betas);
  if (absl::Status status = CheckFalling(alphas_cumprod); !status.ok()) return status;
  // May lie above the entry before it (linear betas do so): the reference lives with that too.
  if (settings.zero_snr == ZeroSnr::kFinite) alphas_cumprod.back() = 0x1p-24f;
  return NoiseSchedule(std::move(alphas_cumprod));
}

NoiseSchedule::NoiseSchedule(std::vector<float> alphas_cumprod) : alphas_cumprod_(std::move(alphas_cumprod)) {
  sigmas_.reserve(alphas_cumprod_.size());
  for (const float alpha : alphas_cumprod_) sigmas_.push_back(std::sqrt((1.0f - alpha) / alpha));
}

int NoiseSchedule::CountBelowLambda(double lambda) const {
  const auto bound = static_cast<float>(lambda);
  int count = 0;
  for (auto alpha = alphas_cumprod_.rbegin(); alpha != alphas_cumprod_.rend(); ++alpha, ++count) {
    if (!(std::log(std::sqrt(*alpha)) - std::log(std::sqrt(1.0f - *alpha)) < bound)) break;
  }
  return count;
}

std::vector<double> SpacedTimesteps(const SpacingRule& rule, int steps) {
  const int total = rule.num_train_timesteps;
  const int used = total - rule.left_out;
  const int points = rule.extra_point && rule.spacing != TimestepSpacing::kTrailing ? steps + 1 : steps;
  std::vector<double> timesteps;
  switch (rule.spacing) {
    case TimestepSpacing::kLinspace:
      timesteps = NumpyLinspace(0.0, used - 1.0, points);
      if (rule.fractional) break;
      std::transform(timesteps.begin(), timesteps.end(), timesteps.begin(), RoundHalfEven);
      break;
    case TimestepSpacing::kLeading:
      for (int i = 0; i < points; ++i) timesteps.push_back(static_cast<double>(i) * (used / points));
      break;
    case TimestepSpacing::kTrailing: {
      // numpy.arange(T, 0, -T/n) steps by the difference of its first two values, which decides ties.
      const double delta = (used - static_cast<double>(total) / steps) - used;
      for (int i = 0; i < steps; ++i) timesteps.push_back(RoundHalfEven(used + i * delta) - 1.0);
      return timesteps;
    }
  }
  std::reverse(timesteps.begin(), timesteps.end());
  timesteps.resize(steps);
  if (rule.spacing == TimestepSpacing::kLeading) {
    for (double& t : timesteps) t += rule.steps_offset;
  }
  return timesteps;
}

}  // namespace stepcast::sampling
