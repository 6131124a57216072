#include "engine/start/engine_factory.h"

#include <ATen/Context.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/cpu_budget.h"
#include "core/model_memory.h"
#include "core/status_macros.h"
#include "engine/device/device.h"
#include "engine/device/torch_guard.h"
#include "engine/executor/diffusion_executor.h"
#include "engine/start/control_library.h"
#include "engine/start/decode_bound.h"
#include "engine/start/fingerprint.h"
#include "engine/start/model_library.h"
#include "engine/trial/strict_check.h"
#include "engine/trial/warm_up.h"
#include "model/control/control_net_loader.h"
#include "scheduler/costs/profiler.h"

namespace stepcast {
namespace {
constexpr int kMostReplicas = 64;
constexpr double kAutoBudgetShare = 0.7;  // of a device's memory; the rest is for ticks

using engine::ComputeDevice;
using engine::ModelLibrary;
using engine::TorchGuard;

absl::Status CheckOptions(const EngineOptions& options) {
  if (options.models.empty()) return absl::InvalidArgumentError("models is empty; at least one is needed");
  std::set<std::string> ids;
  for (const ModelSource& source : options.models) {
    if (!ids.insert(source.id).second) {
      return absl::InvalidArgumentError(absl::StrCat("models: the id '", source.id, "' is used twice"));
    }
  }
  if (options.max_rows < 2 || options.max_rows > 4096) {
    return absl::InvalidArgumentError(absl::StrCat("max_rows is ", options.max_rows, "; allowed: 2 to 4096"));
  }
  STEPCAST_RETURN_IF_ERROR(engine::ParseDtype(options.dtype).status());
  std::set<std::string> nets;
  for (const ControlNetSource& source : options.control_nets) {
    if (!nets.insert(source.id).second) {
      return absl::InvalidArgumentError(absl::StrCat("control_nets: the id '", source.id, "' is used twice"));
    }
  }
  const int strict = options.strict_rows;
  if (strict != 0 && strict != kAutoStrictRows && (strict < 2 || strict > options.max_rows)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "strict_rows is ", strict, "; allowed: 0 (free), auto, or 2 to max_rows (", options.max_rows, ")"));
  }
  if (options.max_resident_jobs < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("max_resident_jobs is ", options.max_resident_jobs, "; allowed: 1 or more"));
  }
  if (options.replicas < 1 || options.replicas > kMostReplicas) {
    return absl::InvalidArgumentError(
        absl::StrCat("replicas is ", options.replicas, "; allowed: 1 to ", kMostReplicas));
  }
  if (options.embedding_cache_entries < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("embedding_cache_entries is ", options.embedding_cache_entries, "; allowed: 0 or more"));
  }
  return absl::OkStatus();
}

using OpenedDevices = std::vector<std::unique_ptr<ComputeDevice>>;

absl::StatusOr<OpenedDevices> OpenNamed(const std::vector<std::string>& names, int threads) {
  OpenedDevices opened;
  std::set<std::string> known;
  for (const std::string& name : names) {
    STEPCAST_ASSIGN_OR_RETURN(std::unique_ptr<ComputeDevice> device, engine::OpenDevice(name, threads));
    if (!known.insert(device->name()).second) {
      return absl::InvalidArgumentError(absl::StrCat("devices: ", device->name(), " is there twice"));
    }
    opened.push_back(std::move(device));
  }
  return opened;
}

// Threads of all executors on the CPU together.
int TotalThreads(const EngineOptions& options) {
  return options.threads > 0 ? options.threads : ReadCpuBudget().threads;
}

int ThreadsOfEach(const EngineOptions& options) { return std::max(1, TotalThreads(options) / options.replicas); }

