#pragma once
// What the torch-free rooms may know of a LoRA, and who reads LoRAs.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/model_card.h"
#include "core/model_info.h"

namespace stepcast {

// An open file, for whoever reads it.
class LoraSource {
 public:
  virtual ~LoraSource() = default;
};

// Immutable description of one LoRA.
struct LoraInfo {
  std::string name;  // [A-Za-z0-9][A-Za-z0-9._-]{0,127}; how requests name it
  std::string display_name = {};
  std::string description = {};
  std::string license = {};
  std::string family = {};                      // of models, for people; "": not known
  std::vector<std::string> trigger_words = {};  // may be empty
  std::string sha256 = {};                      // 64 hex digits over its file
  int rank = 0;                                 // the largest in it
  bool changes_denoiser = false;
  bool changes_text_encoders = false;
  int64_t bytes = 0;           // of its weights, as the file has them
  CardDefaults defaults = {};  // what requests get for fields that they leave open
  std::shared_ptr<const LoraSource> source = nullptr;
};
using SharedLoraInfo = std::shared_ptr<const LoraInfo>;

// What a LoRA is to one model.
struct LoraFit {
  // Of a request that names it first; the model's own where it says nothing.
  ModelDefaults defaults;
  // What a row with it costs more than one without, as a share of that.
  double cost = 0.0;
};

// What tells a LoRA in a model's layers from all others there.
std::string LoraKey(const ModelInfo& model, const std::string& sha256);

// Reads LoRAs, and puts them beside the models that are in memory.
class LoraHost {
 public:
  virtual ~LoraHost() = default;

  // Reads the file at `path`, and the card NAME.json beside it. Every byte is read: a LoRA with values that are not
  // finite is none. Any thread. Errors: NOT_FOUND, INVALID_ARGUMENT naming what is wrong.
  virtual absl::StatusOr<SharedLoraInfo> Read(const std::string& name, const std::string& path) const = 0;

  // Whether the LoRA goes with `model`. Any thread. Errors: INVALID_ARGUMENT saying why not, with both families.
  virtual absl::StatusOr<LoraFit> Fit(const LoraInfo& lora, const ModelInfo& model) const = 0;

  // Holds the LoRA for a model that is in memory: jobs may name it from now on. Returns the bytes that it takes there.
  // One thread at a time. REQUIRES: it is not held. Errors: as Fit; NOT_FOUND: the model is not in memory;
  // FAILED_PRECONDITION: its file has changed since it was read.
  virtual absl::StatusOr<int64_t> Load(const LoraInfo& lora, const ModelInfo& model) = 0;

  // Lets go of it; jobs that have it keep it until their end. Thread as Load.
  virtual void Unload(const std::string& key) = 0;
};

}  // namespace stepcast
