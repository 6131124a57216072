#pragma once
// The torch-free door to the engine: the only header of engine/ that the server may include.

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/metrics.h"
#include "core/model_info.h"
#include "scheduler/step_executor.h"

namespace stepcast {

// One model to load.
struct ModelSource {
  std::string id;    // how requests name it
  std::string path;  // a folder in diffusers layout
};

struct EngineOptions {
  std::vector<ModelSource> models;
  std::string device = "auto";         // "auto" | "cpu" | "cuda:N"; auto: the first CUDA device, else the CPU
  std::string dtype = "auto";          // "auto" | "fp32" | "bf16" | "fp16"; auto: fp32 on the CPU, bf16 on CUDA
  int threads = 0;                     // intra-op threads on the CPU; 0: one per core
  int max_rows = 16;                   // forward rows per denoise tick, >= 2
  int embedding_cache_entries = 1024;  // prompts kept encoded; 0: none
  bool warm_up = true;                 // run each model once, so that the first request does not pay for it

  // Receives what clients must not see: the text behind an error id. Called on the engine thread; may be empty.
  std::function<void(std::string_view)> log_error;
};

// A ready executor and what it can paint.
struct LoadedEngine {
  std::vector<SharedModelInfo> models;  // in the order of the options
  std::unique_ptr<StepExecutor> executor;
  std::string device;                 // "cpu", "cuda:0"
  std::vector<std::string> warnings;  // what was odd about the models and did no harm; for the log
};

// Loads the models and makes the executor. `metrics` must outlive it.
// Errors: NOT_FOUND, INVALID_ARGUMENT or FAILED_PRECONDITION, naming the model, the file and the remedy.
absl::StatusOr<LoadedEngine> CreateEngine(const EngineOptions& options, EngineMetrics& metrics);

// An environment variable and the value the engine wants where the operator has set none.
struct EnvironmentDefault {
  const char* name;
  const char* value;
};

// Settings of the OpenMP runtime, which reads them once, while the process is loaded: a program that runs the
// engine sets those that are absent and then executes itself again, before it starts any thread. Without them
// a busy machine stalls ticks by seconds: workers spin for threads that are not running (engine/README.md has
// the measurements).
const std::vector<EnvironmentDefault>& EngineEnvironment();

}  // namespace stepcast