// One for each executor.
absl::StatusOr<OpenedDevices> OpenDevices(const EngineOptions& options) {
  if (!options.devices.empty()) {
    if (options.replicas > 1) return absl::InvalidArgumentError("replicas and devices exclude each other");
    return OpenNamed(options.devices, options.threads);
  }
  STEPCAST_ASSIGN_OR_RETURN(OpenedDevices opened, OpenNamed({options.device}, options.threads));
  if (options.replicas == 1) return opened;
  if (!opened.front()->device().is_cpu()) {
    return absl::InvalidArgumentError(absl::StrCat("replicas is ", options.replicas, ", but the device is ",
                                                   opened.front()->name(), "; name several in devices instead"));
  }
  const int each = ThreadsOfEach(options);
  opened.clear();
  for (int i = 0; i < options.replicas; ++i) {
    STEPCAST_ASSIGN_OR_RETURN(std::unique_ptr<ComputeDevice> device, engine::OpenDevice("cpu", each));
    opened.push_back(std::move(device));
  }
  return opened;
}

// "cpu:1": one of several executors of a device.
std::string LoopName(const EngineOptions& options, const std::string& device, size_t index) {
  return options.replicas > 1 ? absl::StrCat(device, ":", index) : device;
}

// What weights may take on `device`.
int64_t BudgetOf(const EngineOptions& options, const ComputeDevice& device) {
  if (options.memory_budget != kAutoMemoryBudget) return options.memory_budget;
  const int64_t total = device.TotalMemory();
  return total > 0 ? static_cast<int64_t>(static_cast<double>(total) * kAutoBudgetShare) : kNoMemoryBudget;
}

// One per device, whatever the number of executors on it.
absl::StatusOr<std::vector<engine::ModelPlace>> PlacesOn(const EngineOptions& options, const OpenedDevices& devices) {
  std::vector<engine::ModelPlace> places;
  for (size_t i = 0; i < devices.size(); ++i) {
    const std::string name = devices[i]->name();
    const auto known =
        std::ranges::find_if(places, [&](const engine::ModelPlace& place) { return place.memory.device == name; });
    if (known != places.end()) {
      known->memory.loops.push_back(LoopName(options, name, i));
      continue;
    }
    engine::ModelPlace& place = places.emplace_back();
    place.memory = {.device = name, .loops = {LoopName(options, name, i)}, .budget = BudgetOf(options, *devices[i])};
    place.threads = devices[i]->device().is_cpu() ? ThreadsOfEach(options) : 0;
    STEPCAST_ASSIGN_OR_RETURN(place.device, engine::OpenDevice(name, place.threads));
  }
  return places;
}

bool IsRefused(const std::string& id, const LoadedEngine& engine) {
  return std::ranges::any_of(engine.refused, [&id](const RefusedModel& model) { return model.id == id; });
}

bool IsUnloaded(const std::string& id, const LoadedEngine& engine) {
  return std::ranges::find(engine.unloaded, id) != engine.unloaded.end();
}

void Refuse(const std::string& id, absl::string_view why, LoadedEngine& engine) {
  engine.refused.push_back({id, std::string(why)});
}

// Those of `engine.models` that are in memory.
std::vector<SharedModelInfo> Held(const LoadedEngine& engine) {
  std::vector<SharedModelInfo> held = engine.models;
  std::erase_if(held, [&](const SharedModelInfo& info) { return IsUnloaded(info->id, engine); });
  return held;
}

