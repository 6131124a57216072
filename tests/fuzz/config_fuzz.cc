// JSON files of model folders: the kind in the first line, then the file. What a parser accepts is of sizes that a
// network can have, and a schedule that it accepts compiles or is refused.

#include <algorithm>
#include <string>
#include <string_view>

#include "model/classifier/latent_classifier_config.h"
#include "model/families/class_labels.h"
#include "model/files/model_card.h"
#include "model/files/model_index.h"
#include "model/files/scheduler_class.h"
#include "model/files/scheduler_config.h"
#include "model/preview/preview_matrix.h"
#include "model/text_encoder/clip_text_config.h"
#include "model/unet/unet_2d_config.h"
#include "model/vae/vq_model_config.h"
#include "sampling/compile/usable.h"
#include "tests/fuzz/scratch.h"

namespace stepcast {
namespace {

using fuzz::Check;
using model::JsonConfig;

void CheckUNet(const model::UNetConfig& unet) {
  Check(!unet.down_blocks.empty() && unet.down_blocks.size() == unet.up_blocks.size());
  for (const auto* blocks : {&unet.down_blocks, &unet.up_blocks}) {
    for (const model::UNetBlockConfig& block : *blocks) {
      Check(block.channels >= 1 && block.layers >= 1 && block.channels % unet.norm_num_groups == 0);
      const bool attends = block.attention != model::BlockAttention::kNone;
      Check(!attends || (block.heads >= 1 && block.channels % block.heads == 0));
    }
  }
  Check(unet.in_channels >= 1 && unet.out_channels >= 1 && unet.time_embedding_dim >= 1);
}

void CheckAutoencoder(const model::AutoencoderConfig& vae) {
  Check(vae.latent_channels >= 1 && !vae.block_out_channels.empty() && vae.scale_factor() <= 128);
  for (const int64_t channels : vae.block_out_channels) Check(channels % vae.norm_num_groups == 0);
  Check(vae.scaling_factor != 0);
}

void TryUNet(JsonConfig& json) {
  if (const auto unet = model::ParseUNetConfig(json); unet.ok()) CheckUNet(*unet);
}

void TryUNet2D(JsonConfig& json) {
  if (const auto unet = model::ParseUNet2DConfig(json); unet.ok()) CheckUNet(unet->unet);
}

void TryAutoencoder(JsonConfig& json) {
  if (const auto vae = model::ParseAutoencoderConfig(json); vae.ok()) CheckAutoencoder(*vae);
}

void TryVqModel(JsonConfig& json) {
  const auto vae = model::ParseVqModelConfig(json);
  if (!vae.ok()) return;
  CheckAutoencoder(vae->decoder);
  Check(vae->num_vq_embeddings >= 1 && vae->vq_embed_dim >= 1);
}

void TryTextEncoder(JsonConfig& json) {
  for (const char* cls : {"CLIPTextModel", "CLIPTextModelWithProjection"}) {
    JsonConfig copy = json;
    if (const auto text = model::ParseClipTextConfig(copy, cls); text.ok()) {
      Check(text->num_attention_heads >= 1 && text->hidden_size % text->num_attention_heads == 0);
    }
  }
}

void TryClassifier(JsonConfig& json) { (void)model::ParseLatentClassifierConfig(json); }
void TryLabels(JsonConfig& json) { (void)model::ReadClassLabels(json); }

// Compiles what the file asks for in a few steps, as loading a model does.
void TryScheduler(JsonConfig& json) {
  const std::string named = json.String("_class_name", "DDIMScheduler");
  JsonConfig judged = json;
  const auto verdict = model::JudgeScheduler(judged, named);
  if (!verdict.ok()) return;
  const auto schedule = model::ParseSchedulerConfig(json, verdict->scheduler_class, "StableDiffusionPipeline");
  if (!schedule.ok()) return;
  ModelInfo info;
  info.noise_schedule = *schedule;
  // Tables of 100,000 levels say no more than those of 2000, and take as long as 50 other files.
  if (schedule->num_train_timesteps.value_or(1000) > 2000) return;
  sampling::SamplerSpec spec;
  spec.sampler = model::DefaultSampler(*schedule).value_or(Sampler::kDdim);
  spec.steps = std::min(4, schedule->num_train_timesteps.value_or(1000));
  (void)sampling::CheckUsable(info, spec);
}

void TryCard(std::string_view text) {
  const auto card = model::ReadModelCard(fuzz::Write("model.json", text));
  if (!card.ok()) return;
  ModelInfo info;
  if (!model::ApplyModelCard(*card, info).ok()) return;
  Check(info.defaults.steps >= 1 && info.defaults.steps <= info.limits.max_steps);
  Check(info.defaults.width >= info.limits.min_side && info.defaults.width <= info.limits.max_side);
  Check(info.defaults.guidance_scale >= 0 && info.defaults.guidance_scale <= 30);
}

void TryIndex(std::string_view text) {
  fuzz::Write("model_index.json", text);
  const auto index = model::ReadModelIndex(fuzz::Scratch());
  if (!index.ok()) return;
  for (const auto& [name, component] : index->components) {
    const std::string path = index->PathOf(name);
    Check(name.find('/') == std::string::npos && path.rfind(fuzz::Scratch(), 0) == 0);
    (void)index->ClassOf(name, {"UNet2DModel", "AutoencoderKL"});
  }
}

void TryPreview(std::string_view text) {
  const auto matrix = model::ReadPreviewMatrix(fuzz::Write("preview.json", text), 4);
  if (matrix.ok()) Check(matrix->rows.size() == 4);
}

struct Component {
  std::string_view kind;
  void (*parse)(JsonConfig& json);
};
constexpr Component kComponents[] = {
    {"unet", TryUNet},     {"unet_2d", TryUNet2D},           {"vae", TryAutoencoder},
    {"vqvae", TryVqModel}, {"text_encoder", TryTextEncoder}, {"classifier", TryClassifier},
    {"labels", TryLabels}, {"scheduler", TryScheduler},
};

void TryFile(std::string_view bytes) {
  const std::string_view kind = fuzz::Take(bytes, '\n');
  if (kind == "card") return TryCard(bytes);
  if (kind == "index") return TryIndex(bytes);
  if (kind == "preview") return TryPreview(bytes);
  for (const Component& component : kComponents) {
    if (component.kind != kind) continue;
    auto json = JsonConfig::Parse(absl::string_view(bytes.data(), bytes.size()), "config.json");
    if (json.ok()) component.parse(*json);
  }
}

}  // namespace
}  // namespace stepcast

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  stepcast::TryFile({reinterpret_cast<const char*>(data), size});
  return 0;
}
