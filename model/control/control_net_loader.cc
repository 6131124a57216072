#include "model/control/control_net_loader.h"

#include <filesystem>
#include <set>
#include <utility>

#include <c10/core/InferenceMode.h>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/status_macros.h"
#include "model/control/control_layout.h"
#include "model/control/control_shape.h"
#include "model/files/file_digests.h"
#include "model/files/json_config.h"
#include "model/files/load_report.h"
#include "model/files/model_digest.h"
#include "model/single_file/foreign_files.h"
#include "model/weights/weight_map.h"
#include "model/weights/weight_set.h"

namespace stepcast::model {
namespace {

constexpr size_t kNamed = 10;  // of unused weights or unknown keys, in one line of the log
constexpr char kNetworkFile[] = "diffusion_pytorch_model";

// A net that is not read yet.
struct ControlSource {
  JsonConfig config;
  std::string class_name;
  WeightSet weights;
  std::vector<std::string> files;  // whose bytes decide what it does
};

bool IsFolder(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored);
}

std::string ClassOf(const nlohmann::json& config) {
  const auto name = config.find("_class_name");
  return name != config.end() && name->is_string() ? name->get<std::string>() : "";
}

// The variants of a file, the one that loses and reads least first.
std::vector<std::string> Variants(c10::ScalarType dtype) {
  if (dtype == c10::ScalarType::Half) return {"fp16", "", "bf16"};
  if (dtype == c10::ScalarType::BFloat16) return {"bf16", "", "fp16"};
  return {"", "fp16", "bf16"};
}

absl::StatusOr<ControlSource> OpenFolder(const ControlNetLoadOptions& options) {
  const std::string config_path = absl::StrCat(options.path, "/config.json");
  STEPCAST_ASSIGN_OR_RETURN(const nlohmann::json raw, ReadJsonObject(config_path));
  const std::string class_name = ClassOf(raw);
  if (!IsControlNetClass(class_name)) {
    return absl::InvalidArgumentError(
        absl::StrCat(config_path, ": _class_name '", absl::CHexEscape(class_name.substr(0, 80)),
                     "' is no ControlNet that is read (ControlNetModel, ControlNetUnionModel are)"));
  }
  STEPCAST_ASSIGN_OR_RETURN(JsonConfig config, JsonConfig::Parse(raw.dump(), config_path));
  STEPCAST_ASSIGN_OR_RETURN(WeightSet weights,
                            WeightSet::Open(options.path, kNetworkFile, Variants(options.dtype), nullptr));
  std::vector<std::string> files = weights.paths();
  files.push_back(config_path);
  return ControlSource{std::move(config), class_name, std::move(weights), std::move(files)};
}

absl::StatusOr<ControlSource> OpenFile(const ControlNetLoadOptions& options) {
  STEPCAST_RETURN_IF_ERROR(RefuseOtherFormats(options.path));
  STEPCAST_ASSIGN_OR_RETURN(SafetensorsFile opened, SafetensorsFile::Open(options.path));
  const auto file = std::make_shared<const SafetensorsFile>(std::move(opened));
  const TensorListing tensors(file->header());
  const auto in_file = [&options](const absl::Status& status) {
    return absl::Status(status.code(), absl::StrCat(options.path, ": ", status.message()));
  };
  if (const absl::Status quantised = RefuseQuantised(tensors); !quantised.ok()) return in_file(quantised);
  absl::StatusOr<ControlFile> read = ReadControlFile(tensors);
  if (!read.ok()) return in_file(read.status());
  const std::string class_name = ClassOf(read->config);
  STEPCAST_ASSIGN_OR_RETURN(JsonConfig config, JsonConfig::Parse(read->config.dump(), options.path));
  STEPCAST_ASSIGN_OR_RETURN(WeightSet weights, WeightSet::OpenViews(file, read->views, nullptr));
  return ControlSource{std::move(config), class_name, std::move(weights), {options.path}};
}

std::string FamilyOf(const ControlShape& shape) {
  if (shape.text_width == 768 && shape.vector_width == 0) return "Stable Diffusion 1";
  if (shape.text_width == 1024 && shape.vector_width == 0) return "Stable Diffusion 2";
  return shape.text_width == 2048 && shape.vector_width > 0 ? "Stable Diffusion XL" : "";
}

ControlNetInfo Describe(const std::string& id, const ControlSource& source, const ControlNetConfig& config,
                        const WeightMap& weights) {
  ControlNetInfo info;
  info.id = id;
  info.class_name = source.class_name;
  info.shape = *ControlShapeOf(config.unet, config.unet.in_channels, config.hint_factor());
  info.family = FamilyOf(info.shape);
  info.union_types = static_cast<int>(config.union_net.types);
  info.pools = config.global_pool_conditions;
  info.dtype = DtypeName(weights.dtype());
  info.parameters = weights.parameter_count();
  info.bytes = info.parameters * static_cast<int64_t>(c10::elementSize(weights.dtype()));
  std::set<std::string> types;
  for (const auto& [name, shape] : weights.requested()) types.insert(source.weights.Find(name)->entry->dtype);
  info.stored_types.assign(types.begin(), types.end());
  return info;
}

std::vector<std::string> Warnings(const ControlSource& source, const WeightMap& weights) {
  std::vector<std::string> warnings;
  const std::vector<std::string> unused = weights.Unused();
  const std::vector<std::string> unknown = source.config.UnknownKeys();
  const auto warn = [&warnings](absl::string_view where, absl::string_view what,
                                const std::vector<std::string>& names) {
    if (names.empty()) return;
    const std::vector<std::string> first(names.begin(),
                                         names.begin() + static_cast<std::ptrdiff_t>(std::min(names.size(), kNamed)));
    warnings.push_back(
        absl::StrCat(where, ": ", what, " ", absl::StrJoin(first, ", "),
                     names.size() > kNamed ? absl::StrCat(" and ", names.size() - kNamed, " more") : ""));
  };
  warn(source.weights.folder(), "unused weights", unused);
  warn(source.config.where(), "unknown keys", unknown);
  return warnings;
}

}  // namespace

