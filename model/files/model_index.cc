#include "model/files/model_index.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "core/status_macros.h"
#include "model/files/json_config.h"
#include "model/weights/data_file.h"

namespace stepcast::model {
namespace {

// Libraries whose classes Stepcast has its own implementations of; and its own classes.
constexpr absl::string_view kLibraries[] = {"diffusers", "transformers", "stepcast"};

bool IsPlainName(const std::string& name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_';
  });
}

// What a folder without model_index.json is, where that can be seen; and what to name instead.
std::string WhatItIs(const std::string& folder) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  std::vector<std::string> snapshots;
  for (fs::directory_iterator at(fs::path(folder) / "snapshots", ignored), end; !ignored && at != end;
       at.increment(ignored)) {
    snapshots.push_back(at->path().string());
  }
  if (!snapshots.empty()) {
    std::sort(snapshots.begin(), snapshots.end());
    return absl::StrCat("It is a Hugging Face cache: name the folder of a revision, ",
                        absl::StrJoin(snapshots, " or "));
  }
  std::vector<std::string> checkpoints, pickles;
  for (const std::string& name : FileNames(folder)) {
    if (absl::EndsWith(name, ".safetensors")) checkpoints.push_back(name);
    if (absl::EndsWith(name, ".ckpt") || absl::EndsWith(name, ".pt")) pickles.push_back(name);
  }
  if (fs::exists(fs::path(folder) / "config.json", ignored) && !checkpoints.empty()) {
    return "It looks like one component of a model: name the folder above it";
  }
  if (!checkpoints.empty()) {
    return absl::StrCat("It holds ", absl::StrJoin(checkpoints, ", "),
                        ": a checkpoint in one file is named by its own path");
  }
  if (!pickles.empty()) return absl::StrCat("It holds ", absl::StrJoin(pickles, ", "), ", pickles, which are not read");
  return "A model is a folder in diffusers layout, or a checkpoint in one .safetensors file";
}

absl::Status NoIndex(const std::string& folder) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(folder, ignored)) {
    return absl::NotFoundError(absl::StrCat(folder, ": no such folder"));
  }
  return absl::NotFoundError(absl::StrCat(folder, ": no model_index.json. ", WhatItIs(folder)));
}

void AddComponent(const std::string& name, const nlohmann::json& value, ModelIndex& index) {
  if (!IsPlainName(name) || (value[0].is_null() && value[1].is_null())) return;
  ComponentClass& component = index.components[name];
  if (value[0].is_string() && value[1].is_string())
    component = {value[0].get<std::string>(), value[1].get<std::string>()};
}

// The oldest repositories have one network and keep it, and the scheduler, beside the index.
void FindFlatComponents(ModelIndex& index) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  for (const auto& [name, component] : index.components) {
    const char* config = name == "scheduler" ? "scheduler_config.json" : "config.json";
    if (name != "scheduler" && name != "unet") continue;
    if (fs::exists(fs::path(index.folder) / name, ignored)) continue;
    if (fs::exists(fs::path(index.folder) / config, ignored))
      index.sources[name] = {index.folder, {}, nullptr, nullptr};
  }
}

}  // namespace

std::string ModelIndex::PathOf(const std::string& component) const {
  const auto source = sources.find(component);
  return source == sources.end() ? absl::StrCat(folder, "/", component) : source->second.path;
}

std::string ModelIndex::path() const { return file.empty() ? absl::StrCat(folder, "/model_index.json") : file; }

std::string ModelIndex::Beside(absl::string_view name, absl::string_view suffix) const {
  if (file.empty()) return absl::StrCat(folder, "/", name);
  return absl::StrCat(std::filesystem::path(file).replace_extension().string(), suffix);
}

absl::StatusOr<std::string> ModelIndex::ClassOf(const std::string& component,
                                                const std::vector<std::string>& allowed) const {
  const auto found = components.find(component);
  if (found == components.end())
    return absl::NotFoundError(absl::StrCat(path(), ": component '", component, "' is missing"));
  const auto refuse = [&](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat(path(), ": component '", component, "' ", why));
  };
  const std::string& library = found->second.library;
  if (library.empty()) return refuse("must be [library, class]");
  if (std::find(std::begin(kLibraries), std::end(kLibraries), library) == std::end(kLibraries)) {
    return refuse(
        absl::StrCat("needs custom code from '", absl::CHexEscape(library.substr(0, 60)), "', which is not run"));
  }
  // Repositories that were mirrored from Flax keep its class names; the configs are the same.
  const std::string name(absl::StripPrefix(found->second.class_name, "Flax"));
  if (allowed.empty() || std::find(allowed.begin(), allowed.end(), name) != allowed.end()) return name;
  return refuse(absl::StrCat("is a ", absl::CHexEscape(name.substr(0, 80)), ", which is not supported (",
                             absl::StrJoin(allowed, ", "), " is)"));
}

bool ModelIndex::Option(const std::string& name, bool otherwise) const {
  const auto found = options.find(name);
  return found == options.end() ? otherwise : found->second;
}

absl::StatusOr<ModelIndex> ReadModelIndex(const std::string& folder) {
  ModelIndex index;
  index.folder = folder;
  absl::StatusOr<nlohmann::json> root = ReadJsonObject(index.path());
  if (absl::IsNotFound(root.status())) return NoIndex(folder);
  STEPCAST_RETURN_IF_ERROR(root.status());
  const auto pipeline = root->find("_class_name");
  if (pipeline == root->end() || !pipeline->is_string()) {
    return absl::InvalidArgumentError(absl::StrCat(index.path(), ": _class_name must name the pipeline class"));
  }
  index.pipeline_class = pipeline->get<std::string>();
  for (const auto& [name, value] : root->items()) {
    const bool is_component = !name.empty() && name.front() != '_' && value.is_array() && value.size() == 2;
    if (is_component) AddComponent(name, value, index);
    if (value.is_boolean()) index.options[name] = value.get<bool>();
  }
  FindFlatComponents(index);
  return index;
}

}  // namespace stepcast::model
