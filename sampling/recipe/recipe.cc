#include "sampling/recipe/recipe.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace stepcast::sampling {
namespace {

absl::Status Wrong(size_t stage, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("stage ", stage, " ", what));
}

// Whether there is such a picture, in the right form.
bool Has(const Recipe& recipe, int picture, PictureUse use) {
  return picture >= 0 && static_cast<size_t>(picture) < recipe.pictures.size() &&
         recipe.pictures[static_cast<size_t>(picture)].use == use;
}

bool HasLatents(const Recipe& recipe, int picture) {
  return Has(recipe, picture, PictureUse::kSample) || Has(recipe, picture, PictureUse::kMode);
}

bool Fits(const Stage& stage, const SharedWeightMap& map) {
  return map != nullptr && map->height == stage.latent_height && map->width == stage.latent_width &&
         map->values.size() == static_cast<size_t>(map->height) * static_cast<size_t>(map->width) &&
         std::all_of(map->values.begin(), map->values.end(), [](float share) { return share >= 0 && share <= 1; });
}

absl::Status CheckStart(const Recipe& recipe, size_t i) {
  const Stage& stage = recipe.stages[i];
  if (stage.start == StageStart::kPicture) {
    if (!Has(recipe, stage.start_picture, PictureUse::kSample)) return Wrong(i, "begins with a picture that is none");
    if (stage.noise_fill != nullptr && !Fits(stage, stage.noise_fill)) return Wrong(i, "is filled by a map of no use");
    return absl::OkStatus();
  }
  const bool first = i == 0;
  if (first != (stage.start == StageStart::kNoise)) {
    return Wrong(i, absl::StrCat("cannot begin with ", first ? "latents" : "noise"));
  }
  if (first) return absl::OkStatus();
  const Stage& before = recipe.stages[i - 1];
  if (stage.model->latent_channels != before.model->latent_channels) {
    return Wrong(i, "cannot read the latents of the one before");
  }
  const bool same = stage.latent_height == before.latent_height && stage.latent_width == before.latent_width;
  if (!same && stage.resize == LatentResize::kNone) return Wrong(i, "has another size and no way to resize");
  return absl::OkStatus();
}

