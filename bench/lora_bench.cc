// What LoRAs add to a forward of a U-Net of the shape of Stable Diffusion 1.5: forwards without any, and with one for
// each pair of rows, in turn. Prints one JSON array.
//
//   lora_bench [--dtype bf16|fp32] [--side N] [--rows N] [--rounds N] [--threads N]
//
// The weights are zeros, which cost what others do.

#include <unistd.h>

#include <ATen/Parallel.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/clock.h"
#include "core/status_macros.h"
#include "model/files/json_config.h"
#include "model/lora/lora_loader.h"
#include "model/lora/row_adapters.h"
#include "model/unet/unet_2d_condition_model.h"
#include "model/weights/weight_map.h"
#include "model/weights/weight_set.h"
#include "nlohmann/json.hpp"

ABSL_FLAG(std::string, dtype, "bf16", "bf16, fp32");
ABSL_FLAG(int, side, 512, "pixels");
ABSL_FLAG(int, rows, 4, "of a forward, even");
ABSL_FLAG(int, rounds, 5, "pairs of forwards for each kind of LoRA, after one that is not measured");
ABSL_FLAG(int, threads, 2, "intra-op threads");

namespace stepcast::model {
namespace {

constexpr char kShape[] = R"({"in_channels": 4, "out_channels": 4, "sample_size": 64, "cross_attention_dim": 768,
  "block_out_channels": [320, 640, 1280, 1280], "layers_per_block": 2, "attention_head_dim": 8,
  "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
  "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"]})";

// A file of zeros with every weight that the U-Net asks for. Takes no room on a disk that knows holes.
std::string WriteZeros(const UNetConfig& config) {
  WeightMap asked;
  const UNet2DConditionModel described(asked, config);
  nlohmann::json header = nlohmann::json::object();
  uint64_t at = 0;
  for (const auto& [name, shape] : asked.requested()) {
    uint64_t bytes = 2;
    for (const int64_t side : shape) bytes *= static_cast<uint64_t>(side);
    header[name] = {{"dtype", "F16"}, {"shape", shape}, {"data_offsets", {at, at + bytes}}};
    at += bytes;
  }
  const std::string text = header.dump();
  const uint64_t length = text.size();
  std::string head(sizeof(length), '\0');
  std::memcpy(head.data(), &length, sizeof(length));
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / absl::StrCat("lora_bench_", static_cast<int64_t>(getpid()));
  std::filesystem::create_directories(folder);
  const std::filesystem::path path = folder / "diffusion_pytorch_model.safetensors";
  std::ofstream(path, std::ios::binary) << head << text;
  std::filesystem::resize_file(path, head.size() + length + at);
  return folder.string();
}

absl::StatusOr<std::unique_ptr<const UNet2DConditionModel>> Load(c10::ScalarType dtype) {
  STEPCAST_ASSIGN_OR_RETURN(JsonConfig json, JsonConfig::Parse(kShape, "unet"));
  STEPCAST_ASSIGN_OR_RETURN(const UNetConfig config, ParseUNetConfig(json));
  const std::string folder = WriteZeros(config);
  STEPCAST_ASSIGN_OR_RETURN(const WeightSet set, WeightSet::Open(folder, "diffusion_pytorch_model", {""}, nullptr));
  WeightMap weights(set, c10::DeviceType::CPU, dtype);
  auto unet = std::make_unique<const UNet2DConditionModel>(weights, config);
  std::filesystem::remove_all(folder);
  STEPCAST_RETURN_IF_ERROR(weights.Report("unet"));
  return unet;
}

struct Kind {
  const char* name;
  bool attention_only;
  int64_t rank;
};

bool Changes(const Kind& kind, const LoraSite& site) {
  return !kind.attention_only || absl::StrContains(site.name, ".attn1.") || absl::StrContains(site.name, ".attn2.");
}

// Another one at every call, so that pairs of rows share nothing.
std::shared_ptr<const NetworkAdapter> Make(const Kind& kind, const std::vector<LoraSite>& sites,
                                           c10::ScalarType dtype) {
  auto adapter = std::make_shared<NetworkAdapter>();
  for (const LoraSite& site : sites) {
    LowRank& layer = adapter->sites.emplace_back();
    if (!Changes(kind, site)) continue;
    layer.up = at::randn({site.out, kind.rank}).to(dtype);
    layer.down = site.kernel == 0 ? at::randn({kind.rank, site.in}).to(dtype)
                                  : at::randn({kind.rank, site.in, site.kernel, site.kernel})
                                        .to(dtype)
                                        .contiguous(at::MemoryFormat::ChannelsLast);
  }
  return adapter;
}

