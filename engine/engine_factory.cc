#include "engine/engine_factory.h"

#include <ATen/Context.h>
#include <ATen/Version.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>
#include <torch/version.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/cpu_budget.h"
#include "core/status_macros.h"
#include "engine/decode_bound.h"
#include "engine/device.h"
#include "engine/diffusion_executor.h"
#include "engine/strict_check.h"
#include "engine/synthetic_tick.h"
#include "engine/torch_guard.h"
#include "model/classifier.h"
#include "model/model_bundle.h"
#include "sampling/usable.h"

namespace stepcast {
namespace {
constexpr int kMostReplicas = 64;
constexpr int kCostVersion = 2;  // of the engine's own speed: raised when a change moves the cost of ticks
using engine::ComputeDevice;
using engine::TorchGuard;
using model::ModelBundle;
using SharedBundle = std::shared_ptr<const ModelBundle>;

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

// Runs every part of the model once in the shapes of a default request: the libraries below choose and build
// their kernels on first use.
void RunOnce(const ModelBundle& bundle, const ComputeDevice& device, const engine::SyntheticTick& shape) {
  const c10::InferenceMode inference_mode;
  engine::SyntheticTicks ticks(device);
  engine::SyntheticTick tick = shape;
  for (const Phase phase : {Phase::kEncode, Phase::kDenoise, Phase::kPreview, Phase::kDecode}) {
    tick.phase = phase;
    tick.rows = phase == Phase::kDenoise ? shape.rows : 1;
    ticks.Run(bundle, tick);
  }
  if (bundle.classifier() == nullptr) return;
  const at::TensorOptions floats = at::TensorOptions(c10::ScalarType::Float).device(bundle.device());
  const at::Tensor latents =
      at::zeros({2, bundle.info()->latent_channels, shape.latent_height, shape.latent_width}, floats);
  bundle.classifier()->Gradient(latents, at::ones({2}, floats), at::zeros({2}, floats.dtype(c10::ScalarType::Long)));
}

absl::Status WarmUp(const ModelBundle& bundle, const ComputeDevice& device, int rows, const TorchGuard& guard) {
  const ModelInfo& info = *bundle.info();
  const engine::SyntheticTick shape = {.latent_height = info.defaults.height / info.vae_scale_factor,
                                       .latent_width = info.defaults.width / info.vae_scale_factor,
                                       .rows = rows};
  return guard.Run(absl::StrCat("warm-up of model '", info.id, "'"), [&] {
    device.BindThread();
    RunOnce(bundle, device, shape);
  });
}

// What all models are loaded with on one device.
struct LoadDefaults {
  c10::ScalarType dtype;
  model::AutoDtypes auto_dtypes;
  std::function<void(std::string_view)> log_notice;
};

absl::StatusOr<LoadDefaults> DefaultsFor(const EngineOptions& options, const ComputeDevice& device,
                                         const TorchGuard& guard) {
  LoadDefaults defaults;
  defaults.log_notice = options.log_notice;
  STEPCAST_ASSIGN_OR_RETURN(defaults.dtype, engine::ParseDtype(options.dtype));
  STEPCAST_RETURN_IF_ERROR(guard.Run("choice of a dtype", [&] { defaults.auto_dtypes = device.auto_dtypes(); }));
  return defaults;
}

std::function<void(const std::string&)> NoticeOf(const ModelSource& source, const LoadDefaults& defaults) {
  if (!defaults.log_notice) return {};
  return [id = source.id, log = defaults.log_notice](const std::string& text) {
    log(absl::StrCat("model '", id, "': ", text));
  };
}

absl::StatusOr<SharedBundle> LoadBundle(const ModelSource& source, c10::Device device, const LoadDefaults& defaults,
                                        const TorchGuard& guard) {
  absl::StatusOr<SharedBundle> bundle = absl::InternalError("not loaded");
  const absl::Status status = guard.Run(absl::StrCat("loading of model '", source.id, "'"), [&] {
    bundle = ModelBundle::Load({.id = source.id,
                                .path = source.path,
                                .card = source.card,
                                .device = device,
                                .dtype = defaults.dtype,
                                .auto_dtypes = defaults.auto_dtypes,
                                .packed_bytes = source.packed_bytes,
                                .notice = NoticeOf(source, defaults)});
  });
  STEPCAST_RETURN_IF_ERROR(status);
  if (!bundle.ok()) {
    return absl::Status(bundle.status().code(),
                        absl::StrCat("model '", source.id, "' in '", source.path, "': ", bundle.status().message()));
  }
  return bundle;
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

bool IsRefused(const std::string& id, const LoadedEngine& engine) {
  return std::ranges::any_of(engine.refused, [&id](const RefusedModel& model) { return model.id == id; });
}

void Describe(const ModelSource& source, const ModelBundle& bundle, LoadedEngine& engine) {
  for (const std::string& warning : bundle.warnings()) {
    engine.warnings.push_back(absl::StrCat("model '", source.id, "': ", warning));
  }
  for (const std::string& note : bundle.notes()) {
    engine.notes.push_back(absl::StrCat("model '", source.id, "': ", note));
  }
  ModelInfo info = *bundle.info();
  info.samplers = sampling::UsableSamplers(info);
  engine.models.push_back(std::make_shared<const ModelInfo>(std::move(info)));
}

// Loads all models onto one device, but for those that failed on another, and, the first time, tells what they are.
absl::StatusOr<std::vector<SharedBundle>> LoadModels(const EngineOptions& options, const ComputeDevice& device,
                                                     const TorchGuard& guard, LoadedEngine& engine) {
  device.BindThread();  // weights are packed by as many threads as will use them
  STEPCAST_ASSIGN_OR_RETURN(const LoadDefaults defaults, DefaultsFor(options, device, guard));
  const bool first = engine.models.empty();
  std::vector<SharedBundle> bundles;
  for (const ModelSource& source : options.models) {
    if (IsRefused(source.id, engine)) continue;
    absl::StatusOr<SharedBundle> bundle = LoadBundle(source, device.device(), defaults, guard);
    if (!bundle.ok()) {
      engine.refused.push_back({source.id, std::string(bundle.status().message())});
      continue;
    }
    if (first) Describe(source, **bundle, engine);
    bundles.push_back(*std::move(bundle));
  }
  return bundles;
}

// The models on each device, by its name, and one device of that name.
struct Loaded {
  std::vector<SharedBundle> bundles;
  ComputeDevice* device = nullptr;
};
using LoadedByDevice = std::map<std::string, Loaded>;

absl::StatusOr<LoadedByDevice> LoadAll(const EngineOptions& options, const OpenedDevices& devices,
                                       const TorchGuard& guard, LoadedEngine& engine) {
  LoadedByDevice loaded;
  for (const auto& device : devices) {
    Loaded& entry = loaded[device->name()];
    if (entry.device != nullptr) continue;
    entry.device = device.get();
    STEPCAST_ASSIGN_OR_RETURN(entry.bundles, LoadModels(options, *device, guard, engine));
  }
  return loaded;
}

// Lets go of the models that were refused, on all devices. Errors: FAILED_PRECONDITION when none is left.
absl::Status DropRefused(LoadedByDevice& loaded, LoadedEngine& engine) {
  for (auto& [name, entry] : loaded) {
    std::erase_if(entry.bundles, [&](const SharedBundle& bundle) { return IsRefused(bundle->info()->id, engine); });
  }
  std::erase_if(engine.models, [&](const SharedModelInfo& info) { return IsRefused(info->id, engine); });
  if (!engine.models.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrJoin(
      engine.refused, "\n", [](std::string* out, const RefusedModel& model) { absl::StrAppend(out, model.why); }));
}

// The bits of these models on these devices with these threads, before anyone relies on them.
absl::StatusOr<engine::StrictChoice> ChooseStrict(const EngineOptions& options, const LoadedByDevice& loaded,
                                                  const TorchGuard& guard) {
  if (options.strict_rows == 0) return engine::StrictChoice();
  const engine::StrictProbe probe = [&](int rows) -> absl::StatusOr<std::optional<std::string>> {
    for (const auto& [name, entry] : loaded) {
      for (const SharedBundle& bundle : entry.bundles) {
        bool independent = false;
        STEPCAST_RETURN_IF_ERROR(guard.Run("strict mode's check", [&, device = entry.device] {
          const c10::InferenceMode inference_mode;
          device->BindThread();
          independent = engine::RowsAreIndependent(*bundle, *device, rows);
        }));
        if (!independent) return bundle->info()->id;
      }
    }
    return std::nullopt;
  };
  const absl::Span<const int> candidates = engine::StrictCandidates(loaded.begin()->second.device->device().is_cpu());
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
void WarmUpAll(const LoadedByDevice& loaded, int rows, const TorchGuard& guard, LoadedEngine& engine) {
  for (const auto& [name, entry] : loaded) {
    for (const SharedBundle& bundle : entry.bundles) {
      const std::string& id = bundle->info()->id;
      if (IsRefused(id, engine)) continue;
      const absl::Status warm = WarmUp(*bundle, *entry.device, rows, guard);
      if (!warm.ok()) engine.refused.push_back({id, absl::StrCat("model '", id, "': ", warm.message())});
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

std::vector<BatchKey> ProfileKeys(const std::vector<SharedModelInfo>& models) {
  std::vector<BatchKey> keys;
  for (const SharedModelInfo& info : models) {
    const int height = info->defaults.height / info->vae_scale_factor;
    const int width = info->defaults.width / info->vae_scale_factor;
    if (info->conditioning == ConditioningKind::kText) keys.push_back({.phase = Phase::kEncode, .model = info->id});
    for (const Phase phase : {Phase::kDenoise, Phase::kPreview, Phase::kDecode}) {
      keys.push_back({.phase = phase, .model = info->id, .latent_height = height, .latent_width = width});
    }
  }
  return keys;
}

std::string CostFingerprint(const EngineOptions& options, const LoadedEngine& loaded,
                            const engine::StrictChoice& strict) {
  std::vector<std::string> parts;
  for (const SharedModelInfo& info : loaded.models) {
    parts.push_back(absl::StrCat(info->id, "@", info->sha256, "@", DescribeDtypes(*info)));
  }
  for (const LoadedDevice& device : loaded.devices) parts.push_back(device.name);
  // The quota too: more threads than it allows wait for each other's time slices.
  const CpuBudget cpus = ReadCpuBudget();
  return absl::StrCat(absl::StrJoin(parts, " "), " threads=", TotalThreads(options), "/", cpus.affinity, "/",
                      std::min(cpus.quota, static_cast<double>(cpus.affinity)), " strict_rows=", strict.rows,
                      " cpu=", at::get_cpu_capability(), " torch=", TORCH_VERSION, " engine=", kCostVersion);
}

absl::StatusOr<LoadedEngine> Load(const EngineOptions& options, EngineMetrics& metrics) {
  STEPCAST_ASSIGN_OR_RETURN(OpenedDevices devices, OpenDevices(options));
  const TorchGuard guard(options.log_error);
  if (options.strict_rows != 0) {
    at::globalContext().setDeterministicCuDNN(true);
    at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/true);
  }
  LoadedEngine loaded;
  STEPCAST_ASSIGN_OR_RETURN(LoadedByDevice by_device, LoadAll(options, devices, guard, loaded));
  STEPCAST_RETURN_IF_ERROR(DropRefused(by_device, loaded));
  STEPCAST_ASSIGN_OR_RETURN(const engine::StrictChoice strict, ChooseStrict(options, by_device, guard));
  loaded.strict = DescribeStrict(options, strict);
  if (options.warm_up) WarmUpAll(by_device, strict.rows > 0 ? strict.rows : 2, guard, loaded);
  STEPCAST_RETURN_IF_ERROR(DropRefused(by_device, loaded));
  STEPCAST_RETURN_IF_ERROR(engine::BoundDecodes(options, devices, guard, loaded.models));
  for (size_t i = 0; i < devices.size(); ++i) {
    const std::string name = devices[i]->name();
    // Loading leaves the plain copies of packed weights behind.
    devices[i]->ReleaseCachedMemory();
    engine::DiffusionExecutorOptions executor;
    executor.bundles = by_device.at(name).bundles;
    executor.device = std::move(devices[i]);
    executor.limits = LimitsOf(options, strict);
    executor.embedding_cache_entries = static_cast<size_t>(options.embedding_cache_entries);
    executor.log = options.log_error;
    loaded.devices.push_back({.name = options.replicas > 1 ? absl::StrCat(name, ":", i) : name,
                              .executor = std::make_unique<engine::DiffusionExecutor>(std::move(executor), metrics),
                              .threads = ThreadsOfEach(options)});
  }
  loaded.profile_keys = ProfileKeys(loaded.models);
  loaded.cost_fingerprint = CostFingerprint(options, loaded, strict);
  return loaded;
}

// The model as it would be loaded, on no device.
absl::StatusOr<CheckedModel> Check(const EngineOptions& options) {
  STEPCAST_ASSIGN_OR_RETURN(const OpenedDevices devices, OpenDevices(options));
  const TorchGuard guard(options.log_error);
  STEPCAST_ASSIGN_OR_RETURN(const LoadDefaults defaults, DefaultsFor(options, *devices.front(), guard));
  const auto nowhere = c10::Device(c10::DeviceType::Meta);
  STEPCAST_ASSIGN_OR_RETURN(const SharedBundle bundle, LoadBundle(options.models.front(), nowhere, defaults, guard));
  ModelInfo info = *bundle->info();
  info.samplers = sampling::UsableSamplers(info);
  info.device = devices.front()->name();
  return CheckedModel{std::make_shared<const ModelInfo>(std::move(info)), bundle->warnings()};
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
