#pragma once
// The torch-free door to the engine: the only header of engine/ that the server may include.

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/control_net_info.h"
#include "core/dtype.h"
#include "core/metrics.h"
#include "core/model_card.h"
#include "core/model_host.h"
#include "core/model_info.h"
#include "core/prompt_tokens.h"
#include "engine/start/engine_environment.h"
#include "scheduler/words/step_executor.h"

namespace stepcast {

// One model to load.
struct ModelSource {
  std::string id;       // how requests name it
  std::string path;     // a folder in diffusers layout, or a checkpoint in one .safetensors file
  ModelCard card = {};  // what the operator says of it; wins over the card beside the model
  // Bytes of convolution weights that are kept in the layouts of other sizes; nullopt: a fifth of the packed ones.
  std::optional<int64_t> packed_bytes = std::nullopt;
  ModelLoading loading = ModelLoading::kEager;
  std::vector<std::string> devices = {};  // that paint it, or whose loops do: "cuda:0", "cpu:1"; empty: all
};

// One ControlNet to load.
struct ControlNetSource {
  std::string id;                             // how requests name it
  std::string path;                           // a folder in diffusers layout, or one .safetensors file
  std::optional<Dtype> dtype = std::nullopt;  // what it computes in; nullopt: EngineOptions::dtype
};

// EngineOptions::memory_budget: most of what the device has.
inline constexpr int64_t kAutoMemoryBudget = -1;

// EngineOptions::strict_rows: the engine chooses.
inline constexpr int kAutoStrictRows = -1;

struct EngineOptions {
  std::vector<ModelSource> models;
  std::vector<ControlNetSource> control_nets;
  std::string device = "auto";       // "auto" | "cpu" | "cuda:N"; auto: the first CUDA device, else the CPU
  std::vector<std::string> devices;  // several, each with a copy of the models; then `device` is not read
  int replicas = 1;                  // executors on the CPU, 1..64; they share models and divide `threads`
  // Of models whose cards and entries say nothing: "auto" | "fp32" | "bf16" | "fp16". auto: on a CPU bf16 where it has
  // instructions for it, else fp32; on CUDA fp16 or bf16, as the files hold, if the card has tensor cores for it.
  std::string dtype = "auto";
  int threads = 0;    // intra-op threads on the CPU; 0: as many as ReadCpuBudget allows
  int max_rows = 16;  // forward rows per denoise tick, >= 2
  // 0: free. Else strict (ExecutorLimits): rows of every forward, 2..max_rows, refused where rows of some model are not
  // independent at that count; or kAutoStrictRows, the first count of a fixed list for the kind of device that passes,
  // and where none does, one job per forward, which is exact anywhere.
  int strict_rows = 0;
  int max_resident_jobs = std::numeric_limits<int>::max();  // per executor; more are parked, >= 1
  int embedding_cache_entries = 1024;                       // prompts kept encoded; 0: none
  int64_t max_decode_bytes = 0;  // that the decode of one picture may take; 0: what a device has free after loading
  bool warm_up = true;           // run each model once, so that the first request does not pay for it
  int64_t memory_budget = kNoMemoryBudget;        // bytes that weights may take on each device, or kAutoMemoryBudget
  int64_t control_nets_budget = kNoMemoryBudget;  // bytes that the weights of ControlNets may take on each device

  // Receives what clients must not see: the text behind an error id. Called on the engine thread; may be empty.
  std::function<void(std::string_view)> log_error;
  // Receives what an operator should know of and that stops nothing, while serving. Called on any thread; may be empty.
  std::function<void(std::string_view)> log_notice;
};

// An executor, for an engine loop of its own. All of them paint all models.
struct LoadedDevice {
  std::string name;  // "cpu", "cuda:0"; "cpu:0", "cpu:1" ... with replicas
  std::unique_ptr<StepExecutor> executor;
  int threads = 0;  // intra-op threads of its own on the CPU
};

// A model that cannot be served, while others can.
struct RefusedModel {
  std::string id;
  std::string why;  // names the model, what is wrong and the remedy; for the log
};

// Ready executors and what they can paint.
struct LoadedEngine {
  std::vector<SharedModelInfo> models;       // in the order of the options, at least one, in memory or not
  std::vector<std::string> unloaded;         // ids of those that are not
  std::vector<ModelMemory> memory;           // the devices that hold them
  std::unique_ptr<ModelHost> host;           // moves them in and out; null: they stay as they are
  std::vector<RefusedModel> refused;         // those that could not be loaded
  std::vector<ControlNetInfo> control_nets;  // that are loaded; each model's info lists those that go with it
  std::vector<LoadedDevice> devices;         // at least one
  std::vector<std::string> notes;            // where the models' parts come from, what is not run; for the log
  std::vector<std::string> warnings;         // what was odd about the models and did no harm; for the log
  std::string strict;                        // what strict mode came to, a sentence for the log; empty in free mode
  std::vector<BatchKey> profile_keys;        // of a default request of each model: what is worth measuring at start
  // Equal fingerprints: ticks take the same time. Names the models' weights, dtype, devices, threads and the CPUs that
  // they may use, strict_rows and the libraries; not this machine's speed, so a cost file belongs to its machine.
  std::string cost_fingerprint;
  // Equal words: equal rows give equal bits, of one model in one compute type. Names instruction set, threads,
  // libraries, devices by their kind, and strict_rows.
  std::string numerics;
};

// Loads the models, but for those that are loaded on demand, and makes the executors. `metrics` must outlive them, and
// is called from each one's thread. A model that cannot be loaded, or would never fit the memory budget, stops no
// other. Errors: INVALID_ARGUMENT or FAILED_PRECONDITION for options; FAILED_PRECONDITION when no model can be loaded,
// one line for each, naming the model, the file and the remedy.
absl::StatusOr<LoadedEngine> CreateEngine(const EngineOptions& options, EngineMetrics& metrics);

// Reads a textual inversion from a .safetensors file: one tensor of any name, [width] or [vectors, width], whose name
// is its token unless that is "emb_params", or clip_l and clip_g of Stable Diffusion XL. Errors: INVALID_ARGUMENT or
// NOT_FOUND naming the file, what is wrong and the remedy; UNIMPLEMENTED for pickles, which are never read.
absl::StatusOr<TextualInversion> ReadTextualInversion(const std::string& path);

// A model as it would be served, without its weights in memory.
struct CheckedModel {
  SharedModelInfo info;
  std::vector<std::string> warnings;
  std::optional<ControlNetInfo> control_net = std::nullopt;  // what it is instead; then `info` is null
};

// Reads the one model of `options` but for the numbers of its weights: names, shapes, types and configs are checked.
// It may also be a ControlNet. Errors: as of loading it.
absl::StatusOr<CheckedModel> CheckModel(const EngineOptions& options);

}  // namespace stepcast
