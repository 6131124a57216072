// A model of full size: how long it loads, how long one forward of its denoiser takes, what memory both need at most.
// Prints one JSON object.
//
//   full_shape --model PATH [--dtype fp32|bf16|fp16] [--unet_only] [--side N] [--rows N] [--steps N] [--threads N]
//
// PATH is a folder, of which --unet_only loads the U-Net alone, or a checkpoint in one file. bench/full_shape.py makes
// models of random weights and runs this beside diffusers.

#include <ATen/Parallel.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "core/clock.h"
#include "core/status_macros.h"
#include "model/files/json_config.h"
#include "model/model_bundle.h"
#include "model/unet/unet_2d_condition_model.h"
#include "model/weights/weight_map.h"
#include "model/weights/weight_set.h"

ABSL_FLAG(std::string, model, "", "folder or file");
ABSL_FLAG(std::string, dtype, "bf16", "fp32, bf16, fp16");
ABSL_FLAG(bool, unet_only, false, "load the U-Net alone");
ABSL_FLAG(int, side, 0, "pixels; 0: what the model was trained at");
ABSL_FLAG(int, rows, 1, "rows of one forward");
ABSL_FLAG(int, steps, 3, "forwards that are measured, after one that is not");
ABSL_FLAG(int, threads, 2, "intra-op threads");

namespace stepcast::model {
namespace {

constexpr int64_t kPixelsPerCell = 8;

// MiB, of a line of /proc/self/status.
double Resident(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    double kib = 0;
    if (word == key && status >> kib) return kib / 1024;
  }
  return 0;
}

double Seconds(absl::Time since) { return absl::ToDoubleSeconds(RealClock().Now() - since); }

c10::ScalarType Dtype(const std::string& name) {
  if (name == "fp32") return c10::ScalarType::Float;
  return name == "fp16" ? c10::ScalarType::Half : c10::ScalarType::BFloat16;
}

// What is run, and what keeps it alive.
struct Loaded {
  std::shared_ptr<const ModelBundle> bundle;
  std::unique_ptr<const UNet2DConditionModel> unet;
  UNetConfig config;

  const Denoiser& denoiser() const { return bundle != nullptr ? bundle->denoiser() : *unet; }
};

absl::StatusOr<Loaded> Load() {
  const std::string path = absl::GetFlag(FLAGS_model);
  const c10::ScalarType dtype = Dtype(absl::GetFlag(FLAGS_dtype));
  Loaded loaded;
  if (!absl::GetFlag(FLAGS_unet_only)) {
    LoadOptions options;
    options.id = "full";
    options.path = path;
    options.dtype = dtype;
    STEPCAST_ASSIGN_OR_RETURN(loaded.bundle, ModelBundle::Load(options));
    return loaded;
  }
  STEPCAST_ASSIGN_OR_RETURN(JsonConfig json, JsonConfig::Read(path + "/unet/config.json"));
  STEPCAST_ASSIGN_OR_RETURN(loaded.config, ParseUNetConfig(json));
  STEPCAST_ASSIGN_OR_RETURN(const WeightSet set,
                            WeightSet::Open(path + "/unet", "diffusion_pytorch_model", {""}, nullptr));
  WeightMap weights(set, c10::DeviceType::CPU, dtype);
  loaded.unet = std::make_unique<const UNet2DConditionModel>(weights, loaded.config);
  STEPCAST_RETURN_IF_ERROR(weights.Report("unet"));
  return loaded;
}

// What SDXL reads beside latents.
Conditioning Tell(int64_t rows, c10::ScalarType dtype) {
  Conditioning conditioning;
  conditioning.prompt_embeds = at::randn({rows, 77, 2048}).to(dtype);
  conditioning.text_embeds = at::randn({rows, 1280}).to(dtype);
  conditioning.time_ids = at::full({rows, 6}, 1024.0F).to(dtype);
  return conditioning;
}

int Run() {
  const c10::InferenceMode no_autograd;
  at::set_num_threads(absl::GetFlag(FLAGS_threads));
  const c10::ScalarType dtype = Dtype(absl::GetFlag(FLAGS_dtype));
  const double before = Resident("VmRSS:");
  const absl::Time start = RealClock().Now();
  const absl::StatusOr<Loaded> loaded = Load();
  if (!loaded.ok()) {
    std::fprintf(stderr, "%s\n", loaded.status().ToString().c_str());
    return 1;
  }
  const double load_s = Seconds(start);
  const double load_peak = Resident("VmHWM:") - before;
  const double loaded_mib = Resident("VmRSS:") - before;
  const int side = absl::GetFlag(FLAGS_side) > 0 ? absl::GetFlag(FLAGS_side) : 1024;
  const int64_t rows = absl::GetFlag(FLAGS_rows), cells = side / kPixelsPerCell;
  const at::Tensor latents = at::randn({rows, 4, cells, cells}).to(dtype);
  const Conditioning conditioning = loaded->denoiser().Prepare(Tell(rows, dtype));
  std::vector<double> seconds;
  for (int i = 0; i <= absl::GetFlag(FLAGS_steps); ++i) {
    const absl::Time step = RealClock().Now();
    const at::Tensor output = loaded->denoiser()(latents, at::full({rows}, 500.0F), conditioning);
    if (i > 0) seconds.push_back(Seconds(step));
  }
  std::sort(seconds.begin(), seconds.end());
  std::printf(
      "{\"load_s\": %.2f, \"load_peak_mib\": %.0f, \"loaded_mib\": %.0f, \"step_s\": %.3f, \"peak_mib\": %.0f, "
      "\"side\": %d, \"rows\": %d}\n",
      load_s, load_peak, loaded_mib, seconds[seconds.size() / 2], Resident("VmHWM:") - before, side,
      static_cast<int>(rows));
  return 0;
}

}  // namespace
}  // namespace stepcast::model

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  return stepcast::model::Run();
}
