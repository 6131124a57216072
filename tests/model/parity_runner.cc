#include "tests/model/parity_runner.h"

#include <stdexcept>

#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <c10/core/InferenceMode.h>

#include "absl/strings/str_cat.h"
#include "model/classifier/latent_classifier.h"
#include "model/control/control_net.h"
#include "model/layers/resampling.h"
#include "model/layers/resnet_block_2d.h"
#include "model/layers/transformer_2d.h"
#include "model/text_encoder/clip_text_config.h"
#include "model/text_encoder/clip_text_model.h"
#include "model/unet/unet_2d_condition_model.h"
#include "model/unet/unet_2d_model.h"
#include "model/unet/unet_blocks.h"
#include "model/vae/autoencoder_kl.h"
#include "model/vae/autoencoder_tiny.h"
#include "model/vae/vq_model.h"

namespace stepcast::model {
namespace {

struct Run {
  const ParityCase& parity;
  const Replay& replay;
  WeightMap& weights;
  c10::ScalarType dtype;

  at::Tensor input(const std::string& name) const {
    if (!replay.has_input(name)) return {};
    const at::Tensor tensor = replay.input(name).to(dtype);
    return tensor.dim() == 4 ? tensor.contiguous(at::MemoryFormat::ChannelsLast) : tensor;
  }
  // The time projections of a stack, as the U-Net makes them; undefined without a time embedding.
  at::Tensor Time(StackedLinear& stack) const {
    if (stack.empty()) return {};
    stack.Seal();
    return stack(ActivateInPlace(input("temb").clone(), Activation::kSilu));
  }
};

at::Tensor RunResampling(const Run& run) {
  const at::Tensor x = run.input("x");
  const int64_t out = run.parity.config.value("out", 32);
  if (run.parity.kind == "upsample_nearest") return UpsampleNearest(x);
  if (run.parity.kind == "average_pool") return AveragePool2x2(x);
  if (run.parity.kind == "upsample") return Upsample2D(run.weights.Root(), 32, out)(x);
  return Downsample2D(run.weights.Root(), 32, out, run.parity.config.at("padding"))(x);
}

at::Tensor RunResnet(const Run& run) {
  const nlohmann::json& config = run.parity.config;
  StackedLinear time;
  ResnetOptions options;
  options.in = 32;
  options.out = config.value("out", 32);
  options.output_scale = config.value("output_scale", 1.0);
  options.scale_shift = config.value("scale_shift", false);
  options.force_shortcut = config.value("shortcut", false);
  const std::string resample = config.value("resample", "");
  options.resample = resample == "up" ? Resample::kUp : resample == "down" ? Resample::kDown : Resample::kNone;
  options.time_channels = 128;
  options.time = &time;
  const ResnetBlock2D block(run.weights.Root(), options);
  return block(run.input("x"), run.Time(time));
}

at::Tensor RunTransformer(const Run& run) {
  TransformerOptions options;
  options.channels = run.parity.config.at("channels");
  options.heads = run.parity.config.at("heads");
  options.cross_attention_dim = run.parity.config.at("cross");
  StackedLinear text;
  if (options.cross_attention_dim > 0) options.text = &text;
  const Transformer2DModel transformer(run.weights.Root(), options);
  text.Seal();
  return transformer(run.input("x"), {text.empty() ? at::Tensor() : text(run.input("context"))});
}

at::Tensor RunBlock(const Run& run) {
  const nlohmann::json& config = run.parity.config;
  StackedLinear time;
  UNetBlockOptions options;
  options.in = options.out = options.previous = 32;
  options.resnet.time_channels = run.replay.has_input("temb") ? 128 : 0;
  options.resnet.time = &time;
  options.resample = true;
  if (config.value("resampler", "") == "resnet") options.resampler = BlockResampler::kResnet;
  options.transformer_layers = {1};
  options.transformer.heads = config.value("heads", 1);
  options.transformer.cross_attention_dim = 32;
  const std::string attention = config.value("attention", "");
  if (attention == "transformer") options.attention = BlockAttention::kTransformer;
  if (attention == "spatial") options.attention = BlockAttention::kSpatial;
  const WeightScope root = run.weights.Root();
  const at::Tensor x = run.input("x");
  if (run.parity.kind == "up_decoder") return UpDecoderBlock2D(root, options)(x);
  std::vector<at::Tensor> skips;
  if (run.parity.kind == "down") {
    const DownBlock block(root, options);
    return block(x, {run.Time(time), {}}, skips);
  }
  if (run.parity.kind == "mid") {
    const MidBlock block(root, options);
    return block(x, {run.Time(time), {}});
  }
  const UpBlock block(root, options);
  skips.push_back(run.input("skip"));
  return block(x, {run.Time(time), {}}, skips, std::nullopt);
}

// What a network that reads text is told.
Conditioning ConditioningOf(const Run& run) {
  Conditioning conditioning;
  conditioning.prompt_embeds = run.input("text");
  conditioning.text_embeds = run.input("text_embeds");
  if (run.replay.has_input("time_ids")) {
    conditioning.time_ids = run.replay.input("time_ids").view({run.input("x").size(0), -1});
  }
  if (run.replay.has_input("class_labels")) conditioning.class_labels = run.replay.input("class_labels").to(at::kLong);
  if (run.replay.has_input("guidance_scales")) conditioning.guidance_scales = run.replay.input("guidance_scales");
  return conditioning;
}

at::Tensor RunUNet(const Run& run) {
  auto json = JsonConfig::Parse(run.replay.config(), run.parity.name);
  const auto config = ParseUNetConfig(*json);
  if (!config.ok()) throw std::runtime_error(config.status().ToString());
  const UNet2DConditionModel unet(run.weights, *config);
  Conditioning conditioning = ConditioningOf(run);
  if (run.parity.kind == "controlled_unet") {
    RowResiduals residuals;
    for (int64_t row = 0; row < run.input("x").size(0); ++row) residuals.rows.push_back(row);
    for (int i = 0; run.replay.has_input(absl::StrCat("down", i)); ++i) {
      residuals.down.push_back(run.input(absl::StrCat("down", i)));
    }
    residuals.mid = run.input("mid");
    conditioning.residuals.push_back(std::move(residuals));
  }
  return unet(run.input("x"), run.replay.input("timesteps"), conditioning);
}

// All residuals, one after the other.
at::Tensor RunControlNet(const Run& run) {
  auto json = JsonConfig::Parse(run.replay.config(), run.parity.name);
  const nlohmann::json& said = run.parity.config;
  const auto config = ParseControlNetConfig(*json, said.at("_class_name").get<std::string>());
  if (!config.ok()) throw std::runtime_error(config.status().ToString());
  const ControlNet net(run.weights, *config);
  const auto rows = static_cast<size_t>(run.input("x").size(0));
  ControlInputs inputs;
  inputs.guess.assign(rows, said.at("guess").get<bool>());
  for (size_t i = 0; i < said.at("scales").size(); ++i) {
    ControlHint hint;
    hint.embedding = net.EmbedHint(run.replay.input(i == 0 ? "hint" : absl::StrCat("hint", i)));
    hint.scale = at::full({static_cast<int64_t>(rows)}, said.at("scales").at(i).get<double>());
    if (config->is_union()) hint.types.assign(rows, said.at("types").at(i).get<int64_t>());
    inputs.hints.push_back(std::move(hint));
  }
  const Conditioning conditioning = net.Prepare(ConditioningOf(run));
  ControlResiduals residuals = net(run.input("x"), run.replay.input("timesteps"), conditioning, inputs);
  std::vector<at::Tensor> flat;
  for (const at::Tensor& residual : residuals.down) flat.push_back(residual.contiguous().flatten());
  flat.push_back(residuals.mid.contiguous().flatten());
  return at::cat(flat);
}

at::Tensor RunUNet2D(const Run& run) {
  auto json = JsonConfig::Parse(run.replay.config(), run.parity.name);
  const auto config = ParseUNet2DConfig(*json);
  if (!config.ok()) throw std::runtime_error(config.status().ToString());
  const UNet2DModel unet(run.weights, *config);
  Conditioning conditioning;
  if (run.replay.has_input("class_labels")) conditioning.class_labels = run.replay.input("class_labels").to(at::kLong);
  return unet(run.input("x"), run.replay.input("timesteps"), conditioning);
}

at::Tensor RunClassifier(const Run& run) {
  const c10::InferenceMode gradients_allowed(false);
  auto json = JsonConfig::Parse(run.replay.config(), run.parity.name);
  const auto config = ParseLatentClassifierConfig(*json);
  if (!config.ok()) throw std::runtime_error(config.status().ToString());
  const LatentClassifier classifier(run.weights, *config);
  const at::Tensor timesteps = run.replay.input("timesteps");
  if (!run.replay.has_input("class_labels")) return classifier.Logits(run.input("x"), timesteps);
  return classifier.Gradient(run.input("x"), timesteps, run.replay.input("class_labels").to(at::kLong));
}

at::Tensor RunClip(const Run& run) {
  const bool pooled = run.parity.kind == "clip_pooled";
  auto json = JsonConfig::Parse(run.replay.config(), run.parity.name);
  const auto config = ParseClipTextConfig(*json, pooled ? "CLIPTextModelWithProjection" : "CLIPTextModel");
  if (!config.ok()) throw std::runtime_error(config.status().ToString());
  const ClipTextModel tower(run.weights, *config);
  const at::Tensor ids = run.replay.input("ids").to(at::kLong).view({2, -1});
  const at::Tensor hidden = tower.FinalNorm(tower.HiddenStates({.ids = ids}, run.parity.config.at("clip_skip")));
  return pooled ? tower.Pooled(hidden, ids) : hidden;
}

at::Tensor RunAutoencoder(const Run& run) {
  auto json = JsonConfig::Parse(run.replay.config(), run.parity.name);
  const auto config = ParseAutoencoderConfig(*json);
  if (!config.ok()) throw std::runtime_error(config.status().ToString());
  const bool encodes = run.parity.kind.rfind("autoencoder_encoder", 0) == 0;
  const AutoencoderKL vae(run.weights, *config, encodes);
  if (encodes) {
    const at::Tensor pictures = run.replay.input("pictures");
    const bool tiled = run.parity.kind == "autoencoder_encoder_tiled";
    const EncodedPictures encoded = tiled ? vae.EncodeTiled(pictures) : vae.Encode(pictures);
    return at::cat({encoded.mean, encoded.deviation}, 1);
  }
  const at::Tensor latents = run.replay.input("latents");
  return run.parity.kind == "autoencoder_tiled" ? vae.DecodeTiled(latents) : vae.Decode(latents);
}

at::Tensor RunVqEncoder(const Run& run) {
  auto json = JsonConfig::Parse(run.replay.config(), run.parity.name);
  const auto config = ParseVqModelConfig(*json);
  if (!config.ok()) throw std::runtime_error(config.status().ToString());
  return VqModel(run.weights, *config, /*with_encoder=*/true).Encode(run.replay.input("pictures")).mean;
}

at::Tensor RunAutoencoderTiny(const Run& run) {
  auto json = JsonConfig::Parse(run.replay.config(), run.parity.name);
  const auto config = ParseAutoencoderTinyConfig(*json);
  if (!config.ok()) throw std::runtime_error(config.status().ToString());
  const bool encodes = run.parity.kind.rfind("autoencoder_tiny_encoder", 0) == 0;
  const AutoencoderTiny vae(run.weights, *config, encodes);
  if (encodes) {
    const at::Tensor pictures = run.replay.input("pictures");
    const bool tiled = run.parity.kind == "autoencoder_tiny_encoder_tiled";
    return vae.Scaled((tiled ? vae.EncodeTiled(pictures) : vae.Encode(pictures)).mean);
  }
  const at::Tensor latents = run.replay.input("latents").mul(4);  // into the clamp
  return run.parity.kind == "autoencoder_tiny_tiled" ? vae.DecodeTiled(latents) : vae.Decode(latents);
}

at::Tensor Dispatch(const Run& run) {
  const std::string& kind = run.parity.kind;
  if (kind == "resnet") return RunResnet(run);
  if (kind == "transformer") return RunTransformer(run);
  if (kind == "unet" || kind == "controlled_unet") return RunUNet(run);
  if (kind == "control_net") return RunControlNet(run);
  if (kind == "unet_2d") return RunUNet2D(run);
  if (kind == "latent_classifier" || kind == "latent_classifier_gradient") return RunClassifier(run);
  if (kind == "clip" || kind == "clip_pooled") return RunClip(run);
  if (kind.rfind("autoencoder_tiny", 0) == 0) return RunAutoencoderTiny(run);
  if (kind.rfind("autoencoder", 0) == 0) return RunAutoencoder(run);
  if (kind == "vq_encoder") return RunVqEncoder(run);
  if (kind == "down" || kind == "mid" || kind == "up" || kind == "up_decoder") return RunBlock(run);
  return RunResampling(run);
}

}  // namespace

at::Tensor RunCase(const ParityCase& parity, c10::ScalarType dtype) {
  const c10::InferenceMode no_autograd;
  const Replay replay(parity);
  WeightMap weights(replay.weights(), c10::DeviceType::CPU, dtype);
  const Run run{parity, replay, weights, dtype};
  at::Tensor output = Dispatch(run).to(at::kFloat).contiguous();
  // A case must use every weight of the reference network, and find every weight it wants.
  if (const absl::Status report = weights.Report(parity.name); !report.ok())
    throw std::runtime_error(report.ToString());
  if (!weights.Unused().empty()) throw std::runtime_error("unused weight " + weights.Unused().front());
  return output;
}

}  // namespace stepcast::model
