#include "model/lora/lora_file.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "core/status_macros.h"
#include "model/lora/lora_keys.h"

namespace stepcast::model {
namespace {

using nlohmann::json;
using Shape = std::vector<int64_t>;

constexpr size_t kShown = 120;  // characters of a name in a message
constexpr size_t kMostTriggerWords = 10;
constexpr size_t kLongestWord = 100;      // bytes
constexpr size_t kLargestJson = 8 << 20;  // of metadata that is parsed, bytes

std::string Shown(const std::string& key) { return absl::CHexEscape(key.substr(0, kShown)); }

absl::Status Odd(const LoraModule& module, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("layer ", Shown(module.key), ": ", why));
}

json ParsedOrNull(const std::map<std::string, std::string>& metadata, const std::string& key) {
  const auto found = metadata.find(key);
  if (found == metadata.end() || found->second.size() > kLargestJson) return nullptr;
  json parsed = json::parse(found->second, nullptr, /*allow_exceptions=*/false);
  return parsed.is_object() ? parsed : json(nullptr);
}

// PEFT's settings for one component, in one of the places where they may stand.
class PeftSettings {
 public:
  // `all`: an adapter_config.json, or the metadata of diffusers, where names have the component in front.
  PeftSettings(const json& all, const std::string& component) : all_(all), prefix_(absl::StrCat(component, ".")) {}

  const json* Find(const std::string& key) const {
    if (!all_.is_object()) return nullptr;
    for (const std::string& name : {absl::StrCat(prefix_, key), key}) {
      if (const auto found = all_.find(name); found != all_.end()) return &*found;
    }
    return nullptr;
  }
  bool Flag(const std::string& key) const {
    const json* const value = Find(key);
    return value != nullptr && value->is_boolean() && value->get<bool>();
  }
  // lora_alpha of `layer`; nullopt: nothing is said.
  std::optional<double> Alpha(const std::string& layer) const {
    const json* const pattern = Find("alpha_pattern");
    if (pattern != nullptr && pattern->is_object()) {
      for (const auto& [name, value] : pattern->items()) {
        const bool fits = layer == name || absl::EndsWith(layer, absl::StrCat(".", name));
        if (fits && value.is_number()) return value.get<double>();
      }
    }
    const json* const alpha = Find("lora_alpha");
    if (alpha == nullptr || !alpha->is_number()) return std::nullopt;
    return alpha->get<double>();
  }

 private:
  const json& all_;
  const std::string prefix_;
};

absl::Status CheckKind(const PeftSettings& settings) {
  if (settings.Flag("use_dora")) return absl::InvalidArgumentError("use_dora: DoRA is not read");
  const json* const type = settings.Find("peft_type");
  if (type == nullptr || (type->is_string() && absl::AsciiStrToUpper(type->get<std::string>()) == "LORA")) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("peft_type ", Shown(type->dump()), " is no LoRA"));
}

// What PEFT multiplies the product of the two matrices with.
absl::Status SetScaling(const PeftSettings& settings, LoraModule& module) {
  STEPCAST_RETURN_IF_ERROR(CheckKind(settings));
  const std::optional<double> alpha = settings.Alpha(module.layer);
  if (module.alpha.has_value() || !alpha.has_value()) return absl::OkStatus();
  const auto rank = static_cast<double>(module.rank());
  module.scaling = *alpha / (settings.Flag("use_rslora") ? std::sqrt(rank) : rank);
  if (std::isfinite(*module.scaling)) return absl::OkStatus();
  return Odd(module, "lora_alpha is no finite number");
}

bool IsKernel(const Shape& shape, size_t from) {
  return shape.size() == from + 2 && shape[from] == shape[from + 1] && shape[from] >= 1 && shape[from] <= 7;
}

std::string Text(const Shape& shape) { return absl::StrCat("[", absl::StrJoin(shape, ", "), "]"); }

// Whether the tensors of a layer can be multiplied with each other; a 1x1 kernel at the end says nothing.
absl::Status CheckShapes(LoraModule& module) {
  if (module.down.name.empty() || module.up.name.empty()) {
    return Odd(module, module.down.name.empty() ? "has no lora_down (lora_A)" : "has no lora_up (lora_B)");
  }
  for (const TensorEntry* entry : {&module.down, &module.up}) {
    const Shape& shape = entry->shape;
    const bool matrix = shape.size() == 2 || IsKernel(shape, 2);
    const auto positive = [](int64_t dim) { return dim > 0; };
    if (!matrix || !std::all_of(shape.begin(), shape.end(), positive)) {
      return Odd(module, absl::StrCat(Text(shape), " is the shape of no matrix and of no convolution"));
    }
    if (entry->type == StoredType::kUnread) {
      return Odd(module, absl::StrCat("type ", Shown(entry->dtype), " is not read (F32, F16, BF16 are)"));
    }
  }
  if (module.up.shape.size() == 4 && module.up.shape[2] != 1) {
    return Odd(module, absl::StrCat("lora_up of shape ", Text(module.up.shape), " has a kernel"));
  }
  int64_t inner = module.down.shape[0];
  if (module.mid.has_value()) {
    const Shape& mid = module.mid->shape;
    const bool point = module.down.shape.size() == 2 || module.down.shape[2] == 1;
    if (!IsKernel(mid, 2) || mid[1] != inner || !point || module.mid->type == StoredType::kUnread) {
      return Odd(module, absl::StrCat("lora_mid of shape ", Text(mid), " does not follow lora_down of shape ",
                                      Text(module.down.shape)));
    }
    inner = mid[0];
  }
  if (inner != module.rank()) {
    return Odd(module, absl::StrCat("lora_down of shape ", Text(module.down.shape), " and lora_up of shape ",
                                    Text(module.up.shape), " differ in rank"));
  }
  if (std::max(inner, module.down.shape[0]) > kMaxLoraRank) {
    return Odd(module, absl::StrCat("rank ", inner, " is above ", kMaxLoraRank));
  }
  if (module.alpha.has_value()) {
    int64_t count = 1;
    for (const int64_t dim : module.alpha->shape) count *= dim;
    if (count != 1 || module.alpha->type == StoredType::kUnread) return Odd(module, "alpha is not one number");
  }
  return absl::OkStatus();
}

