#include "sampling/recipe.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace stepcast::sampling {
namespace {

// clip_skip applies to the positive prompt alone, as in diffusers.
ConditioningInput Positive(const GenerationRequest& request) {
  const ModelInfo& model = *request.model;
  if (model.conditioning != ConditioningKind::kText) return {.class_index = request.class_index};
  return {.token_ids = request.prompt_ids,
          .clip_skip = request.clip_skip,
          .size_ids = SizeIds(model.size_conditioning, request.sizes, /*negative=*/false)};
}

// Where there is no text: the null class.
ConditioningInput Negative(const GenerationRequest& request) {
  const ModelInfo& model = *request.model;
  if (model.conditioning != ConditioningKind::kText) return {};
  return {.token_ids = request.negative_prompt_ids,
          .size_ids = SizeIds(model.size_conditioning, request.sizes, /*negative=*/true),
          .zero = model.zeroes_unset_negative && !request.negative_prompt_given};
}

int IndexOf(ConditioningInput input, std::vector<ConditioningInput>& inputs) {
  const auto known = std::find(inputs.begin(), inputs.end(), input);
  const auto index = static_cast<int>(known - inputs.begin());
  if (known == inputs.end()) inputs.push_back(std::move(input));
  return index;
}

}  // namespace

SharedRecipe PlainRecipe(const GenerationRequest& request, SharedProgram program) {
  auto recipe = std::make_shared<Recipe>();
  Stage& stage = recipe->stages.emplace_back();
  stage.model = request.model;
  stage.latent_height = request.latent_height();
  stage.latent_width = request.latent_width();
  const int cond = IndexOf(Positive(request), recipe->conditionings);
  stage.row_sets.push_back(PlainRow(cond));
  const auto& evaluations = program->evaluations;
  if (std::any_of(evaluations.begin(), evaluations.end(), [](const Evaluation& e) { return RowSetOf(e) > 0; })) {
    stage.row_sets.push_back(PlainPair(IndexOf(Negative(request), recipe->conditionings), cond));
  }
  stage.program = std::move(program);
  return recipe;
}

namespace {

absl::Status CheckStart(const Recipe& recipe, size_t i) {
  const Stage& stage = recipe.stages[i];
  const bool first = i == 0;
  if (first != (stage.start == StageStart::kNoise)) {
    return absl::InvalidArgumentError(absl::StrCat("stage ", i, " cannot begin with ", first ? "latents" : "noise"));
  }
  if (first) return absl::OkStatus();
  const Stage& before = recipe.stages[i - 1];
  if (stage.model->latent_channels != before.model->latent_channels) {
    return absl::InvalidArgumentError(absl::StrCat("stage ", i, " cannot read the latents of the one before"));
  }
  const bool same = stage.latent_height == before.latent_height && stage.latent_width == before.latent_width;
  if (!same && stage.resize == LatentResize::kNone) {
    return absl::InvalidArgumentError(absl::StrCat("stage ", i, " has another size and no way to resize"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckRecipe(const Recipe& recipe) {
  if (recipe.stages.empty()) return absl::InvalidArgumentError("a picture needs a stage");
  for (size_t i = 0; i < recipe.stages.size(); ++i) {
    const Stage& stage = recipe.stages[i];
    STEPCAST_RETURN_IF_ERROR(CheckStart(recipe, i));
    for (const Evaluation& evaluation : stage.program->evaluations) {
      if (static_cast<size_t>(RowSetOf(evaluation)) < stage.row_sets.size()) continue;
      return absl::InvalidArgumentError(absl::StrCat("an evaluation sums row set ", RowSetOf(evaluation),
                                                     " of a stage that has ", stage.row_sets.size()));
    }
    for (const RowSet& set : stage.row_sets) {
      STEPCAST_RETURN_IF_ERROR(
          CheckRowSet(set, static_cast<int>(recipe.conditionings.size()), stage.latent_height, stage.latent_width));
    }
  }
  return absl::OkStatus();
}

}  // namespace stepcast::sampling
