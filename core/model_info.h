#pragma once
// What the torch-free rooms may know of a loaded model: enough to validate a request and to describe the
// model to a client.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/control_net_info.h"
#include "core/decoding.h"
#include "core/lora_targets.h"
#include "core/sampling_types.h"
#include "core/size_conditioning.h"

namespace stepcast {

// What tells the denoiser which picture to paint.
enum class ConditioningKind { kText, kClassLabel, kNone };

// What the denoiser reads beside the latents, channel by channel.
enum class ImageInput {
  kNone,
  kMaskAndPicture,  // what to repaint, and the latents of the rest: inpainting models (9 channels where latents have 4)
  kPicture,         // the latents of a picture that words tell how to change: instruct-pix2pix (8 channels)
};

// What a request gets for each field it leaves unset.
struct ModelDefaults {
  Sampler sampler = Sampler::kDdim;
  SigmaSchedule sigma_schedule = SigmaSchedule::kDefault;
  int steps = 20;
  double guidance_scale = 7.5;
  int width = 512;   // pixels
  int height = 512;  // pixels
  double guidance_rescale = 0.0;
  int clip_skip = 0;
  std::optional<std::string> negative_prompt = std::nullopt;
  // Of requests with the default sampler; a list only where a request says nothing of steps and their spacing.
  std::optional<TimestepSpacing> timestep_spacing = std::nullopt;  // nullopt: as the scheduler's config says
  std::optional<double> eta = std::nullopt;                        // nullopt: the sampler's own
  std::vector<double> timesteps = {};
  std::vector<double> sigmas = {};
};

// Sizes and counts a request may ask for.
struct ModelLimits {
  int size_multiple = 8;         // width and height must be multiples of it, pixels
  int min_side = 64;             // pixels
  int max_side = 2048;           // pixels
  int64_t max_area = 4'194'304;  // pixels
  int max_steps = 150;           // never above the training timesteps
};

// Something about a model that its files do not say outright, and what it was read from.
struct ModelDecision {
  std::string about;   // "prediction_type"
  std::string value;   // "v_prediction"
  std::string source;  // "the tensor v_pred"

  friend bool operator==(const ModelDecision&, const ModelDecision&) = default;
};

// A part of a model that has weights.
struct ModelComponent {
  std::string name;                       // "unet"
  std::string class_name;                 // "UNet2DConditionModel"
  std::vector<std::string> files;         // that its weights were read from
  std::vector<std::string> stored_types;  // of the weights that were read: "F16", sorted
  int64_t parameters = 0;
  std::string compute_type = {};  // "fp32", "bf16", "fp16"
  std::string sha256 = {};        // of its settings and weights; equal ones are held once. "": not worked out
  int64_t bytes = 0;              // of its weights, in what it computes in

  friend bool operator==(const ModelComponent&, const ModelComponent&) = default;
};

// Immutable description of one loaded model.
struct ModelInfo {
  std::string id;  // [a-z0-9][a-z0-9._-]{0,62}
  std::string display_name;
  std::string description;
  std::string license;
  std::string attribution;
  std::string sha256;  // 64 hex digits over all weight and config files
  std::string family;  // "Stable Diffusion XL"; for people
  std::vector<ModelDecision> decisions;
  std::vector<ModelComponent> components;
  ConditioningKind conditioning = ConditioningKind::kText;
  std::vector<std::string> tokenizer_dirs;  // one per text encoder; the server loads them, never shows them
  int text_layers = 0;                      // layers of the shallowest text encoder; bounds clip_skip
  int64_t text_vocab_size = 0;              // token ids that each text encoder knows; tokenizers must keep below it
  int64_t text_max_tokens = 0;              // tokens per prompt that each text encoder has positions for
  bool zeroes_unset_negative = false;       // an unset negative prompt is embedded as zeros, not as the empty text
  SizeConditioning size_conditioning = SizeConditioning::kNone;
  std::map<int, std::string> class_labels;  // class index -> label
  bool has_null_class = false;  // class models: "any class" can be asked for, so that guidance has something to leave
  bool has_classifier = false;  // classifier_scale may be above 0
  NoiseScheduleConfig noise_schedule;
  std::vector<Sampler> samplers;  // that this model accepts
  ModelDefaults defaults;
  ModelLimits limits;
  int latent_channels = 4;
  ImageInput image_input = ImageInput::kNone;
  bool encodes_pictures = false;   // its autoencoder's encoder is there: pictures can be a start
  bool predicts_variance = false;  // the denoiser has twice as many output channels, for learned DDPM variances
  int vae_scale_factor = 8;        // pixels per latent cell
  Decoding decoding;
  std::optional<ControlShape> control_shape;                  // of ControlNets that go with it; nullopt: none does
  std::vector<ControlNetInfo> control_nets;                   // those of the server that do, in its order
  std::shared_ptr<const LoraTargets> lora_targets = nullptr;  // what LoRAs can change; null: nothing
  int64_t parameter_count = 0;
  std::string dtype;                 // compute dtype of the denoiser: "fp32", "bf16", "fp16"
  std::string device;                // "cpu", "cuda:0"
  std::vector<std::string> devices;  // that paint it, by the names of their loops; empty: all
};

// Channels that the denoiser reads beside those of the latents.
inline int ExtraChannels(const ModelInfo& info) {
  if (info.image_input == ImageInput::kNone) return 0;
  return info.latent_channels + (info.image_input == ImageInput::kMaskAndPicture ? 1 : 0);
}

// What its parts compute in: "bf16", or "bf16, vae fp32" where some differ from the denoiser.
std::string DescribeDtypes(const ModelInfo& info);

using SharedModelInfo = std::shared_ptr<const ModelInfo>;

}  // namespace stepcast
