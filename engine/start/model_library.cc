#include "engine/start/model_library.h"

#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/mutex.h"
#include "core/status_macros.h"
#include "engine/start/control_library.h"
#include "engine/trial/strict_check.h"
#include "engine/trial/warm_up.h"
#include "sampling/compile/usable.h"

namespace stepcast::engine {
namespace {

using model::ModelBundle;

bool Names(const ModelMemory& memory, const std::string& device) {
  return memory.device == device || std::ranges::find(memory.loops, device) != memory.loops.end();
}

// Loops of `memory` that paint a model which names `devices`.
std::vector<std::string> LoopsOf(const ModelMemory& memory, const std::vector<std::string>& devices) {
  std::vector<std::string> loops;
  for (const std::string& loop : memory.loops) {
    const auto named = [&](const std::string& device) { return device == loop || device == memory.device; };
    if (devices.empty() || std::ranges::any_of(devices, named)) loops.push_back(loop);
  }
  return loops;
}

}  // namespace

// Bundles that came back from whoever used them last.
class ModelLibrary::Returns {
 public:
  void Give(SharedBundle bundle) {
    MutexLock lock(mutex_);
    bundles_.push_back(std::move(bundle));
    changed_.NotifyAll();
  }

  // Waits until `bundle` is back and takes it.
  SharedBundle Await(const ModelBundle* bundle) {
    MutexLock lock(mutex_);
    while (true) {
      const auto found = std::ranges::find(bundles_, bundle, &SharedBundle::get);
      if (found != bundles_.end()) {
        SharedBundle back = std::move(*found);
        bundles_.erase(found);
        return back;
      }
      changed_.Wait(mutex_);
    }
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::vector<SharedBundle> bundles_ ABSL_GUARDED_BY(mutex_);
};

ModelLibrary::ModelLibrary(const EngineOptions& options, std::vector<ModelPlace> places)
    : options_(options),
      guard_(options.log_error),
      places_(std::move(places)),
      // What one model has it shares with nobody, and hashing its parts would be for nothing.
      components_(options.models.size() > 1 ? std::make_shared<model::ComponentCache>() : nullptr),
      returns_(std::make_shared<Returns>()),
      loras_(places_, options.log_error) {}

absl::Status ModelLibrary::CheckDevices() const {
  std::vector<std::string> known;
  for (const ModelPlace& place : places_) {
    if (place.memory.loops != std::vector<std::string>{place.memory.device}) known.push_back(place.memory.device);
    known.insert(known.end(), place.memory.loops.begin(), place.memory.loops.end());
  }
  for (size_t i = 0; i < options_.models.size(); ++i) {
    for (const std::string& device : options_.models[i].devices) {
      const auto has = [&](const ModelPlace& place) { return Names(place.memory, device); };
      if (std::ranges::any_of(places_, has)) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("models[", i, "].devices: got '", device, "'; the devices are ", absl::StrJoin(known, ", ")));
    }
  }
  return absl::OkStatus();
}

const ModelSource& ModelLibrary::SourceOf(const std::string& id) const {
  return *std::ranges::find(options_.models, id, &ModelSource::id);
}

std::vector<const ModelPlace*> ModelLibrary::PlacesOf(const std::string& id) const {
  const ModelSource& source = SourceOf(id);
  std::vector<const ModelPlace*> places;
  for (const ModelPlace& place : places_) {
    if (!LoopsOf(place.memory, source.devices).empty()) places.push_back(&place);
  }
  return places;
}

absl::StatusOr<SharedBundle> ModelLibrary::ReadBundle(const ModelSource& source, const ComputeDevice& device,
                                                      const Wanted& wanted) const {
  model::LoadOptions load{.id = source.id, .path = source.path, .card = source.card};
  STEPCAST_ASSIGN_OR_RETURN(load.dtype, ParseDtype(options_.dtype));
  load.device = wanted.weights ? device.device() : c10::Device(c10::DeviceType::Meta);
  load.packed_bytes = source.packed_bytes;
  load.components = wanted.parts ? components_ : nullptr;
  load.digest = wanted.digest;
  if (options_.log_notice) {
    load.notice = [id = source.id, log = options_.log_notice](const std::string& text) {
      log(absl::StrCat("model '", id, "': ", text));
    };
  }
  absl::StatusOr<SharedBundle> bundle = absl::InternalError("not loaded");
  const absl::Status status = guard_.Run(absl::StrCat("loading of model '", source.id, "'"), [&] {
    device.BindThread();  // weights are packed by as many threads as will use them
    load.auto_dtypes = device.auto_dtypes();
    bundle = ModelBundle::Load(load);
  });
  STEPCAST_RETURN_IF_ERROR(status);
  if (!bundle.ok()) {
    return absl::Status(bundle.status().code(),
                        absl::StrCat("model '", source.id, "' in '", source.path, "': ", bundle.status().message()));
  }
  return bundle;
}

ModelInfo ModelLibrary::InfoOf(const ModelSource& source, const ModelBundle& bundle) const {
  ModelInfo info = *bundle.info();
  info.samplers = sampling::UsableSamplers(info);
  info.decoding.max_bytes = max_decode_bytes_;
  info.control_nets = FittingNets(control_nets_, info);
  info.device = PlacesOf(source.id).front()->memory.device;
  for (const ModelPlace& place : places_) {
    for (std::string& loop : LoopsOf(place.memory, source.devices)) info.devices.push_back(std::move(loop));
  }
  return info;
}

absl::StatusOr<SharedBundle> ModelLibrary::Look(const std::string& id, const Wanted& wanted) const {
  return ReadBundle(SourceOf(id), *PlacesOf(id).front()->device, wanted);
}

absl::StatusOr<SharedModelInfo> ModelLibrary::Describe(const std::string& id) {
  STEPCAST_ASSIGN_OR_RETURN(const SharedBundle bundle, Look(id, {}));
  return std::make_shared<const ModelInfo>(InfoOf(SourceOf(id), *bundle));
}

absl::StatusOr<SharedModelInfo> ModelLibrary::Inspect(const std::string& id) {
  STEPCAST_ASSIGN_OR_RETURN(const SharedBundle bundle, Look(id, {.parts = true}));
  return std::make_shared<const ModelInfo>(InfoOf(SourceOf(id), *bundle));
}

absl::StatusOr<CheckedModel> ModelLibrary::CheckOnly(const std::string& id) {
  STEPCAST_ASSIGN_OR_RETURN(const SharedBundle bundle, Look(id, {.digest = true}));
  return CheckedModel{std::make_shared<const ModelInfo>(InfoOf(SourceOf(id), *bundle)), bundle->warnings()};
}

std::vector<ModelMemory> ModelLibrary::memory() const {
  std::vector<ModelMemory> memory;
  for (const ModelPlace& place : places_) memory.push_back(place.memory);
  return memory;
}

absl::StatusOr<bool> ModelLibrary::HasIndependentRows(const ModelPlace& place, const ModelBundle& bundle) {
  const ModelInfo& info = *bundle.info();
  // What decides it: a model that comes back need not be asked again.
  const std::string asked =
      absl::StrCat(info.sha256, "@", DescribeDtypes(info), "@", place.memory.device, "@", strict_rows_);
  if (independent_.contains(asked)) return true;
  bool independent = false;
  absl::Status status;
  // On a thread that ends: with those of a tick it has a pool of OpenMP workers, and a second pool that stays makes
  // every tick slower.
  std::thread([&] {
    status = guard_.Run("strict mode's check", [&] {
      const c10::InferenceMode inference_mode;
      // With the threads of a tick: what is exact depends on their number.
      const absl::StatusOr<std::unique_ptr<ComputeDevice>> device = OpenDevice(place.device->name(), place.threads);
      const ComputeDevice& ticking = device.ok() ? **device : *place.device;
      ticking.BindThread();
      independent = RowsAreIndependent(bundle, ticking, strict_rows_, place.nets->Fitting(info.control_shape));
    });
  }).join();
  STEPCAST_RETURN_IF_ERROR(status);
  if (independent) independent_.insert(asked);
  return independent;
}

absl::Status ModelLibrary::Check(const ModelPlace& place, const ModelBundle& bundle) {
  if (strict_rows_ > 0) {
    STEPCAST_ASSIGN_OR_RETURN(const bool independent, HasIndependentRows(place, bundle));
    if (!independent) {
      return absl::FailedPreconditionError(absl::StrCat("model '", bundle.info()->id,
                                                        "': its rows are not independent in forwards of ", strict_rows_,
                                                        " rows (strict_rows)"));
    }
  }
  const int rows = strict_rows_ > 0 ? strict_rows_ : 2;
  return options_.warm_up ? WarmUp(bundle, *place.device, rows, WarmUpSize::kSmallest, guard_) : absl::OkStatus();
}

SharedBundle ModelLibrary::Lend(SharedBundle bundle) const {
  const ModelBundle* const lent = bundle.get();
  return {lent, [returns = returns_, bundle = std::move(bundle)](const ModelBundle*) mutable {
            returns->Give(std::move(bundle));
          }};
}

absl::StatusOr<HostedModel> ModelLibrary::Read(const std::string& id) {
  const ModelSource& source = SourceOf(id);
  HostedModel model;
  std::vector<std::pair<const ModelPlace*, SharedBundle>> read;
  for (const ModelPlace* place : PlacesOf(id)) {
    STEPCAST_ASSIGN_OR_RETURN(SharedBundle bundle,
                              ReadBundle(source, *place->device, {.weights = true, .parts = true, .digest = true}));
    // Executors have streams of their own.
    STEPCAST_RETURN_IF_ERROR(guard_.Run("synchronize", [place] { place->device->Synchronize(); }));
    if (read.empty()) {
      model = {.info = std::make_shared<const ModelInfo>(InfoOf(source, *bundle)),
               .notes = bundle->notes(),
               .warnings = bundle->warnings()};
    }
    read.emplace_back(place, std::move(bundle));
  }
  for (auto& [place, bundle] : read) place->shelf->Put(Lend(std::move(bundle)));
  return model;
}

absl::StatusOr<HostedModel> ModelLibrary::Load(const std::string& id) {
  STEPCAST_ASSIGN_OR_RETURN(HostedModel model, Read(id));
  for (const ModelPlace* place : PlacesOf(id)) {
    const absl::Status checked = Check(*place, *place->shelf->Find(id));
    if (checked.ok()) continue;
    Unload(id);
    return checked;
  }
  // Loading leaves the plain copies of packed weights behind.
  for (const ModelPlace* place : PlacesOf(id)) place->device->ReleaseCachedMemory();
  return model;
}

void ModelLibrary::Unload(const std::string& id) {
  for (const ModelPlace* place : PlacesOf(id)) {
    SharedBundle bundle = place->shelf->Take(id);
    if (bundle == nullptr) continue;
    const ModelBundle* const lent = bundle.get();
    bundle = nullptr;
    returns_->Await(lent);  // and frees it
    place->device->ReleaseCachedMemory();
  }
}

absl::Status ModelLibrary::StandBack() {
  for (ModelPlace& place : places_) {
    STEPCAST_ASSIGN_OR_RETURN(place.device, OpenDevice(place.device->name(), place.device->device().is_cpu() ? 1 : 0));
  }
  return absl::OkStatus();
}

}  // namespace stepcast::engine