// Whether the model is read at the start. Refuses what never fits beside `pinned`.
absl::StatusOr<bool> Wanted(ModelLibrary& library, const ModelSource& source,
                            const std::vector<SharedModelInfo>& pinned, LoadedEngine& engine) {
  const std::vector<ModelMemory> memory = library.memory();
  const bool bounded =
      std::ranges::any_of(memory, [](const ModelMemory& device) { return device.budget != kNoMemoryBudget; });
  const bool later = source.loading == ModelLoading::kOnDemand;
  if (!later && !bounded) return true;
  STEPCAST_ASSIGN_OR_RETURN(const SharedModelInfo info,
                            later ? library.Describe(source.id) : library.Inspect(source.id));
  if (const std::string never = DescribeNeverFits(info, pinned, memory); !never.empty()) {
    return absl::FailedPreconditionError(never);
  }
  const std::string now = later ? "" : DescribeTooLarge(info, Held(engine), memory);
  if (!now.empty() && source.loading == ModelLoading::kPinned) {
    return absl::FailedPreconditionError(absl::StrCat(now, ": what is pinned must fit together"));
  }
  if (!later && now.empty()) return true;
  if (!now.empty()) engine.warnings.push_back(absl::StrCat(now, ": it is loaded when somebody asks for it"));
  engine.models.push_back(info);
  engine.unloaded.push_back(source.id);
  return false;
}

absl::Status ReadAtStart(ModelLibrary& library, const ModelSource& source, const std::vector<SharedModelInfo>& pinned,
                         LoadedEngine& engine) {
  STEPCAST_ASSIGN_OR_RETURN(const bool wanted, Wanted(library, source, pinned, engine));
  if (!wanted) return absl::OkStatus();
  STEPCAST_ASSIGN_OR_RETURN(HostedModel model, library.Read(source.id));
  for (const std::string& warning : model.warnings) {
    engine.warnings.push_back(absl::StrCat("model '", source.id, "': ", warning));
  }
  for (const std::string& note : model.notes) engine.notes.push_back(absl::StrCat("model '", source.id, "': ", note));
  engine.models.push_back(std::move(model.info));
  return absl::OkStatus();
}

// Pinned ones first: they must fit, whatever else does.
void ReadAll(ModelLibrary& library, const EngineOptions& options, LoadedEngine& engine) {
  for (const bool pinned : {true, false}) {
    const std::vector<SharedModelInfo> stay = Held(engine);
    for (const ModelSource& source : options.models) {
      if ((source.loading == ModelLoading::kPinned) != pinned) continue;
      const absl::Status read = ReadAtStart(library, source, stay, engine);
      if (!read.ok()) Refuse(source.id, read.message(), engine);
    }
  }
  const auto place = [&](const SharedModelInfo& info) {
    return std::ranges::find(options.models, info->id, &ModelSource::id) - options.models.begin();
  };
  std::ranges::sort(engine.models, {}, place);  // ids are distinct
}

// Lets go of the models that were refused. Errors: FAILED_PRECONDITION when none is left.
absl::Status DropRefused(ModelLibrary& library, LoadedEngine& engine) {
  for (const RefusedModel& model : engine.refused) library.Unload(model.id);
  std::erase_if(engine.models, [&](const SharedModelInfo& info) { return IsRefused(info->id, engine); });
  if (!engine.models.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrJoin(
      engine.refused, "\n", [](std::string* out, const RefusedModel& model) { absl::StrAppend(out, model.why); }));
}

// The bits of these models on these devices with these threads, before anyone relies on them.
absl::StatusOr<engine::StrictChoice> ChooseStrict(const EngineOptions& options, const ModelLibrary& library,
                                                  const std::vector<SharedModelInfo>& held, const TorchGuard& guard) {
  if (options.strict_rows == 0) return engine::StrictChoice();
  const engine::StrictProbe probe = [&](int rows) -> absl::StatusOr<std::optional<std::string>> {
    for (const SharedModelInfo& info : held) {
      for (const engine::ModelPlace* place : library.PlacesOf(info->id)) {
        bool independent = false;
        STEPCAST_RETURN_IF_ERROR(guard.Run("strict mode's check", [&] {
          const c10::InferenceMode inference_mode;
          place->device->BindThread();
          independent = engine::RowsAreIndependent(*place->shelf->Find(info->id), *place->device, rows,
                                                   place->nets->Fitting(info->control_shape));
        }));
        if (!independent) return info->id;
      }
    }
    return std::nullopt;
  };
  const absl::Span<const int> candidates = engine::StrictCandidates(library.places().front().device->device().is_cpu());
  if (options.strict_rows == kAutoStrictRows) return engine::ChooseStrictRows(candidates, options.max_rows, probe);
  STEPCAST_RETURN_IF_ERROR(engine::CheckStrictRows(options.strict_rows, candidates, options.max_rows, probe));
  return engine::StrictChoice{.rows = options.strict_rows, .one_job = false, .failed = {}};
}

