#include "engine/trial/synthetic_tick.h"

#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "engine/codecs/picture.h"

namespace stepcast::engine {
namespace {

constexpr int64_t kPromptTokens = 77;  // of a CLIP text encoder
constexpr double kTimestep = 500.0;    // zero would be the trivial one

at::TensorOptions Floats(const model::ModelBundle& bundle) {
  return at::TensorOptions(c10::ScalarType::Float).device(bundle.device());
}

at::Tensor Latents(const model::ModelBundle& bundle, const SyntheticTick& tick) {
  return at::zeros({tick.rows, bundle.info()->latent_channels, tick.latent_height, tick.latent_width}, Floats(bundle));
}

// What the denoiser reads: the latents and, of some models, what follows them.
at::Tensor DenoiserInput(const model::ModelBundle& bundle, const SyntheticTick& tick) {
  const ModelInfo& info = *bundle.info();
  return at::zeros({tick.rows, info.latent_channels + ExtraChannels(info), tick.latent_height, tick.latent_width},
                   Floats(bundle));
}

void EncodePictures(const model::ModelBundle& bundle, const SyntheticTick& tick, int64_t chunk) {
  const int64_t factor = bundle.info()->vae_scale_factor;
  if (!bundle.codec().encodes()) return;
  for (int64_t done = 0; done < tick.rows; done += chunk) {
    const int64_t count = std::min<int64_t>(chunk, tick.rows - done);
    bundle.codec().Encode(
        at::zeros({count, 3, tick.latent_height * factor, tick.latent_width * factor}, Floats(bundle)));
  }
}

void Encode(const model::ModelBundle& bundle, const SyntheticTick& tick) {
  const int each = tick.alone ? 1 : tick.rows;
  for (int done = 0; done < tick.rows; done += each) {
    bundle.conditioner().Encode(
        std::vector<model::ConditioningInput>(static_cast<size_t>(each), AnyInput(*bundle.info())));
  }
}

// Decodes in the chunks of a real tick.
template <typename Decode>
void DecodeChunks(const at::Tensor& latents, int64_t chunk, Decode decode) {
  for (int64_t begin = 0; begin < latents.size(0); begin += chunk) {
    ToImages(decode(latents.narrow(0, begin, std::min(chunk, latents.size(0) - begin))));
  }
}

}  // namespace

model::ConditioningInput AnyInput(const ModelInfo& info) {
  model::ConditioningInput input;
  const auto tokens = static_cast<size_t>(std::clamp(info.text_max_tokens, int64_t{1}, kPromptTokens));
  input.text.ids.assign(std::max<size_t>(1, info.tokenizer_dirs.size()), std::vector<int32_t>(tokens, 0));
  // The pictures that it was trained on.
  const PictureSizes sizes = {.original_width = info.defaults.width,
                              .original_height = info.defaults.height,
                              .target_width = info.defaults.width,
                              .target_height = info.defaults.height};
  input.size_ids = SizeIds(info.size_conditioning, sizes, /*negative=*/false);
  if (!info.class_labels.empty()) input.class_index = info.class_labels.begin()->first;
  return input;
}

model::Conditioning ForRows(const model::Conditioning& one, int64_t rows) {
  const auto expand = [rows](const at::Tensor& row) {
    if (!row.defined()) return at::Tensor();
    std::vector<int64_t> sizes = row.sizes().vec();
    sizes.front() = rows;
    return row.expand(sizes);
  };
  model::Conditioning all;
  all.prompt_embeds = expand(one.prompt_embeds);
  all.prepared_text = expand(one.prepared_text);
  all.text_embeds = expand(one.text_embeds);
  all.time_ids = expand(one.time_ids);
  all.class_labels = expand(one.class_labels);
  return all;
}

void SyntheticTicks::Denoise(const model::ModelBundle& bundle, const SyntheticTick& tick) {
  auto [at, absent] = conditioning_.try_emplace(&bundle);
  if (absent) at->second = bundle.denoiser().Prepare(bundle.conditioner().Encode({AnyInput(*bundle.info())}));
  const at::Tensor timesteps = at::full({tick.rows}, kTimestep, Floats(bundle));
  const at::Tensor latents = DenoiserInput(bundle, tick).to(bundle.dtype());
  bundle.denoiser()(latents, timesteps, ForRows(at->second, tick.rows)).to(c10::ScalarType::Float);
}

void SyntheticTicks::Run(const model::ModelBundle& bundle, const SyntheticTick& tick) {
  const int64_t chunk = tick.alone ? 1 : tick.decode_chunk;
  switch (tick.phase) {
    case Phase::kEncode:
      Encode(bundle, tick);
      break;
    case Phase::kEncodePicture:
      EncodePictures(bundle, tick, chunk);
      break;
    case Phase::kUpscale:
      break;
    case Phase::kDenoise:
      Denoise(bundle, tick);
      break;
    case Phase::kPreview:
      DecodeChunks(Latents(bundle, tick), chunk, [&](const at::Tensor& x0) { return bundle.preview().Decode(x0); });
      break;
    case Phase::kDecode:
      DecodeChunks(Latents(bundle, tick), chunk,
                   [&](const at::Tensor& latents) { return bundle.codec().Decode(latents); });
      break;
  }
  device_.Synchronize();
}

}  // namespace stepcast::engine
