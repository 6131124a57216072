#pragma once
// A validated request. Every "auto" has been resolved, every range checked; nothing downstream validates again.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/input_picture.h"
#include "core/lora_info.h"
#include "core/model_info.h"
#include "core/prompt_syntax.h"
#include "core/prompt_tokens.h"
#include "core/sampler_options.h"
#include "core/sampling_types.h"
#include "core/size_conditioning.h"

namespace stepcast {

enum class Priority { kInteractive, kStandard, kBatch };
enum class ImageFormat { kPng, kJpeg, kWebp };

// When and how unfinished pictures are shown.
struct PreviewOptions {
  int every_n_steps = 0;  // 0: no previews
  int max_side = 0;       // pixels, 1..512; 0: the picture's own latent size
  ImageFormat format = ImageFormat::kJpeg;
};

// How finished pictures are written.
struct OutputOptions {
  ImageFormat format = ImageFormat::kPng;
  int quality = 90;  // 1..100, JPEG and WebP
  bool embed_parameters = false;
};

// A LoRA of the server, and how strongly a request wants it.
struct LoraInput {
  std::string name;
  double scale = 1.0;       // in the denoiser
  double text_scale = 1.0;  // in the text encoders
  std::string sha256 = {};  // of its file
  bool changes_denoiser = true;
  bool changes_text_encoders = false;
  double cost = 0.0;              // LoraFit::cost
  SharedLoraInfo info = nullptr;  // what is to be loaded; null: it is there

  friend bool operator==(const LoraInput&, const LoraInput&) = default;
};

// Where a picture goes on that was interrupted, here or elsewhere.
struct ResumePoint {
  int evaluations = 0;  // that are done
  std::string state;    // what StepExecutor::Save made of it
};

// Immutable once built; server/request/request_validator is the only production code that builds one.
struct GenerationRequest {
  SharedModelInfo model;

  // Text conditioning. Empty for other models.
  std::vector<WeightedPrompt> prompt_parts;  // followed at once; one, of weight 1, but for a prompt with AND
  PromptTokens negative_tokens;
  bool negative_prompt_given = false;  // unset and "" differ where ModelInfo.zeroes_unset_negative
  int clip_skip = 0;
  PromptSyntax prompt_syntax = PromptSyntax::kPlain;
  std::vector<PromptLength> prompt_lengths;  // told to the client in Accepted

  std::optional<int> class_index;  // class-conditional models; nullopt: unconditional

  std::string prompt;           // as sent; embedded in the picture on request, never logged
  std::string negative_prompt;  // as sent
  // For the second text encoder, of models with two; "": the same as for the first.
  std::string prompt_2;
  std::string negative_prompt_2;

  PictureSizes sizes;  // read where ModelInfo.size_conditioning is not kNone

  int width = 0;            // pixels
  int height = 0;           // pixels
  bool vae_tiling = false;  // decoded in tiles; only where the picture is larger than one
  int steps = 0;
  Sampler sampler = Sampler::kDdim;
  SigmaSchedule sigma_schedule = SigmaSchedule::kDefault;
  std::optional<TimestepSpacing> timestep_spacing;  // nullopt: the model's
  double guidance_scale = 1.0;                      // <= 1: one row per evaluation
  double guidance_rescale = 0.0;
  double guidance_start = 0.0;
  double guidance_end = 1.0;
  double eta = 0.0;
  SamplerOptions sampler_options;
  std::vector<double> timesteps;  // explicit, strictly descending; empty: from `steps`
  std::vector<double> sigmas;     // explicit, strictly descending; empty: from `steps`
  double classifier_scale = 0.0;  // classifier guidance; 0: off

  InputPicture init_image;               // of width x height
  double strength = 0.8;                 // above 0, at most 1: the fraction of the steps that are run
  std::optional<Inpainting> inpainting;  // only beside init_image
  double image_guidance_scale = 1.5;     // InstructPix2Pix
  std::vector<ControlInput> control;
  std::vector<LoraInput> loras;
  bool invert = false;  // begins with the DDIM-inverted latents of init_image

  // Of the pictures above: what was asked, and what becomes of the painted one.
  ResizeMode resize_mode = ResizeMode::kExact;
  MaskSettings mask_settings;
  std::optional<PasteBack> paste_back;
  std::vector<SentPicture> sent_pictures;

  int64_t seed = 0;  // of image 0; image i uses seed + i
  int image_count = 1;

  std::shared_ptr<const ResumePoint> resume;  // null: from the start; else there is one image
  int checkpoint_every = 0;                   // evaluations; 0: no checkpoints

  Priority priority = Priority::kStandard;
  std::string tenant;  // "" for anonymous
  OutputOptions output;
  PreviewOptions preview;
  std::vector<std::string> warnings;  // told to the client in Accepted

  // Of the finished picture, pixels.
  int finished_width() const { return mask_settings.only_masked ? mask_settings.whole_width : width; }
  int finished_height() const { return mask_settings.only_masked ? mask_settings.whole_height : height; }

  int latent_width() const { return width / model->vae_scale_factor; }
  int latent_height() const { return height / model->vae_scale_factor; }
};

using SharedRequest = std::shared_ptr<const GenerationRequest>;

}  // namespace stepcast
