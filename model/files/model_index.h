#pragma once
// model_index.json: which pipeline a folder is for, and which class each of its parts has. A model in one file looks
// the same to its family: a folder that does not exist.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/model_card.h"
#include "core/model_info.h"
#include "model/weights/weight_set.h"
#include "nlohmann/json.hpp"

namespace stepcast::model {

// A part of a pipeline, in the folder of its name, as the index says it. Nothing of it is trusted before ClassOf.
struct ComponentClass {
  std::string library;     // "diffusers", "transformers"; "" where the entry is not [library, class]
  std::string class_name;  // "UNet2DConditionModel"
};

// A part that is no folder below the model's own.
struct ComponentSource {
  std::string path;                               // what messages call it; a folder's own path
  std::map<std::string, nlohmann::json> configs;  // by the names of the files that they stand for
  std::shared_ptr<const SafetensorsFile> file;    // that holds its weights; null: they lie in the folder `path`
  ViewRule views;                                 // of `file`
};

struct ModelIndex {
  std::string folder;                                // of a model in one file: where that lies
  std::string file;                                  // of a model in one file: its path; else ""
  std::string pipeline_class;                        // "StableDiffusionPipeline"
  std::map<std::string, ComponentClass> components;  // present ones only
  std::map<std::string, ComponentSource> sources;    // of parts that are no folders below `folder`
  std::vector<ModelCard> cards;                      // what people say of it; the later wins
  std::vector<ModelDecision> decisions;              // what was read from a file that has no configs
  std::vector<std::string> warnings;
  std::map<std::string, bool> options;  // switches of the pipeline: "force_zeros_for_empty_prompt"

  // The component's class, which must be one of `allowed`; empty: any.
  // Errors: NOT_FOUND when absent, INVALID_ARGUMENT when of another class, of another library (custom code) or no class
  // at all; all name the file and the component.
  absl::StatusOr<std::string> ClassOf(const std::string& component, const std::vector<std::string>& allowed) const;
  // The switch `name`, or `otherwise` where the file has none.
  bool Option(const std::string& name, bool otherwise) const;
  std::string PathOf(const std::string& component) const;  // folder/component, or where else it lies
  std::string path() const;                                // of model_index.json itself, or of the one file
  // Of a file that stands beside the model: folder/`name`, or for a model in one file NAME.safetensors
  // NAME`suffix`.
  std::string Beside(absl::string_view name, absl::string_view suffix) const;
};

// Reads `folder`/model_index.json. What components are is judged when somebody asks for one: those that nobody reads
// (safety checkers, feature extractors, image encoders) may be anything. Entries whose names are no plain folder names
// are no components. Errors: NOT_FOUND when the folder or the file is absent (a folder of another layout is named as
// such); INVALID_ARGUMENT for bad JSON.
absl::StatusOr<ModelIndex> ReadModelIndex(const std::string& folder);

}  // namespace stepcast::model