std::string DescribeStrict(const EngineOptions& options, const engine::StrictChoice& choice) {
  if (choice.rows == 0) return "";
  const std::string failed =
      choice.failed.empty() ? "" : absl::StrCat("; not exact here: ", absl::StrJoin(choice.failed, ", "), " rows");
  if (choice.one_job) return absl::StrCat("strict mode: one picture per forward", failed);
  return absl::StrCat("strict mode: every forward has ", choice.rows, " rows",
                      options.strict_rows == kAutoStrictRows ? ", chosen" : "", failed);
}

// A model that cannot run is refused.
void WarmUpAll(const ModelLibrary& library, int rows, const TorchGuard& guard, LoadedEngine& engine) {
  for (const SharedModelInfo& info : Held(engine)) {
    for (const engine::ModelPlace* place : library.PlacesOf(info->id)) {
      if (IsRefused(info->id, engine)) continue;
      const absl::Status warm =
          engine::WarmUp(*place->shelf->Find(info->id), *place->device, rows, engine::WarmUpSize::kDefault, guard);
      if (!warm.ok()) Refuse(info->id, absl::StrCat("model '", info->id, "': ", warm.message()), engine);
      const absl::Status nets = engine::WarmUpControl(
          *place->shelf->Find(info->id), place->nets->Fitting(info->control_shape), *place->device, rows, guard);
      if (!nets.ok()) engine.warnings.emplace_back(nets.message());
    }
  }
}

ExecutorLimits LimitsOf(const EngineOptions& options, const engine::StrictChoice& strict) {
  ExecutorLimits limits;
  limits.max_denoise_rows = strict.rows > 0 ? strict.rows : options.max_rows;
  limits.strict_rows = strict.rows;
  // A tick never holds more jobs than may be on the device.
  limits.max_resident_jobs = strict.one_job ? 1 : options.max_resident_jobs;
  return limits;
}

const engine::ModelPlace& PlaceOf(const ModelLibrary& library, const std::string& device) {
  const auto is_there = [&](const engine::ModelPlace& place) { return place.memory.device == device; };
  const absl::Span<const engine::ModelPlace> places = library.places();
  return *std::ranges::find_if(places, is_there);  // each device has one
}

void MakeExecutors(const EngineOptions& options, const engine::StrictChoice& strict, OpenedDevices devices,
                   EngineMetrics& metrics, const ModelLibrary& library, LoadedEngine& engine) {
  for (size_t i = 0; i < devices.size(); ++i) {
    const std::string name = devices[i]->name();
    // Loading leaves the plain copies of packed weights behind.
    devices[i]->ReleaseCachedMemory();
    engine::DiffusionExecutorOptions executor;
    executor.shelf = PlaceOf(library, name).shelf;
    executor.nets = PlaceOf(library, name).nets;
    executor.loras = PlaceOf(library, name).loras;
    executor.device = std::move(devices[i]);
    executor.limits = LimitsOf(options, strict);
    executor.embedding_cache_entries = static_cast<size_t>(options.embedding_cache_entries);
    executor.log = options.log_error;
    engine.devices.push_back({.name = LoopName(options, name, i),
                              .executor = std::make_unique<engine::DiffusionExecutor>(std::move(executor), metrics),
                              .threads = ThreadsOfEach(options)});
  }
}

