#include "sampling/recipe/picture_inputs.h"

#include <memory>
#include <utility>

#include "sampling/recipe/latent_mask.h"

namespace stepcast::sampling {
namespace {

int Add(PictureSource source, Recipe& recipe) {
  recipe.pictures.push_back(std::move(source));
  return static_cast<int>(recipe.pictures.size()) - 1;
}

bool ReadsMask(const GenerationRequest& request) { return request.model->image_input == ImageInput::kMaskAndPicture; }

// Whether kept cells are put back. A denoiser that reads the mask knows them already; A1111 puts them back all the
// same.
bool Blends(const Inpainting& inpainting, bool reads_mask) {
  return !reads_mask || inpainting.differential || inpainting.blend_domain == BlendDomain::kX0;
}

Blend BlendOf(const Inpainting& inpainting, const Stage& stage, int picture) {
  const bool as_others = inpainting.differential || inpainting.blend_domain == BlendDomain::kX0;
  return {.mask = LatentMask(*inpainting.mask, stage.latent_height, stage.latent_width,
                             as_others ? MaskSampling::kBilinear : MaskSampling::kNearest),
          .picture = picture,
          .domain = inpainting.blend_domain,
          .differential = inpainting.differential};
}

// The picture as the start, and what of it is kept.
void StartWithPicture(const GenerationRequest& request, Recipe& recipe) {
  Stage& stage = recipe.stages.front();
  const std::optional<Inpainting>& inpainting = request.inpainting;
  const bool starts = request.invert || StrengthOf(request).has_value();
  const bool blends = inpainting.has_value() && Blends(*inpainting, ReadsMask(request));
  if (!starts && !blends) return;
  const int picture = Add({.picture = request.init_image}, recipe);
  if (starts) {
    stage.start = StageStart::kPicture;
    stage.start_picture = picture;
    if (inpainting.has_value() && inpainting->fill == InpaintFill::kNoise) {
      stage.noise_fill = LatentMask(*inpainting->mask, stage.latent_height, stage.latent_width, MaskSampling::kNearest);
    }
  }
  if (blends) stage.blend = BlendOf(*inpainting, stage, picture);
}

// The picture as something that the denoiser looks at.
void ShowPicture(const GenerationRequest& request, Recipe& recipe) {
  Stage& stage = recipe.stages.front();
  if (request.model->image_input == ImageInput::kPicture) {
    const int picture = Add({.picture = request.init_image, .use = PictureUse::kMode}, recipe);
    stage.inputs = {{{.picture = picture}}, {{.zeros = request.model->latent_channels}}};
  } else if (ReadsMask(request) && request.inpainting.has_value()) {
    const SharedMask& mask = request.inpainting->mask;
    const int picture = Add({.picture = request.init_image, .erased = mask}, recipe);
    stage.inputs = {{{.map = LatentMask(*mask, stage.latent_height, stage.latent_width, MaskSampling::kNearestRounded)},
                     {.picture = picture}}};
  } else if (request.inpainting.has_value()) {
    stage.spare_draws = 1;  // what diffusers encodes for denoisers that read it, whether this one does or not
  }
}

// As diffusers: evaluation i of n is controlled unless i / n < start or (i + 1) / n > end.
void AddControl(const ControlInput& input, Recipe& recipe) {
  Stage& stage = recipe.stages.front();
  const auto count = static_cast<int>(stage.program->evaluations.size());
  const auto share = [count](int i) { return static_cast<double>(i) / count; };
  StageControl control{.network = input.model,
                       .scale = static_cast<float>(input.scale),
                       .control_type = input.control_type,
                       .guess_mode = input.guess_mode};
  while (control.first_evaluation < count && share(control.first_evaluation) < input.start) ++control.first_evaluation;
  control.end_evaluation = control.first_evaluation;
  while (control.end_evaluation < count && share(control.end_evaluation + 1) <= input.end) ++control.end_evaluation;
  control.picture = Add({.picture = input.image, .use = PictureUse::kHint, .network = input.model}, recipe);
  stage.control.push_back(std::move(control));
}

}  // namespace

std::optional<double> StrengthOf(const GenerationRequest& request) {
  const bool only_looks = request.model->image_input == ImageInput::kPicture;
  if (request.init_image.image == nullptr || only_looks || request.invert) return std::nullopt;
  if (request.inpainting.has_value() && request.strength == 1.0) return std::nullopt;
  return request.strength;
}

double GuidanceOf(const GenerationRequest& request) {
  const bool unguided = request.model->image_input == ImageInput::kPicture && request.image_guidance_scale < 1.0;
  return unguided ? 1.0 : request.guidance_scale;
}

RowSet PictureGuidance(int uncond, const std::vector<PromptRow>& prompts, double image_guidance_scale) {
  const auto scale = static_cast<float>(image_guidance_scale);
  RowSet set{.rows = {{.conditioning = uncond,
                       .inputs = kShowsNoPicture,
                       .guided = {.constant = 1.0f - scale},
                       .cond = {},
                       .uncond = {.constant = 1.0f}},
                      {.conditioning = uncond,
                       .inputs = kShowsPicture,
                       .guided = {.constant = scale, .per_scale = -SumOfWeights(prompts)},
                       .cond = {}}}};
  for (Row& row : RowsOfPrompts(prompts, {.per_scale = 1.0f})) {
    row.inputs = kShowsPicture;
    set.rows.push_back(row);
  }
  return set;
}

void AddPictures(const GenerationRequest& request, Recipe& recipe) {
  if (request.init_image.image != nullptr) {
    if (request.model->image_input != ImageInput::kPicture) StartWithPicture(request, recipe);
    ShowPicture(request, recipe);
  }
  for (const ControlInput& input : request.control) AddControl(input, recipe);
}

}  // namespace stepcast::sampling
