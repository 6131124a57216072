#include "engine/engine_factory.h"

#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "engine/device.h"
#include "engine/diffusion_executor.h"
#include "engine/torch_guard.h"
#include "model/model_bundle.h"
#include "sampling/compile.h"

namespace stepcast {
namespace {

constexpr size_t kPromptTokens = 77;  // of a CLIP text encoder

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
  if (options.embedding_cache_entries < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("embedding_cache_entries is ", options.embedding_cache_entries, "; allowed: 0 or more"));
  }
  return absl::OkStatus();
}

bool ReadsVariance(const sampling::SamplingProgram& program) {
  return std::ranges::any_of(program.evaluations, [](const sampling::Evaluation& evaluation) {
    return evaluation.special == sampling::Special::kVarianceNoise ||
           evaluation.special == sampling::Special::kVarianceRoot;
  });
}

// The samplers whose program exists for this model's noise schedule.
std::vector<Sampler> UsableSamplers(const ModelInfo& info) {
  std::vector<Sampler> usable;
  for (const Sampler sampler : sampling::SupportedSamplers()) {
    sampling::SamplerSpec spec;
    spec.sampler = sampler;
    spec.steps = info.defaults.steps;
    const auto program = sampling::Compile(info.noise_schedule, spec);
    if (program.ok() && (info.predicts_variance || !ReadsVariance(**program))) usable.push_back(sampler);
  }
  return usable;
}

// Something that the model can be asked for.
model::ConditioningInput AnyInput(const ModelInfo& info) {
  model::ConditioningInput input;
  input.token_ids.assign(std::max<size_t>(1, info.tokenizer_dirs.size()), std::vector<int32_t>(kPromptTokens, 0));
  if (!info.class_labels.empty()) input.class_index = info.class_labels.begin()->first;
  return input;
}

// Runs every part of the model once in the shapes of a default request: the libraries below choose and build
// their kernels on first use.
void RunOnce(const ModelBundle& bundle) {
  const c10::InferenceMode inference_mode;
  const ModelInfo& info = *bundle.info();
  const at::TensorOptions floats = at::TensorOptions(c10::ScalarType::Float).device(bundle.device());
  const int64_t height = info.defaults.height / info.vae_scale_factor;
  const int64_t width = info.defaults.width / info.vae_scale_factor;
  const at::Tensor latents = at::zeros({2, info.latent_channels, height, width}, floats);
  const model::Conditioning conditioning = bundle.conditioner().Encode({AnyInput(info), AnyInput(info)});
  bundle.denoiser()(latents.to(bundle.dtype()), at::ones({2}, floats), conditioning);
  if (bundle.classifier() != nullptr) {
    const at::Tensor labels = at::zeros({2}, at::TensorOptions(c10::ScalarType::Long).device(bundle.device()));
    bundle.classifier()->Gradient(latents, at::ones({2}, floats), labels);
  }
  bundle.codec().Decode(latents.narrow(0, 0, 1));
}

// On a thread of its own: OpenMP gives each calling thread a pool of workers, and one left behind by the caller
// would compete with that of the engine thread.
absl::Status WarmUp(const ModelBundle& bundle, const ComputeDevice& device, const TorchGuard& guard) {
  absl::Status status;
  std::thread([&] {
    status = guard.Run(absl::StrCat("warm-up of model '", bundle.info()->id, "'"), [&] {
      device.BindThread();
      RunOnce(bundle);
      device.Synchronize();
    });
  }).join();
  return status;
}

absl::StatusOr<SharedBundle> LoadBundle(const ModelSource& source, const ComputeDevice& device, c10::ScalarType dtype,
                                        const TorchGuard& guard) {
  absl::StatusOr<SharedBundle> bundle = absl::InternalError("not loaded");
  const absl::Status status = guard.Run(absl::StrCat("loading of model '", source.id, "'"), [&] {
    bundle = ModelBundle::Load({.id = source.id, .path = source.path, .device = device.device(), .dtype = dtype});
  });
  STEPCAST_RETURN_IF_ERROR(status);
  if (!bundle.ok()) {
    return absl::Status(bundle.status().code(),
                        absl::StrCat("model '", source.id, "' in '", source.path, "': ", bundle.status().message()));
  }
  return bundle;
}

}  // namespace

absl::StatusOr<LoadedEngine> CreateEngine(const EngineOptions& options, EngineMetrics& metrics) {
  STEPCAST_RETURN_IF_ERROR(CheckOptions(options));
  STEPCAST_ASSIGN_OR_RETURN(std::unique_ptr<ComputeDevice> device, engine::OpenDevice(options.device, options.threads));
  STEPCAST_ASSIGN_OR_RETURN(const c10::ScalarType dtype, engine::ParseDtype(options.dtype, *device));
  const TorchGuard guard(options.log_error);
  LoadedEngine loaded;
  loaded.device = device->name();
  engine::DiffusionExecutorOptions executor;
  for (const ModelSource& source : options.models) {
    STEPCAST_ASSIGN_OR_RETURN(SharedBundle bundle, LoadBundle(source, *device, dtype, guard));
    if (options.warm_up) STEPCAST_RETURN_IF_ERROR(WarmUp(*bundle, *device, guard));
    for (const std::string& warning : bundle->warnings()) {
      loaded.warnings.push_back(absl::StrCat("model '", source.id, "': ", warning));
    }
    ModelInfo info = *bundle->info();
    info.samplers = UsableSamplers(info);
    loaded.models.push_back(std::make_shared<const ModelInfo>(std::move(info)));
    executor.bundles.push_back(std::move(bundle));
  }
  executor.device = std::move(device);
  executor.limits.max_denoise_rows = options.max_rows;
  executor.embedding_cache_entries = static_cast<size_t>(options.embedding_cache_entries);
  executor.log = options.log_error;
  loaded.executor = std::make_unique<engine::DiffusionExecutor>(std::move(executor), metrics);
  return loaded;
}

const std::vector<EnvironmentDefault>& EngineEnvironment() {
  static const auto* const kDefaults = new std::vector<EnvironmentDefault>{{"GOMP_SPINCOUNT", "200"}};
  return *kDefaults;
}

}  // namespace stepcast