absl::StatusOr<LoadedEngine> Load(const EngineOptions& options, EngineMetrics& metrics) {
  STEPCAST_ASSIGN_OR_RETURN(OpenedDevices devices, OpenDevices(options));
  const TorchGuard guard(options.log_error);
  if (options.strict_rows != 0) {
    at::globalContext().setDeterministicCuDNN(true);
    at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/true);
  }
  STEPCAST_ASSIGN_OR_RETURN(std::vector<engine::ModelPlace> places, PlacesOn(options, devices));
  auto library = std::make_unique<ModelLibrary>(options, std::move(places));
  STEPCAST_RETURN_IF_ERROR(library->CheckDevices());
  LoadedEngine loaded;
  engine::ControlNets nets = engine::ReadControlNets(options, library->places(), guard);
  library->set_control_nets(nets.infos);
  loaded.control_nets = std::move(nets.infos);
  loaded.warnings = std::move(nets.warnings);
  ReadAll(*library, options, loaded);
  STEPCAST_RETURN_IF_ERROR(DropRefused(*library, loaded));
  STEPCAST_ASSIGN_OR_RETURN(const engine::StrictChoice strict, ChooseStrict(options, *library, Held(loaded), guard));
  loaded.strict = DescribeStrict(options, strict);
  library->set_strict_rows(strict.rows);
  if (options.warm_up) WarmUpAll(*library, strict.rows > 0 ? strict.rows : 2, guard, loaded);
  STEPCAST_RETURN_IF_ERROR(DropRefused(*library, loaded));
  STEPCAST_ASSIGN_OR_RETURN(const int64_t decode_bound, engine::DecodeBound(options, devices, guard));
  library->set_max_decode_bytes(decode_bound);
  for (SharedModelInfo& model : loaded.models) model = engine::WithDecodeBound(*model, decode_bound);
  MakeExecutors(options, strict, std::move(devices), metrics, *library, loaded);
  loaded.memory = library->memory();
  for (const SharedModelInfo& info : Held(loaded)) {
    std::ranges::copy(ProfileKeys(*info), std::back_inserter(loaded.profile_keys));
  }
  loaded.cost_fingerprint = engine::CostFingerprint(loaded, TotalThreads(options), strict.rows);
  loaded.numerics = engine::Numerics(loaded, ThreadsOfEach(options), strict.rows);
  STEPCAST_RETURN_IF_ERROR(library->StandBack());
  loaded.host = std::move(library);
  return loaded;
}

// The model as it would be loaded, on no device.
absl::StatusOr<CheckedModel> Check(const EngineOptions& options) {
  STEPCAST_ASSIGN_OR_RETURN(const OpenedDevices devices, OpenDevices(options));
  STEPCAST_ASSIGN_OR_RETURN(std::vector<engine::ModelPlace> places, PlacesOn(options, devices));
  ModelLibrary library(options, std::move(places));
  STEPCAST_RETURN_IF_ERROR(library.CheckDevices());
  const ModelSource& source = options.models.front();
  if (model::IsControlNet(source.path)) {
    return engine::CheckControlNet(options, library.places().front(), TorchGuard(options.log_error));
  }
  return library.CheckOnly(source.id);
}

}  // namespace

absl::StatusOr<LoadedEngine> CreateEngine(const EngineOptions& options, EngineMetrics& metrics) {
  STEPCAST_RETURN_IF_ERROR(CheckOptions(options));
  // On a thread of its own: OpenMP keeps a pool of workers for each thread that ever called it. With one left behind
  // there are more workers than cores, and the runtime lets them sleep between any two operators (engine/README.md).
  absl::StatusOr<LoadedEngine> loaded = absl::InternalError("not loaded");
  std::thread([&] { loaded = Load(options, metrics); }).join();
  return loaded;
}

absl::StatusOr<CheckedModel> CheckModel(const EngineOptions& options) {
  STEPCAST_RETURN_IF_ERROR(CheckOptions(options));
  absl::StatusOr<CheckedModel> checked = absl::InternalError("not checked");
  std::thread([&] { checked = Check(options); }).join();
  return checked;
}

}  // namespace stepcast
