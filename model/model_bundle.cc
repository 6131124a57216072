#include "model/model_bundle.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "model/class_conditional.h"
#include "model/model_index.h"
#include "model/single_file/single_file.h"
#include "model/stable_diffusion.h"

namespace stepcast::model {

namespace {

// A path that ends like a file, or is one.
bool IsFile(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return false;
  return std::filesystem::is_regular_file(path, ignored) || absl::EndsWithIgnoreCase(path, ".safetensors");
}

absl::StatusOr<ModelIndex> OpenModel(const LoadOptions& options) {
  if (IsFile(options.path)) return OpenSingleFile(options.path, {});
  return ReadModelIndex(options.path);
}

}  // namespace

absl::StatusOr<std::shared_ptr<const ModelBundle>> ModelBundle::Load(const LoadOptions& options) {
  STEPCAST_ASSIGN_OR_RETURN(const ModelIndex index, OpenModel(options));
  if (IsStableDiffusion(index.pipeline_class)) return LoadStableDiffusion(index, options);
  if (IsClassConditional(index.pipeline_class)) return LoadClassConditional(index, options);
  return absl::InvalidArgumentError(
      absl::StrCat(index.path(), ": pipeline '", absl::CHexEscape(index.pipeline_class),
                   "' is not supported (StableDiffusionPipeline, StableDiffusionImg2ImgPipeline, ",
                   "LatentConsistencyModelPipeline, ", "ClassConditionalLatentDiffusionPipeline are)"));
}

}  // namespace stepcast::model
