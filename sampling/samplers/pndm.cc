// PNDM: Liu et al. 2022, "Pseudo numerical methods for diffusion models on manifolds". A start by Runge-Kutta steps or,
// with skip_prk_steps, by one repeated step; then linear multistep (PLMS). diffusers: PNDMScheduler.

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "absl/strings/str_format.h"
#include "core/status_macros.h"
#include "sampling/samplers/registry.h"

namespace stepcast::sampling {
namespace {

constexpr int kOrder = 4;            // of the multistep method, and evaluations of a Runge-Kutta step
constexpr int kRungeKuttaSteps = 3;  // as many as the multistep method needs to remember

// The first Adams-Bashforth methods: shares of the newest noise prediction and of those before it.
constexpr std::array<std::array<double, kOrder>, kOrder> kMultistep = {{
    {1.0, 0.0, 0.0, 0.0},
    {3.0 / 2, -1.0 / 2, 0.0, 0.0},
    {23.0 / 12, -16.0 / 12, 5.0 / 12, 0.0},
    {55.0 / 24, -59.0 / 24, 37.0 / 24, -9.0 / 24},
}};

class PndmBuilder {
 public:
  PndmBuilder(const SamplerInput& input, ProgramBuilder& builder)
      : alphas_(input.schedule.alphas_cumprod()),
        final_alpha_(input.settings.set_alpha_to_one ? 1.0 : alphas_[0]),
        prediction_(input.settings.prediction_type),
        stride_(input.settings.num_train_timesteps / input.steps()),
        builder_(builder) {}

  // Three steps of four evaluations each, over the noisiest timesteps of the falling list `base`.
  void RungeKutta(const std::vector<int>& base) {
    constexpr std::array<double, kOrder> kShares = {1.0 / 6, 1.0 / 3, 1.0 / 3, 1.0 / 6};
    const int half = stride_ / 2;
    for (int step = 0; step < kRungeKuttaSteps; ++step) {
      const int from = base[step];
      const int next = base[step + 1];
      const std::array<int, kOrder> told = {from, next + half, next + half, next};
      for (int stage = 0; stage < kOrder; ++stage) {
        const LinearForm output = Evaluate(step, told[stage]);
        LinearForm direction = output;
        if (stage == 0) {
          builder_.PushHistory(output);
          builder_.Assign(Slot::kSaved, builder_.latents());
          builder_.Assign(Slot::kAccumulator, kShares[0] * output);
        } else {
          builder_.Assign(Slot::kAccumulator, builder_.Value(Slot::kAccumulator) + kShares[stage] * output);
          if (stage == kOrder - 1) direction = builder_.Value(Slot::kAccumulator);
        }
        const int to = told[stage] - (stage % 2 == 0 ? half : 0);
        builder_.Assign(Slot::kLatents, Move(builder_.Value(Slot::kSaved), direction, from, to));
      }
    }
  }

  // Multistep over the falling list `timesteps`, beginning with step `step`. Without history its second evaluation
  // repeats the first step from the mean of both predictions.
  void Multistep(absl::Span<const int> timesteps, int step) {
    const bool repeats = builder_.history_size() == 0;
    for (size_t i = 0; i < timesteps.size(); ++i) {
      const int t = timesteps[i];
      const LinearForm output = Evaluate(step, t);
      if (repeats && i == 1) {
        const LinearForm mean = (output + builder_.History(0)) / 2.0;
        builder_.Assign(Slot::kLatents, Move(builder_.Value(Slot::kSaved), mean, t + stride_, t));
      } else {
        builder_.PushHistory(output);
        const int order = std::min(builder_.history_size(), kOrder);
        LinearForm direction;
        for (int age = 0; age < order; ++age) direction += kMultistep[order - 1][age] * builder_.History(age);
        if (repeats && i == 0) builder_.Assign(Slot::kSaved, builder_.latents());
        builder_.Assign(Slot::kLatents, Move(builder_.latents(), direction, t, t - stride_));
      }
      if (!repeats || i > 0 || timesteps.size() == 1) ++step;
    }
  }

 private:
  // The denoiser's output at `timestep`, unconverted: predictions are combined first and converted as one.
  LinearForm Evaluate(int step, int timestep) {
    builder_.Evaluate(step, timestep);
    const double a = alphas_[timestep];
    builder_.SetLevel(VariancePreservingLevel(a));
    builder_.PredictX0(PredictX0(prediction_, std::sqrt(a), std::sqrt(1.0 - a)));
    return LinearForm::Of(Slot::kModelOutput);
  }

  // Equation 11 of the paper: from timestep `from` to `to`, along `output`.
  LinearForm Move(const LinearForm& sample, const LinearForm& output, int from, int to) const {
    const double a = alphas_[std::min(from, static_cast<int>(alphas_.size()) - 1)];
    const double p = to >= 0 ? static_cast<double>(alphas_[to]) : final_alpha_;
    const PredictionForm form = PredictNoise(prediction_, std::sqrt(a), std::sqrt(1.0 - a));
    const LinearForm noise = form.from_latents * sample + form.from_output * output;
    const double denominator = a * std::sqrt(1.0 - p) + std::sqrt(a * (1.0 - a) * p);
    return std::sqrt(p / a) * sample - (p - a) / denominator * noise;
  }

  const absl::Span<const float> alphas_;
  const double final_alpha_;
  const PredictionType prediction_;
  const int stride_;
  ProgramBuilder& builder_;
};

absl::Status Build(const SamplerInput& input, ProgramBuilder& builder) {
  STEPCAST_ASSIGN_OR_RETURN(const std::vector<int> base, TableTimesteps(input));
  PndmBuilder pndm(input, builder);
  // diffusers has no Runge-Kutta start for so few steps, and loses its way in one cut short by an image.
  if (!input.settings.skip_prk_steps && !input.from_image() && input.steps() >= kOrder) {
    builder.set_start({0.0f, 1.0f});
    pndm.RungeKutta(base);
    pndm.Multistep(absl::MakeSpan(base).subspan(kRungeKuttaSteps), kRungeKuttaSteps);
    return absl::OkStatus();
  }
  std::vector<int> timesteps = base;
  if (base.size() > 1) timesteps.insert(timesteps.begin() + 1, base[1]);
  // Counted on the list with the repetition, as diffusers does: an image starts one timestep noisier than elsewhere.
  const absl::Span<const int> executed = absl::MakeSpan(timesteps).subspan(static_cast<size_t>(input.first_step));
  builder.set_start(VariancePreservingStart(input, input.schedule.alphas_cumprod()[executed[0]]));
  pndm.Multistep(executed, 0);
  return absl::OkStatus();
}

}  // namespace

const SamplerDefinition& PndmSampler() {
  static const SamplerDefinition definition = {
      .sampler = Sampler::kPndm,
      .defaults = {.scheduler_class = "PNDMScheduler",
                   .timestep_spacing = TimestepSpacing::kLeading,
                   .set_alpha_to_one = false,
                   .zero_snr = ZeroSnr::kUnknown},
      .history = kOrder - 1,
      .build = Build,
  };
  return definition;
}

}  // namespace stepcast::sampling
