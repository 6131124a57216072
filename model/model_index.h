#pragma once
// model_index.json: which pipeline a folder is for, and which class each of its parts has.

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace stepcast::model {

// A part of a pipeline, in the folder of its name, as the index says it. Nothing of it is trusted before ClassOf.
struct ComponentClass {
  std::string library;     // "diffusers", "transformers"; "" where the entry is not [library, class]
  std::string class_name;  // "UNet2DConditionModel"
};

struct ModelIndex {
  std::string folder;
  std::string pipeline_class;                        // "StableDiffusionPipeline"
  std::map<std::string, ComponentClass> components;  // present ones only

  // The component's class, which must be one of `allowed`; empty: any.
  // Errors: NOT_FOUND when absent, INVALID_ARGUMENT when of another class, of another library (custom code) or no class
  // at all; all name the file and the component.
  absl::StatusOr<std::string> ClassOf(const std::string& component, const std::vector<std::string>& allowed) const;
  std::string PathOf(absl::string_view component) const;  // folder/component
  std::string path() const;                               // of model_index.json itself
};

// Reads `folder`/model_index.json. What components are is judged when somebody asks for one: those that nobody reads
// (safety checkers, feature extractors, image encoders) may be anything. Entries whose names are no plain folder names
// are no components. Errors: NOT_FOUND when the folder or the file is absent (a folder of another layout is named as
// such); INVALID_ARGUMENT for bad JSON.
absl::StatusOr<ModelIndex> ReadModelIndex(const std::string& folder);

}  // namespace stepcast::model
