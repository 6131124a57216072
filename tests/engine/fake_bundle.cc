#include "tests/engine/fake_bundle.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/full.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/upsample_nearest2d.h>
#include <ATen/ops/where.h>
#include <c10/util/Exception.h>

#include <cmath>
#include <limits>
#include <utility>

#include "model/tiled_codec.h"

namespace stepcast::engine {
namespace {

constexpr int kEmbeddingWidth = 3;
constexpr int64_t kScale = 4;
constexpr model::TileGrid kTiles = {.cells = kFakeTilePixels / kScale, .factor = kScale};

// [L, D]: nothing but a fingerprint of the ids.
at::Tensor Embed(const model::ConditioningInput& input) {
  std::vector<float> values;
  for (const int32_t id : input.text.ids.front()) {
    for (int d = 0; d < kEmbeddingWidth; ++d) {
      const float value = std::sin(0.37f * static_cast<float>(id) + static_cast<float>(d + input.clip_skip));
      values.push_back(id == kNanToken ? std::numeric_limits<float>::quiet_NaN() : value);
    }
  }
  return at::tensor(values).view({-1, kEmbeddingWidth});
}

// [R] of embeddings [R, L, D]: of what `mask` [R, L], where there is one, leaves of each.
at::Tensor MeanOf(const at::Tensor& embeddings, const at::Tensor& mask) {
  if (!mask.defined()) return embeddings.mean({1, 2});
  const at::Tensor kept = at::exp(mask).unsqueeze(2);
  return (embeddings * kept).sum({1, 2}) / (kept.sum({1, 2}) * embeddings.size(2));
}

// input [R, C, h, w], timesteps [R], embeddings [R, L, D]; every row on its own.
at::Tensor Predict(const at::Tensor& input, const at::Tensor& timesteps, const at::Tensor& embeddings,
                   const at::Tensor& mask = {}) {
  const at::Tensor prompt = MeanOf(embeddings, mask).view({-1, 1, 1, 1});
  const at::Tensor time = timesteps.view({-1, 1, 1, 1}) / 1000.0;
  return at::tanh(input * 0.7 + prompt * 0.9 - time * 0.4) + prompt * input * 0.2;
}

class FakeConditioner final : public model::Conditioner {
 public:
  FakeConditioner(FakeScript* script, c10::ScalarType dtype) : script_(script), dtype_(dtype) {}

  model::Conditioning Encode(const std::vector<model::ConditioningInput>& inputs) const override {
    script_->encode_sizes.push_back(static_cast<int64_t>(inputs.size()));
    std::vector<at::Tensor> rows;
    for (const model::ConditioningInput& input : inputs) {
      TORCH_CHECK(input.clip_skip == inputs.front().clip_skip, "one clip_skip per forward");
      for (const int32_t id : input.text.ids.front()) TORCH_CHECK(id != kThrowToken, "token ", id, " throws");
      rows.push_back(Embed(input));
    }
    model::Conditioning conditioning;
    conditioning.prompt_embeds = at::stack(rows).to(dtype_);
    if (script_->pooled) {
      conditioning.text_embeds = at::full({static_cast<int64_t>(inputs.size()), 2}, *script_->pooled, at::kFloat);
    }
    return conditioning;
  }
  int64_t vocab_size() const override { return kFakeVocabulary; }

 private:
  FakeScript* const script_;
  const c10::ScalarType dtype_;
};

class FakeDenoiser final : public model::Denoiser {
 public:
  explicit FakeDenoiser(FakeScript* script) : script_(script) {}

  at::Tensor operator()(const at::Tensor& latents, const at::Tensor& timesteps,
                        const model::Conditioning& conditioning) const override {
    script_->forward_rows.push_back(latents.size(0));
    script_->timesteps.emplace_back(timesteps.data_ptr<float>(), timesteps.data_ptr<float>() + timesteps.numel());
    script_->conditioning_data.push_back(conditioning.prompt_embeds.data_ptr());
    script_->input_dtype = latents.scalar_type();
    if (conditioning.guidance_scales.defined()) {
      const float* scales = conditioning.guidance_scales.data_ptr<float>();
      script_->guidance_scales.emplace_back(scales, scales + conditioning.guidance_scales.numel());
    }
    TORCH_CHECK(!script_->denoiser_throws, "the scripted failure");
    TORCH_CHECK_WITH(OutOfMemoryError, latents.size(0) <= script_->max_rows, "the scripted shortage of memory");
    const at::Tensor embeddings = conditioning.prompt_embeds.to(c10::ScalarType::Float);
    at::Tensor output = Predict(latents.to(c10::ScalarType::Float), timesteps, embeddings, conditioning.text_mask);
    const bool meet = script_->meeting_width == 0 || script_->meeting_width == latents.size(3);
    if (script_->rows_meet != 0.0f && meet) output.add_(latents.flatten().select(0, 0), script_->rows_meet);
    TORCH_CHECK(MeanOf(embeddings, conditioning.text_mask).max().item<float>() <= script_->throws_above,
                "the scripted failure of a row");
    const at::Tensor poisoned = MeanOf(embeddings, conditioning.text_mask).view({-1, 1, 1, 1}) > script_->poison_above;
    return at::where(poisoned, std::numeric_limits<float>::quiet_NaN(), output).to(latents.scalar_type());
  }