absl::StatusOr<LoadedControlNet> LoadControlNet(const ControlNetLoadOptions& options) {
  const c10::InferenceMode no_autograd;
  STEPCAST_ASSIGN_OR_RETURN(ControlSource source, IsFolder(options.path) ? OpenFolder(options) : OpenFile(options));
  STEPCAST_ASSIGN_OR_RETURN(const ControlNetConfig config, ParseControlNetConfig(source.config, source.class_name));
  FileDigests digests;
  for (const auto& file : source.weights.files()) digests.Add(file->data());
  const ComputeDtypes dtypes({}, options.dtype, options.auto_dtypes);
  WeightMap weights(source.weights, options.device,
                    dtypes.For("control_net", Precision::kAny, MostlyStoredAs(source.weights)));
  LoadedControlNet loaded;
  loaded.net = std::make_shared<const ControlNet>(weights, config);
  STEPCAST_RETURN_IF_ERROR(weights.Report(absl::StrCat("ControlNet ", options.path)));
  loaded.info = Describe(options.id, source, config, weights);
  loaded.warnings = Warnings(source, weights);
  STEPCAST_ASSIGN_OR_RETURN(loaded.info.sha256, ModelDigest(options.path, source.files, digests));
  return loaded;
}

bool IsControlNet(const std::string& path) {
  if (IsFolder(path)) {
    const absl::StatusOr<nlohmann::json> config = ReadJsonObject(absl::StrCat(path, "/config.json"));
    return config.ok() && IsControlNetClass(ClassOf(*config));
  }
  const absl::StatusOr<SafetensorsFile> file = SafetensorsFile::Open(path);
  return file.ok() && LooksLikeControlNet(TensorListing(file->header()));
}

}  // namespace stepcast::model
