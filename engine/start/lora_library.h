#pragma once
// Reads LoRAs from disk, and puts them beside the models that devices hold.

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/lora_info.h"
#include "engine/device/torch_guard.h"
#include "engine/start/model_place.h"

namespace stepcast::engine {

// Thread-safety: Read and Fit from any thread; Load and Unload from one at a time. The shelves are for all.
class LoraLibrary final : public LoraHost {
 public:
  // `places` must outlive the library.
  LoraLibrary(const std::vector<ModelPlace>& places, ErrorLog log) : places_(places), guard_(std::move(log)) {}

  absl::StatusOr<SharedLoraInfo> Read(const std::string& name, const std::string& path) const override;
  absl::StatusOr<LoraFit> Fit(const LoraInfo& lora, const ModelInfo& model) const override;
  absl::StatusOr<int64_t> Load(const LoraInfo& lora, const ModelInfo& model) override;
  void Unload(const std::string& key) override;

 private:
  absl::StatusOr<SharedLora> LoadOn(const ModelPlace& place, const LoraInfo& lora, const ModelInfo& model) const;

  const std::vector<ModelPlace>& places_;
  const TorchGuard guard_;
};

}  // namespace stepcast::engine
