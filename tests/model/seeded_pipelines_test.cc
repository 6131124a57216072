// Whole pipelines from torch.manual_seed(0) to the picture, against the numbers that diffusers' own tests publish:
// layers, initialisation, noise, sampler and clipping at once, with no fixture of ours between.
#include <string>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include "model/unet/unet_2d_model.h"
#include "model/vae/pixel_codec.h"
#include "sampling/compile/compile.h"
#include "sampling/program/reference_interpreter.h"
#include "tests/model/replay.h"

namespace stepcast::model {
namespace {

struct Published {
  const char* name;
  const char* network;  // of the fixtures, which hold its draws
  Sampler sampler;
  const char* scheduler_class;
  int steps;
  std::vector<float> slice;  // rows and columns -3.. of the last channel, in 0..1
  double tolerance;          // of the published test
};

const Published kPipelines[] = {
    {"ddpm",
     "unet_2d_seeded",
     Sampler::kDdpm,
     "DDPMScheduler",
     2,
     {0.F, .9996672F, .00329116F, 1.F, .9995991F, 1.F, .0060907F, .00115037F, 0.F},
     1e-2},
    {"ddim",
     "unet_2d_seeded",
     Sampler::kDdim,
     "DDIMScheduler",
     2,
     {0.F, .9979F, 0.F, .9999F, .9986F, .9991F, 7.106e-4F, 0.F, 0.F},
     1e-3},
    {"pndm", "unet_2d_seeded_wide", Sampler::kPndm, "PNDMScheduler", 20, {1, 1, 0, 1, 0, 1, 0, 0, 0}, 1e-2},
};

// The finished picture [3, side, side] in 0..1.
at::Tensor Paint(const Published& published) {
  const ParityCase& parity = FindCase(published.network);
  const Replay replay(parity);
  WeightMap weights(replay.weights(), c10::DeviceType::CPU, at::kFloat);
  auto json = JsonConfig::Parse(replay.config(), parity.name);
  const auto config = ParseUNet2DConfig(*json);
  EXPECT_TRUE(config.ok()) << config.status();
  const UNet2DModel unet(weights, *config);
  const int64_t side = config->unet.sample_height;

  NoiseScheduleConfig schedule;
  schedule.scheduler_class = published.scheduler_class;
  sampling::SamplerSpec spec;
  spec.sampler = published.sampler;
  spec.steps = published.steps;
  spec.guidance_scale = 1;
  const auto program = sampling::Compile(schedule, spec);
  EXPECT_TRUE(program.ok()) << program.status();
  sampling::NoiseGenerator noise(0);
  std::vector<float> start(static_cast<size_t>(3 * side * side));
  noise.Fill(absl::MakeSpan(start));
  const auto denoise = [&](absl::Span<const float> input, const sampling::Evaluation& evaluation) {
    const at::Tensor latents = at::tensor(std::vector<float>(input.begin(), input.end())).view({1, 3, side, side});
    const at::Tensor output = unet(latents, at::tensor({evaluation.timestep}, at::kFloat), {});
    const float* data = output.const_data_ptr<float>();
    return std::vector<float>(data, data + output.numel());
  };
  const std::vector<float> latents =
      sampling::RunProgram(**program, sampling::StartLatents((*program)->start, {}, start), denoise, noise);
  const at::Tensor picture =
      PixelCodec(3, PixelRange::kMinusOneToOne).Decode(at::tensor(latents).view({1, 3, side, side}));
  return picture[0].div(2).add(0.5).clamp(0, 1);
}

TEST(SeededPipelines, PaintThePublishedPictures) {
  const c10::InferenceMode no_autograd;
  for (const Published& published : kPipelines) {
    const at::Tensor slice = Paint(published)[-1].slice(0, -3).slice(1, -3).flatten();
    for (int64_t i = 0; i < 9; ++i) {
      EXPECT_NEAR(slice[i].item<float>(), published.slice[static_cast<size_t>(i)], published.tolerance)
          << published.name << ", value " << i;
    }
  }
}

}  // namespace
}  // namespace stepcast::model