absl::Status CheckInputs(const Recipe& recipe, size_t i) {
  const Stage& stage = recipe.stages[i];
  const int wanted = ExtraChannels(*stage.model);
  for (const InputParts& parts : stage.inputs) {
    int channels = 0;
    for (const InputPart& part : parts) {
      if (part.map != nullptr && !Fits(stage, part.map)) return Wrong(i, "shows its denoiser a map that does not fit");
      const bool shows_picture = part.map == nullptr && part.zeros == 0;
      if (shows_picture && !HasLatents(recipe, part.picture)) return Wrong(i, "shows its denoiser no picture");
      channels += part.map != nullptr ? 1 : shows_picture ? stage.model->latent_channels : part.zeros;
    }
    if (channels != wanted) {
      return Wrong(i, absl::StrCat("shows its denoiser ", channels, " more channels, not ", wanted));
    }
  }
  const size_t sets = std::max<size_t>(stage.inputs.size(), wanted == 0 ? 1 : 0);
  for (const RowSet& set : stage.row_sets) {
    for (const Row& row : set.rows) {
      if (row.inputs < 0 || static_cast<size_t>(row.inputs) >= sets) return Wrong(i, "has a row that sees no picture");
      if (!stage.inputs.empty() && !row.window.whole()) return Wrong(i, "shows pictures to rows of a window");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckBlend(const Recipe& recipe, size_t i) {
  const Stage& stage = recipe.stages[i];
  if (!stage.blend.has_value()) return absl::OkStatus();
  if (!Has(recipe, stage.blend->picture, PictureUse::kSample)) return Wrong(i, "keeps cells of no picture");
  if (!Fits(stage, stage.blend->mask)) return Wrong(i, "has a mask that does not fit it");
  return absl::OkStatus();
}

absl::Status CheckControl(const Recipe& recipe, size_t i) {
  const Stage& stage = recipe.stages[i];
  const auto evaluations = static_cast<int>(stage.program->evaluations.size());
  for (const StageControl& control : stage.control) {
    if (!Has(recipe, control.picture, PictureUse::kHint)) return Wrong(i, "is controlled by no picture");
    if (control.network != recipe.pictures[static_cast<size_t>(control.picture)].network) {
      return Wrong(i, "shows a ControlNet the picture of another");
    }
    if (!std::isfinite(control.scale)) return Wrong(i, "is controlled at a scale that is not finite");
    if (control.first_evaluation < 0 || control.end_evaluation > evaluations) {
      return Wrong(i, "is controlled in evaluations that it does not have");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckPictures(const Recipe& recipe) {
  std::vector<bool> used(recipe.pictures.size(), false);
  for (const Stage& stage : recipe.stages) {
    for (const int picture : PicturesOf(stage)) used[static_cast<size_t>(picture)] = true;
  }
  for (size_t i = 0; i < used.size(); ++i) {
    const PictureSource& source = recipe.pictures[i];
    if (!used[i]) return absl::InvalidArgumentError(absl::StrCat("nothing shows picture ", i));
    if (source.picture.image == nullptr) return absl::InvalidArgumentError(absl::StrCat("picture ", i, " is missing"));
    const Image& image = *source.picture.image;
    if (source.erased != nullptr && (source.erased->width != image.width || source.erased->height != image.height)) {
      return absl::InvalidArgumentError(absl::StrCat("what is erased of picture ", i, " has another size"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckRows(const Recipe& recipe, const Stage& stage) {
  for (const Evaluation& evaluation : stage.program->evaluations) {
    if (static_cast<size_t>(RowSetOf(evaluation)) < stage.row_sets.size()) continue;
    return absl::InvalidArgumentError(absl::StrCat("an evaluation sums row set ", RowSetOf(evaluation),
                                                   " of a stage that has ", stage.row_sets.size()));
  }
  for (const RowSet& set : stage.row_sets) {
    STEPCAST_RETURN_IF_ERROR(
        CheckRowSet(set, static_cast<int>(recipe.conditionings.size()), stage.latent_height, stage.latent_width));
  }
  return absl::OkStatus();
}

}  // namespace

bool DrawsBeforeNoise(const Stage& stage, int picture) {
  return (stage.start == StageStart::kPicture && stage.start_picture == picture) ||
         (stage.blend.has_value() && stage.blend->picture == picture);
}

std::vector<int> PicturesOf(const Stage& stage) {
  std::vector<int> pictures;
  const auto add = [&pictures](int picture) {
    if (std::find(pictures.begin(), pictures.end(), picture) == pictures.end()) pictures.push_back(picture);
  };
  if (stage.start == StageStart::kPicture) add(stage.start_picture);
  if (stage.blend.has_value()) add(stage.blend->picture);
  for (const InputParts& parts : stage.inputs) {
    for (const InputPart& part : parts) {
      if (part.picture >= 0) add(part.picture);
    }
  }
  for (const StageControl& control : stage.control) add(control.picture);
  return pictures;
}

absl::Status CheckRecipe(const Recipe& recipe) {
  if (recipe.stages.empty()) return absl::InvalidArgumentError("a picture needs a stage");
  for (size_t i = 0; i < recipe.stages.size(); ++i) {
    STEPCAST_RETURN_IF_ERROR(CheckStart(recipe, i));
    STEPCAST_RETURN_IF_ERROR(CheckRows(recipe, recipe.stages[i]));
    STEPCAST_RETURN_IF_ERROR(CheckInputs(recipe, i));
    STEPCAST_RETURN_IF_ERROR(CheckBlend(recipe, i));
    STEPCAST_RETURN_IF_ERROR(CheckControl(recipe, i));
  }
  return CheckPictures(recipe);
}

}  // namespace stepcast::sampling
