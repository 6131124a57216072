#include "model/files/load_report.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <system_error>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace stepcast::model {
namespace {

namespace fs = std::filesystem;

constexpr size_t kNamed = 20;

bool IsWeightFile(const std::string& name) {
  for (const char* suffix : {".safetensors", ".bin", ".ckpt", ".pt", ".pth", ".onnx", ".gguf", ".msgpack"}) {
    if (absl::EndsWith(name, suffix)) return true;
  }
  return false;
}

bool AnyWithin(const std::string& folder, const std::vector<std::string>& used) {
  const std::string prefix = absl::StrCat(folder, "/");
  return std::any_of(used.begin(), used.end(), [&](const std::string& path) { return absl::StartsWith(path, prefix); });
}

// Folders and weight files beside the index.
std::vector<std::string> EntriesBeside(const ModelIndex& index, const std::vector<std::string>& used) {
  std::vector<std::string> names;
  std::error_code ignored;
  for (fs::directory_iterator at(index.folder, ignored), end; !ignored && at != end; at.increment(ignored)) {
    const std::string name = at->path().filename().string();
    if (name.empty() || name.front() == '.' || index.components.contains(name)) continue;
    const bool folder = at->is_directory(ignored);
    const std::string path = absl::StrCat(index.folder, "/", name);
    const bool left_out =
        folder ? !AnyWithin(path, used) : IsWeightFile(name) && std::find(used.begin(), used.end(), path) == used.end();
    if (left_out) names.push_back(absl::CHexEscape(name.substr(0, 80)));
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string Named(absl::string_view what, std::vector<std::string> names) {
  const size_t all = names.size();
  names.resize(std::min(all, kNamed));
  return absl::StrCat(what, absl::StrJoin(names, ", "),
                      all > kNamed ? absl::StrCat(" and ", all - kNamed, " more") : "");
}

}  // namespace

std::string DtypeName(c10::ScalarType dtype) {
  switch (dtype) {
    case c10::ScalarType::Float:
      return "fp32";
    case c10::ScalarType::BFloat16:
      return "bf16";
    case c10::ScalarType::Half:
      return "fp16";
    default:
      return "";
  }
}

std::string DescribeWeights(const std::string& component, const WeightSet& set, const WeightMap& weights) {
  std::map<std::string, int> types;
  std::set<std::string> files;
  for (const auto& [name, shape] : weights.requested()) {
    const StoredTensor* stored = set.Find(name);
    if (stored == nullptr) continue;
    ++types[stored->entry->dtype];
    files.insert(stored->file->path());
  }
  int tensors = 0;
  for (const auto& [type, count] : types) tensors += count;
  const bool mixed = types.size() > 1;
  const std::string stored = absl::StrJoin(types, ", ", [&](std::string* out, const auto& type) {
    absl::StrAppend(out, type.first, mixed ? absl::StrCat(" (", type.second, ")") : "");
  });
  return absl::StrCat(component, ": ", tensors, " tensors, ", stored, Named(", from ", {files.begin(), files.end()}),
                      ", run in ", DtypeName(weights.dtype()));
}

std::string DescribeLeftOut(const ModelIndex& index, const std::vector<std::string>& used) {
  std::vector<std::string> components;
  for (const auto& [name, component] : index.components) {
    if (AnyWithin(index.PathOf(name), used) || index.sources.contains(name)) continue;
    components.push_back(component.class_name.empty()
                             ? name
                             : absl::StrCat(name, " (", absl::CHexEscape(component.class_name.substr(0, 80)), ")"));
  }
  std::vector<std::string> parts;
  if (!components.empty()) parts.push_back(Named("not run: ", std::move(components)));
  // The folder of a model in one file may hold anything.
  std::vector<std::string> beside = index.file.empty() ? EntriesBeside(index, used) : std::vector<std::string>();
  if (!beside.empty()) parts.push_back(Named("not read: ", std::move(beside)));
  return absl::StrJoin(parts, "; ");
}

std::vector<std::string> Contradictions(const NoiseScheduleConfig& schedule) {
  std::vector<std::string> found;
  std::vector<std::string> spreads;  // in the order in which they count
  if (schedule.use_karras_sigmas.value_or(false)) spreads.push_back("use_karras_sigmas");
  if (schedule.use_lu_lambdas.value_or(false)) spreads.push_back("use_lu_lambdas");
  if (schedule.use_exponential_sigmas.value_or(false)) spreads.push_back("use_exponential_sigmas");
  if (schedule.use_beta_sigmas.value_or(false)) spreads.push_back("use_beta_sigmas");
  if (spreads.size() > 1) {
    found.push_back(
        absl::StrCat(absl::StrJoin(spreads, " and "), " are all true; the first that a sampler knows counts"));
  }
  const bool zero_snr = schedule.rescale_betas_zero_snr.value_or(false);
  const PredictionType prediction = schedule.prediction_type.value_or(PredictionType::kEpsilon);
  if (zero_snr && prediction == PredictionType::kEpsilon) {
    found.push_back(
        "rescale_betas_zero_snr goes with v_prediction or sample, but prediction_type is epsilon: nothing can be read "
        "from "
        "the first step, and some samplers are left out");
  }
  if (!schedule.trained_betas.empty() && (schedule.beta_schedule || schedule.beta_start || schedule.beta_end)) {
    found.push_back("trained_betas count, not beta_schedule, beta_start and beta_end");
  }
  if (schedule.clip_sample.value_or(false) && schedule.thresholding.value_or(false)) {
    found.push_back("clip_sample and thresholding are both true; thresholding counts where a sampler knows both");
  }
  return found;
}

std::string VarianceContradiction(const NoiseScheduleConfig& schedule, bool predicts_variance) {
  const VarianceType type = schedule.variance_type.value_or(VarianceType::kFixedSmall);
  const bool reads = type == VarianceType::kLearned || type == VarianceType::kLearnedRange;
  if (reads && !predicts_variance) {
    return "scheduler_config.json: variance_type is learned, but the network predicts no variance: DDPM is left out";
  }
  if (predicts_variance && !reads) {
    return "scheduler_config.json: variance_type is fixed, but the network predicts a variance, which nobody reads";
  }
  return "";
}

std::string PredictionContradiction(JsonConfig& network, const NoiseScheduleConfig& schedule) {
  const std::optional<std::string> told = network.OptionalString("prediction_type");
  const std::string counts(PredictionTypeName(schedule.prediction_type.value_or(PredictionType::kEpsilon)));
  if (!told.has_value() || *told == counts) return "";
  return absl::StrCat(network.where(), ": prediction_type is ", absl::CHexEscape(told->substr(0, 40)),
                      ", but scheduler_config.json says ", counts, ", which is what counts");
}

}  // namespace stepcast::model
