#include "model/unet/unet_2d_condition_model.h"

#include <c10/util/Exception.h>

namespace stepcast::model {

UNet2DConditionModel::UNet2DConditionModel(WeightMap& weights, const UNetConfig& config)
    : dtype_(weights.dtype()), body_(weights, config), embedding_(weights, config) {
  if (config.encoder_hid_dim > 0) {
    encoder_hid_proj_.emplace(weights.Root() / "encoder_hid_proj", config.encoder_hid_dim, config.cross_attention_dim);
  }
  sites_ = weights.sites();
}

at::Tensor UNet2DConditionModel::TextOf(const Conditioning& conditioning, int64_t rows) const {
  const at::Tensor& prepared = conditioning.prepared_text;
  const at::Tensor& text = prepared.defined() ? prepared : conditioning.prompt_embeds;
  TORCH_CHECK_VALUE(text.defined() && text.size(0) == rows, "prompt_embeds of the same rows are needed");
  if (prepared.defined()) return prepared;
  // The text encoders may compute in another dtype.
  const at::Tensor own = text.to(dtype_);
  const RowAdapters* const adapters = conditioning.adapters.get();
  return body_.ProjectText(encoder_hid_proj_.has_value() ? (*encoder_hid_proj_)(own, adapters) : own, adapters);
}

Conditioning UNet2DConditionModel::Prepare(const Conditioning& conditioning) const {
  Conditioning prepared = conditioning;
  if (prepared.text_embeds.defined()) prepared.text_embeds = prepared.text_embeds.to(dtype_);
  if (prepared.text_mask.defined()) prepared.text_mask = prepared.text_mask.to(dtype_);
  if (body_.reads_text() && !prepared.prepared_text.defined() && prepared.prompt_embeds.defined()) {
    prepared.prepared_text = TextOf(conditioning, conditioning.prompt_embeds.size(0));
  }
  return prepared;
}

at::Tensor UNet2DConditionModel::operator()(const at::Tensor& latents, const at::Tensor& timesteps,
                                            const Conditioning& conditioning) const {
  body_.CheckInputs(latents, timesteps);
  UNetContext context;
  context.adapters = conditioning.adapters.get();
  context.time = body_.ProjectTime(embedding_.Finish(embedding_(timesteps, conditioning, latents.scalar_type())),
                                   context.adapters);
  if (body_.reads_text()) {
    context.text = {TextOf(conditioning, latents.size(0)), ScoreMask(conditioning.text_mask, dtype_)};
  }
  return body_(latents, context, conditioning.residuals);
}

}  // namespace stepcast::model
