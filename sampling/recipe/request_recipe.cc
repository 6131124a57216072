#include "sampling/recipe/request_recipe.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "core/lora_info.h"
#include "sampling/recipe/picture_inputs.h"

namespace stepcast::sampling {
namespace {

// A strength of 0 is without it, and costs nothing.
std::vector<TextLora> TextLoras(const GenerationRequest& request) {
  std::vector<TextLora> loras;
  for (const LoraInput& lora : request.loras) {
    if (!lora.changes_text_encoders || lora.text_scale == 0.0) continue;
    loras.push_back({.key = LoraKey(*request.model, lora.sha256), .scale = static_cast<float>(lora.text_scale)});
  }
  return loras;
}

std::vector<StageLora> StageLoras(const GenerationRequest& request) {
  std::vector<StageLora> loras;
  for (const LoraInput& lora : request.loras) {
    if (!lora.changes_denoiser || lora.scale == 0.0) continue;
    loras.push_back(
        {.key = LoraKey(*request.model, lora.sha256), .scale = static_cast<float>(lora.scale), .cost = lora.cost});
  }
  return loras;
}

ConditioningInput Positive(const GenerationRequest& request, const PromptTokens& tokens) {
  return {.text = tokens,
          .clip_skip = request.clip_skip,
          .size_ids = SizeIds(request.model->size_conditioning, request.sizes, /*negative=*/false),
          .loras = TextLoras(request)};
}

// Where there is no text: the null class. clip_skip applies to the positive prompt alone in diffusers, to both in
// A1111.
ConditioningInput Negative(const GenerationRequest& request) {
  const ModelInfo& model = *request.model;
  if (model.conditioning != ConditioningKind::kText) return {};
  return {.text = request.negative_tokens,
          .clip_skip = request.prompt_syntax == PromptSyntax::kPlain ? 0 : request.clip_skip,
          .size_ids = SizeIds(model.size_conditioning, request.sizes, /*negative=*/true),
          .zero = model.zeroes_unset_negative && !request.negative_prompt_given,
          .loras = TextLoras(request)};
}

int IndexOf(ConditioningInput input, std::vector<ConditioningInput>& inputs) {
  const auto known = std::find(inputs.begin(), inputs.end(), input);
  const auto index = static_cast<int>(known - inputs.begin());
  if (known == inputs.end()) inputs.push_back(std::move(input));
  return index;
}

// What a picture follows: its prompts, or its class.
std::vector<PromptRow> PromptRows(const GenerationRequest& request, std::vector<ConditioningInput>& inputs) {
  if (request.model->conditioning != ConditioningKind::kText) {
    return {{.conditioning = IndexOf({.class_index = request.class_index}, inputs)}};
  }
  std::vector<PromptRow> rows;
  for (const WeightedPrompt& part : request.prompt_parts) {
    rows.push_back({IndexOf(Positive(request, part.tokens), inputs), static_cast<float>(part.weight)});
  }
  return rows;
}

// Puts the stage that inverts the picture in front of the one that paints.
void AddInversion(SharedProgram program, Recipe& recipe) {
  Stage painting = recipe.stages.front();
  painting.start = StageStart::kLatents;
  Stage& inverting = recipe.stages.front();
  inverting.program = std::move(program);
  inverting.row_sets.resize(1);  // guided by nothing
  inverting.blend.reset();
  inverting.control.clear();
  inverting.noise_fill = nullptr;
  inverting.spare_draws = 0;
  recipe.stages.push_back(std::move(painting));
}

}  // namespace

SharedRecipe RecipeOf(const GenerationRequest& request, SharedProgram program, SharedProgram inversion) {
  auto recipe = std::make_shared<Recipe>();
  Stage& stage = recipe->stages.emplace_back();
  stage.model = request.model;
  stage.latent_height = request.latent_height();
  stage.latent_width = request.latent_width();
  stage.loras = StageLoras(request);
  const std::vector<PromptRow> prompts = PromptRows(request, recipe->conditionings);
  const auto& evaluations = program->evaluations;
  const bool guided =
      std::any_of(evaluations.begin(), evaluations.end(), [](const Evaluation& e) { return RowSetOf(e) > 0; });
  const int uncond = guided || !IsWhole(prompts) ? IndexOf(Negative(request), recipe->conditionings) : 0;
  stage.row_sets.push_back(UnguidedRows(uncond, prompts));
  if (guided) {
    const bool told = request.model->image_input == ImageInput::kPicture;
    stage.row_sets.push_back(told ? PictureGuidance(uncond, prompts, request.image_guidance_scale)
                                  : GuidedRows(uncond, prompts));
  }
  stage.program = std::move(program);
  AddPictures(request, *recipe);
  if (inversion != nullptr) AddInversion(std::move(inversion), *recipe);
  return recipe;
}

}  // namespace stepcast::sampling