 private:
  FakeScript* const script_;
};

class FakeCodec final : public model::LatentCodec, public model::TiledCodec {
 public:
  explicit FakeCodec(FakeScript* script) : script_(script) {}

  at::Tensor Decode(const at::Tensor& latents) const override {
    script_->decode_sizes.push_back(latents.size(0));
    TORCH_CHECK_WITH(OutOfMemoryError, latents.size(0) <= script_->max_images, "the scripted shortage of memory");
    const at::Tensor pixels = at::tanh(latents.narrow(1, 0, 3));
    return at::upsample_nearest2d(pixels, {latents.size(2) * kScale, latents.size(3) * kScale});
  }
  at::Tensor DecodeTiled(const at::Tensor& latents) const override {
    script_->tiled_sizes.push_back(latents.size(0));
    return Decode(latents);
  }
  bool encodes() const override { return true; }
  // Means of the pixels of each cell; the fourth channel is that of all.
  model::EncodedPictures Encode(const at::Tensor& pictures) const override {
    script_->picture_sizes.push_back(pictures.size(0));
    TORCH_CHECK_WITH(OutOfMemoryError, pictures.size(0) <= script_->max_pictures, "the scripted shortage of memory");
    const at::Tensor cells = at::avg_pool2d(pictures, kScale);
    at::Tensor mean = at::cat({cells, cells.mean({1}, /*keepdim=*/true)}, 1);
    if (script_->encoder_overflows) mean = at::full_like(mean, std::numeric_limits<float>::infinity());
    return {.mean = mean, .deviation = at::full_like(mean, 0.25)};
  }
  at::Tensor Scaled(const at::Tensor& code) const override { return code * 0.5; }

  model::TiledWork BeginDecode(const at::Tensor& latents) const override {
    return model::TiledWork::Decode(latents, kTiles, [this](const at::Tensor& z) { return Decode(z); });
  }
  model::TiledWork BeginEncode(const at::Tensor& pictures) const override {
    return model::TiledWork::Encode(pictures, kTiles, [this](const at::Tensor& tile) { return Encode(tile).mean; });
  }
  model::EncodedPictures Encoded(const at::Tensor& output) const override {
    return {.mean = output, .deviation = at::full_like(output, 0.25)};
  }

 private:
  FakeScript* const script_;
};

class FakePreview final : public model::PreviewDecoder {
 public:
  explicit FakePreview(FakeScript* script) : script_(script) {}

  at::Tensor Decode(const at::Tensor& x0) const override {
    script_->preview_sizes.push_back(x0.size(0));
    const at::Tensor shown = x0.narrow(1, 0, 3).contiguous();
    return script_->previews.has_value() ? at::full_like(shown, *script_->previews) : shown;
  }

 private:
  FakeScript* const script_;
};

class FakeBundle final : public model::ModelBundle {
 public:
  FakeBundle(SharedModelInfo info, FakeScript* script, c10::ScalarType dtype)
      : info_(std::move(info)),
        conditioner_(script, dtype),
        denoiser_(script),
        codec_(script),
        preview_(script),
        dtype_(dtype) {}
  const SharedModelInfo& info() const override { return info_; }
  const model::Conditioner& conditioner() const override { return conditioner_; }
  const model::Denoiser& denoiser() const override { return denoiser_; }
  const model::LatentCodec& codec() const override { return codec_; }
  const model::PreviewDecoder& preview() const override { return preview_; }
  c10::Device device() const override { return c10::Device(c10::DeviceType::CPU); }
  c10::ScalarType dtype() const override { return dtype_; }
  const std::vector<std::string>& warnings() const override { return warnings_; }

 private:
  SharedModelInfo info_;
  FakeConditioner conditioner_;
  FakeDenoiser denoiser_;
  FakeCodec codec_;
  FakePreview preview_;
  c10::ScalarType dtype_;
  std::vector<std::string> warnings_;
};

}  // namespace

std::shared_ptr<const model::ModelBundle> MakeFakeBundle(const std::string& id, FakeScript* script,
                                                         c10::ScalarType dtype) {
  auto info = std::make_shared<ModelInfo>();
  info->id = id;
  info->vae_scale_factor = static_cast<int>(kScale);
  return std::make_shared<const FakeBundle>(std::move(info), script, dtype);
}

std::shared_ptr<const model::ModelBundle> MakeFakeBundle(SharedModelInfo info, FakeScript* script) {
  return std::make_shared<const FakeBundle>(std::move(info), script, c10::ScalarType::Float);
}

at::Tensor FakePrediction(const at::Tensor& input, float timestep, const std::vector<int32_t>& prompt) {
  const at::Tensor embeddings = Embed({.text = {.ids = {prompt}}, .clip_skip = 0}).unsqueeze(0);
  return Predict(input.unsqueeze(0), at::tensor({timestep}), embeddings).squeeze(0);
}

}  // namespace stepcast::engine
