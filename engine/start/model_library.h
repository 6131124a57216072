#pragma once
// Reads models from disk onto devices and frees them: at the start, and while others paint.

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/model_host.h"
#include "engine/device/device.h"
#include "engine/device/torch_guard.h"
#include "engine/start/engine_factory.h"
#include "engine/start/lora_library.h"
#include "engine/start/model_place.h"
#include "model/loading/component_cache.h"

namespace stepcast::engine {

// Every model of the options, held or not. Parts that several models have are held once per device. A bundle that
// nobody uses any more is freed here, on the thread that loads, never in a tick.
//
// Thread-safety: one thread at a time; the shelves are for all.
class ModelLibrary final : public ModelHost {
 public:
  // REQUIRES: `places` is not empty.
  ModelLibrary(const EngineOptions& options, std::vector<ModelPlace> places);

  // Errors: INVALID_ARGUMENT, naming the field, when a model names a device that there is none of.
  absl::Status CheckDevices() const;

  // ModelHost. Loads are checked to run in the smallest size, in strict mode also for rows that are independent.
  absl::StatusOr<SharedModelInfo> Inspect(const std::string& id) override;
  absl::StatusOr<HostedModel> Load(const std::string& id) override;
  void Unload(const std::string& id) override;
  LoraHost* loras() override { return &loras_; }

  // As Inspect, without the identity of the parts: reads no weights.
  absl::StatusOr<SharedModelInfo> Describe(const std::string& id);
  // What --validate_model tells of it. Errors: as of loading it.
  absl::StatusOr<CheckedModel> CheckOnly(const std::string& id);
  // As Load, with nothing run. For the start, when strict mode's rows are not chosen yet.
  absl::StatusOr<HostedModel> Read(const std::string& id);

  // Rows of every forward in strict mode, 0: free.
  void set_strict_rows(int rows) { strict_rows_ = rows; }
  // What models are told from now on that the decode of one picture may take; 0: not known.
  void set_max_decode_bytes(int64_t bytes) { max_decode_bytes_ = bytes; }
  // What models are told from now on of the ControlNets on the shelves.
  void set_control_nets(std::vector<ControlNetInfo> nets) { control_nets_ = std::move(nets); }
  // From now on loads use one thread on the CPU, so that ticks go on beside them.
  absl::Status StandBack();

  absl::Span<const ModelPlace> places() const { return places_; }
  // Those that hold `id`.
  std::vector<const ModelPlace*> PlacesOf(const std::string& id) const;
  std::vector<ModelMemory> memory() const;

 private:
  class Returns;

  const ModelSource& SourceOf(const std::string& id) const;
  // How much of a model is read.
  struct Wanted {
    bool weights = false;  // else shapes
    bool parts = false;    // shared with others, so their bytes are hashed
    bool digest = false;   // of the whole
  };
  absl::StatusOr<SharedBundle> ReadBundle(const ModelSource& source, const ComputeDevice& device,
                                          const Wanted& wanted) const;
  absl::StatusOr<SharedBundle> Look(const std::string& id, const Wanted& wanted) const;
  absl::StatusOr<bool> HasIndependentRows(const ModelPlace& place, const model::ModelBundle& bundle);
  absl::Status Check(const ModelPlace& place, const model::ModelBundle& bundle);
  SharedBundle Lend(SharedBundle bundle) const;
  ModelInfo InfoOf(const ModelSource& source, const model::ModelBundle& bundle) const;

  const EngineOptions options_;
  const TorchGuard guard_;
  std::vector<ModelPlace> places_;
  const std::shared_ptr<model::ComponentCache> components_;
  const std::shared_ptr<Returns> returns_;  // outlives the library with bundles that are on their way
  int strict_rows_ = 0;
  int64_t max_decode_bytes_ = 0;
  std::vector<ControlNetInfo> control_nets_;
  std::set<std::string> independent_;  // models whose rows strict mode's check has found to be so
  LoraLibrary loras_;
};

}  // namespace stepcast::engine