absl::Status Put(const LoraKey& key, const TensorEntry& entry, LoraModule& module) {
  const auto twice = [&] { return Odd(module, absl::StrCat("has two tensors like ", Shown(entry.name))); };
  switch (key.role) {
    case LoraRole::kDown:
      if (!module.down.name.empty()) return twice();
      module.down = entry;
      break;
    case LoraRole::kUp:
      if (!module.up.name.empty()) return twice();
      module.up = entry;
      break;
    case LoraRole::kMid:
      if (module.mid.has_value()) return twice();
      module.mid = entry;
      break;
    case LoraRole::kAlpha:
      if (module.alpha.has_value()) return twice();
      module.alpha = entry;
      break;
  }
  return absl::OkStatus();
}

absl::StatusOr<LoraFile> Read(std::shared_ptr<const SafetensorsFile> file, const json& settings) {
  std::map<std::string, LoraModule> modules;
  for (const TensorEntry& entry : file->header().tensors) {
    STEPCAST_ASSIGN_OR_RETURN(LoraKey key, ParseLoraKey(entry.name));
    LoraModule& module = modules[key.module];
    module.key = key.module;
    module.component = key.component;
    module.layer = key.layer;
    module.flat = key.flat;
    STEPCAST_RETURN_IF_ERROR(Put(key, entry, module));
  }
  if (modules.empty()) return absl::InvalidArgumentError("there are no tensors in it");
  const json own = ParsedOrNull(file->header().metadata, "lora_adapter_metadata");
  LoraFile lora;
  lora.file = std::move(file);
  for (auto& [key, module] : modules) {
    STEPCAST_RETURN_IF_ERROR(CheckShapes(module));
    STEPCAST_RETURN_IF_ERROR(SetScaling({own.is_object() ? own : settings, module.component}, module));
    lora.rank = std::max(lora.rank, module.rank());
    lora.modules.push_back(std::move(module));
  }
  return lora;
}

}  // namespace

bool LoraFile::Changes(absl::string_view component) const {
  return std::any_of(modules.begin(), modules.end(),
                     [component](const LoraModule& module) { return module.component == component; });
}

absl::StatusOr<LoraFile> OpenLora(const std::string& path, const json& settings) {
  STEPCAST_ASSIGN_OR_RETURN(SafetensorsFile opened, SafetensorsFile::Open(path));
  absl::StatusOr<LoraFile> lora = Read(std::make_shared<const SafetensorsFile>(std::move(opened)), settings);
  if (lora.ok()) return lora;
  return absl::Status(lora.status().code(), absl::StrCat(path, ": ", lora.status().message()));
}

std::string LoraFamily(const LoraFile& file) {
  int64_t text_width = 0;
  for (const LoraModule& module : file.modules) {
    const bool reads_text = absl::EndsWith(module.layer, module.flat ? "attn2_to_k" : "attn2.to_k");
    if (module.component == "text_encoder_2") return "Stable Diffusion XL";
    if (module.component == "unet" && reads_text) text_width = module.down.shape[1];
  }
  if (text_width == 768) return "Stable Diffusion 1";
  if (text_width == 1024) return "Stable Diffusion 2";
  if (text_width == 2048) return "Stable Diffusion XL";
  const auto& metadata = file.file->header().metadata;
  const auto base = metadata.find("ss_base_model_version");
  if (base == metadata.end()) return "";
  if (absl::StartsWith(base->second, "sdxl")) return "Stable Diffusion XL";
  if (absl::StartsWith(base->second, "sd_v2")) return "Stable Diffusion 2";
  return absl::StartsWith(base->second, "sd_v1") ? "Stable Diffusion 1" : "";
}

std::vector<std::string> TriggerWords(const std::map<std::string, std::string>& metadata) {
  if (const auto phrase = metadata.find("modelspec.trigger_phrase"); phrase != metadata.end()) {
    std::vector<std::string> words;
    for (const absl::string_view word : absl::StrSplit(phrase->second, ',', absl::SkipWhitespace())) {
      if (words.size() < kMostTriggerWords)
        words.emplace_back(absl::StripAsciiWhitespace(word).substr(0, kLongestWord));
    }
    return words;
  }
  const json folders = ParsedOrNull(metadata, "ss_tag_frequency");
  std::map<std::string, int64_t> counts;
  if (folders.is_object()) {
    for (const auto& [folder, tags] : folders.items()) {
      if (!tags.is_object()) continue;
      for (const auto& [tag, count] : tags.items()) {
        const std::string word(absl::StripAsciiWhitespace(tag));
        if (count.is_number_integer() && !word.empty() && word.size() <= kLongestWord) {
          counts[word] += std::clamp<int64_t>(count.get<int64_t>(), 0, 1'000'000'000);
        }
      }
    }
  }
  std::vector<std::pair<int64_t, std::string>> order;
  for (const auto& [word, count] : counts) order.emplace_back(-count, word);
  std::sort(order.begin(), order.end());
  std::vector<std::string> words;
  for (size_t i = 0; i < std::min(order.size(), kMostTriggerWords); ++i) words.push_back(order[i].second);
  return words;
}

}  // namespace stepcast::model
