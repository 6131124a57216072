// One U-Net forward by rows, without scheduler, sampler or server: what a tick costs at least.
//
//   unet_bench [--benchmark_filter=fp32/2]
//
// It loads models/emoji of this checkout.
//
// Compare with bench/peer_diffusers.py in the same minutes, on an otherwise idle machine.
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <benchmark/benchmark.h>
#include <c10/core/InferenceMode.h>

#include "model/model_bundle.h"

namespace stepcast::model {
namespace {

constexpr int64_t kTextLength = 77;

std::shared_ptr<const ModelBundle> BundleOf(c10::ScalarType dtype) {
  static std::map<c10::ScalarType, std::shared_ptr<const ModelBundle>>& loaded =
      *new std::map<c10::ScalarType, std::shared_ptr<const ModelBundle>>();
  std::shared_ptr<const ModelBundle>& bundle = loaded[dtype];
  if (bundle == nullptr) {
    LoadOptions options;
    options.id = "emoji";
    options.path = STEPCAST_SOURCE_DIR "/models/emoji";
    options.card.dtype.whole = dtype == at::kFloat ? Dtype::kFp32 : Dtype::kBf16;  // wins over the card's
    auto result = ModelBundle::Load(options);
    if (!result.ok()) {
      std::fprintf(stderr, "%s\n", result.status().ToString().c_str());
      std::exit(1);
    }
    bundle = *std::move(result);
  }
  return bundle;
}

ConditioningInput Prompt() {
  ConditioningInput input;
  input.text.ids.emplace_back(kTextLength, 1);
  return input;
}

void Forward(benchmark::State& state, c10::ScalarType dtype) {
  const c10::InferenceMode no_autograd;
  const std::shared_ptr<const ModelBundle> bundle = BundleOf(dtype);
  const ModelInfo& info = *bundle->info();
  const int64_t rows = state.range(0);
  at::manual_seed(1);
  const at::Tensor latents = at::randn({rows, info.latent_channels, info.defaults.height / info.vae_scale_factor,
                                        info.defaults.width / info.vae_scale_factor})
                                 .to(dtype);
  const at::Tensor timesteps = at::full({rows}, 500.0F);
  const Conditioning conditioning =
      bundle->conditioner().Encode(std::vector<ConditioningInput>(static_cast<size_t>(rows), Prompt()));
  for (auto _ : state) benchmark::DoNotOptimize(bundle->denoiser()(latents, timesteps, conditioning));
  state.counters["rows/s"] =
      benchmark::Counter(static_cast<double>(rows), benchmark::Counter::kIsIterationInvariantRate);
  state.counters["threads"] = at::get_num_threads();
}

void Decode(benchmark::State& state) {
  const c10::InferenceMode no_autograd;
  const std::shared_ptr<const ModelBundle> bundle = BundleOf(at::kFloat);
  const ModelInfo& info = *bundle->info();
  const at::Tensor latents =
      at::randn({state.range(0), info.latent_channels, info.defaults.height / info.vae_scale_factor,
                 info.defaults.width / info.vae_scale_factor});
  for (auto _ : state) benchmark::DoNotOptimize(bundle->codec().Decode(latents));
}

BENCHMARK_CAPTURE(Forward, fp32, at::kFloat)
    ->RangeMultiplier(2)
    ->Range(1, 32)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK_CAPTURE(Forward, bf16, at::kBFloat16)
    ->RangeMultiplier(2)
    ->Range(1, 32)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK(Decode)->RangeMultiplier(2)->Range(1, 4)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace stepcast::model

BENCHMARK_MAIN();
