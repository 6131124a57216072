#include "model/model_bundle.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "model/class_conditional.h"
#include "model/model_index.h"
#include "model/stable_diffusion.h"

namespace stepcast::model {

absl::StatusOr<std::shared_ptr<const ModelBundle>> ModelBundle::Load(const LoadOptions& options) {
  STEPCAST_ASSIGN_OR_RETURN(const ModelIndex index, ReadModelIndex(options.path));
  if (IsStableDiffusion(index.pipeline_class)) return LoadStableDiffusion(index, options);
  if (IsClassConditional(index.pipeline_class)) return LoadClassConditional(index, options);
  return absl::InvalidArgumentError(
      absl::StrCat(index.path(), ": pipeline '", absl::CHexEscape(index.pipeline_class),
                   "' is not supported (StableDiffusionPipeline, StableDiffusionImg2ImgPipeline, ",
                   "LatentConsistencyModelPipeline, ", "ClassConditionalLatentDiffusionPipeline are)"));
}

}  // namespace stepcast::model