// What admission charges for it: LoraCost of a file that changes those sites.
double Priced(const Kind& kind, const LoraTargets& targets) {
  std::vector<LoraModule> modules(targets.front().sites.size());
  std::vector<LoraMatch> matches;
  for (size_t i = 0; i < modules.size(); ++i) {
    const LoraSite& site = targets.front().sites[i];
    if (!Changes(kind, site)) continue;
    modules[i].up.shape = {site.out, kind.rank};
    matches.push_back({.network = 0, .site = static_cast<int>(i), .module = &modules[i]});
  }
  return LoraCost(matches, targets);
}

class Bench {
 public:
  Bench(const UNet2DConditionModel& unet, c10::ScalarType dtype)
      : unet_(unet), rows_(absl::GetFlag(FLAGS_rows)), latents_(at::randn(Shape()).to(dtype)), dtype_(dtype) {
    text_ = at::randn({rows_, 77, 768}).to(dtype);
    plain_ = unet_.Prepare({.prompt_embeds = text_});
  }

  nlohmann::json Run(const Kind& kind) {
    std::vector<AdapterRun> runs;
    const LoraTargets targets = unet_.lora_targets();
    for (int64_t row = 0; row < rows_; row += 2) {
      runs.push_back({.adapter = Make(kind, targets.front().sites, dtype_), .first = row, .rows = 2, .scale = 0.8f});
    }
    const Conditioning with =
        unet_.Prepare({.prompt_embeds = text_, .adapters = std::make_shared<const RowAdapters>(std::move(runs))});
    std::vector<double> plain, ratios;
    for (int i = 0; i <= absl::GetFlag(FLAGS_rounds); ++i) {
      const double without = Forward(plain_);
      const double ratio = Forward(with) / without;
      if (i == 0) continue;
      plain.push_back(without);
      ratios.push_back(ratio);
    }
    std::sort(plain.begin(), plain.end());
    std::sort(ratios.begin(), ratios.end());
    return {{"loras", rows_ / 2},
            {"layers", kind.name},
            {"rank", kind.rank},
            {"plain_s", plain[plain.size() / 2]},
            {"ratio", ratios[ratios.size() / 2]},
            {"ratio_least", ratios.front()},
            {"ratio_most", ratios.back()},
            {"priced", 1.0 + Priced(kind, targets)}};
  }

 private:
  std::vector<int64_t> Shape() const {
    return {rows_, 4, absl::GetFlag(FLAGS_side) / 8, absl::GetFlag(FLAGS_side) / 8};
  }

  double Forward(const Conditioning& conditioning) const {
    const absl::Time start = RealClock().Now();
    (void)unet_(latents_, at::full({rows_}, 500.0F), conditioning);
    return absl::ToDoubleSeconds(RealClock().Now() - start);
  }

  const UNet2DConditionModel& unet_;
  const int64_t rows_;
  const at::Tensor latents_;
  const c10::ScalarType dtype_;
  at::Tensor text_;
  Conditioning plain_;
};

int Run() {
  const c10::InferenceMode no_autograd;
  at::set_num_threads(absl::GetFlag(FLAGS_threads));
  const c10::ScalarType dtype =
      absl::GetFlag(FLAGS_dtype) == "fp32" ? c10::ScalarType::Float : c10::ScalarType::BFloat16;
  const auto unet = Load(dtype);
  if (!unet.ok()) {
    std::fprintf(stderr, "%s\n", unet.status().ToString().c_str());
    return 1;
  }
  Bench bench(**unet, dtype);
  nlohmann::json results = nlohmann::json::array();
  for (const Kind& kind : {Kind{"attention", true, 4}, Kind{"attention", true, 16}, Kind{"attention", true, 64},
                           Kind{"attention", true, 128}, Kind{"all", false, 16}, Kind{"all", false, 64}}) {
    results.push_back(bench.Run(kind));
  }
  std::printf("%s\n", results.dump(1).c_str());
  return 0;
}

}  // namespace
}  // namespace stepcast::model

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  return stepcast::model::Run();
}
