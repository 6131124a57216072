#include "model/lora/lora_loader.h"

#include <algorithm>
#include <utility>

#include <ATen/TensorOperators.h>
#include <ATen/ops/einsum.h>
#include <ATen/ops/isfinite.h>
#include <c10/core/InferenceMode.h>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "core/dtype.h"
#include "core/status_macros.h"
#include "model/loading/compute_dtypes.h"
#include "model/weights/tensor_reader.h"

namespace stepcast::model {
namespace {

constexpr size_t kShown = 120;  // characters of a name in a message
// A narrow product waits for memory where a wide one computes, so its arithmetic is charged twice.
constexpr double kSlowness = 2.0;

absl::StatusOr<at::Tensor> Read(const LoraFile& file, const TensorEntry& entry) {
  const StoredTensor stored{.entry = &entry, .file = file.file.get()};
  STEPCAST_ASSIGN_OR_RETURN(at::Tensor tensor,
                            ReadTensor(stored, entry.shape, c10::Device(c10::DeviceType::CPU), c10::ScalarType::Float));
  if (at::isfinite(tensor).all().item<bool>()) return tensor;
  return absl::InvalidArgumentError(absl::StrCat(file.file->path(), ": tensor ",
                                                 absl::CHexEscape(entry.name.substr(0, kShown)),
                                                 " has values that are not finite"));
}

// alpha / r: of the file, of its settings, or 1.
absl::StatusOr<double> Scaling(const LoraFile& file, const LoraModule& module) {
  if (!module.alpha.has_value()) return module.scaling.value_or(1.0);
  STEPCAST_ASSIGN_OR_RETURN(const at::Tensor alpha, Read(file, *module.alpha));
  return alpha.item<double>() / static_cast<double>(module.rank());
}

absl::StatusOr<LowRank> ReadLayer(const LoraFile& file, const LoraModule& module, const LoraSite& site) {
  LowRank layer;
  STEPCAST_ASSIGN_OR_RETURN(layer.down, Read(file, module.down));
  STEPCAST_ASSIGN_OR_RETURN(layer.up, Read(file, module.up));
  if (module.mid.has_value()) {
    STEPCAST_ASSIGN_OR_RETURN(const at::Tensor mid, Read(file, *module.mid));
    layer.down = at::einsum("orkl,ri->oikl", {mid, layer.down.flatten(1)});
  }
  STEPCAST_ASSIGN_OR_RETURN(const double scaling, Scaling(file, module));
  layer.up = layer.up.flatten(1) * scaling;
  // Layers that are stored as 1x1 convolutions may be run as matrices, so the site says which it is.
  if (site.kernel == 0) layer.down = layer.down.flatten(1);
  if (site.kernel > 0 && layer.down.dim() == 2) layer.down = layer.down.unsqueeze(-1).unsqueeze(-1);
  return layer;
}

at::Tensor Placed(const at::Tensor& tensor, c10::Device device, c10::ScalarType dtype, int64_t& bytes) {
  at::Tensor placed = tensor.to(device, dtype);
  placed = placed.dim() == 4 ? placed.contiguous(at::MemoryFormat::ChannelsLast) : placed.contiguous();
  bytes += static_cast<int64_t>(placed.nbytes());
  return placed;
}

// Cells of the level that a layer works at, as a share of those of the latents.
double CellsOf(absl::string_view name, int64_t levels) {
  int64_t level = levels - 1;
  int64_t number = 0;
  const bool up = absl::ConsumePrefix(&name, "up_blocks.");
  if (up || absl::ConsumePrefix(&name, "down_blocks.")) {
    if (absl::SimpleAtoi(name.substr(0, name.find('.')), &number)) level = up ? levels - 1 - number : number;
  }
  double cells = 1.0;
  for (int64_t i = 0; i < level; ++i) cells /= 4.0;
  return cells;
}

}  // namespace

absl::StatusOr<LoadedLora> LoadLora(const LoraFile& file, const std::vector<LoraMatch>& matches,
                                    const LoraTargets& targets, c10::Device device) {
  const c10::InferenceMode no_autograd;
  LoadedLora loaded;
  std::vector<std::shared_ptr<NetworkAdapter>> networks(targets.size());
  for (const LoraMatch& match : matches) {
    const LoraNetwork& network = targets[match.network];
    std::shared_ptr<NetworkAdapter>& adapter = networks[match.network];
    if (adapter == nullptr) {
      adapter = std::make_shared<NetworkAdapter>();
      adapter->sites.resize(network.sites.size());
    }
    const auto site = static_cast<size_t>(match.site);
    STEPCAST_ASSIGN_OR_RETURN(LowRank layer, ReadLayer(file, *match.module, network.sites[site]));
    const c10::ScalarType dtype = ToScalarType(DtypeFromName(network.dtype).value_or(Dtype::kFp32));
    adapter->sites[site] = {.down = Placed(layer.down, device, dtype, loaded.bytes),
                            .up = Placed(layer.up, device, dtype, loaded.bytes)};
  }
  loaded.networks.assign(networks.begin(), networks.end());
  return loaded;
}

absl::Status CheckNumbers(const LoraFile& file) {
  const c10::InferenceMode no_autograd;
  for (const LoraModule& module : file.modules) {
    STEPCAST_RETURN_IF_ERROR(Read(file, module.down).status());
    STEPCAST_RETURN_IF_ERROR(Read(file, module.up).status());
    if (module.mid.has_value()) STEPCAST_RETURN_IF_ERROR(Read(file, *module.mid).status());
    if (module.alpha.has_value()) STEPCAST_RETURN_IF_ERROR(Read(file, *module.alpha).status());
  }
  return absl::OkStatus();
}

std::shared_ptr<const LoraTargets> LoraTargetsOf(const Denoiser& denoiser, const Conditioner& conditioner) {
  LoraTargets targets = denoiser.lora_targets();
  if (targets.empty()) return nullptr;
  for (LoraNetwork& tower : conditioner.lora_targets()) targets.push_back(std::move(tower));
  return std::make_shared<const LoraTargets>(std::move(targets));
}

double LoraCost(const std::vector<LoraMatch>& matches, const LoraTargets& targets) {
  const std::vector<LoraSite>& sites = targets.front().sites;
  int64_t levels = 1;
  for (const LoraSite& site : sites) {
    absl::string_view name = site.name;
    int64_t number = 0;
    if (!absl::ConsumePrefix(&name, "down_blocks.") || !absl::SimpleAtoi(name.substr(0, name.find('.')), &number))
      continue;
    levels = std::max(levels, number + 1);
  }
  const auto area = [](const LoraSite& site) {
    const int64_t kernel = std::max<int64_t>(site.kernel, 1);
    return static_cast<double>(kernel * kernel);
  };
  double plain = 0.0, low = 0.0;
  for (const LoraSite& site : sites) {
    plain += CellsOf(site.name, levels) * area(site) * static_cast<double>(site.in) * static_cast<double>(site.out);
  }
  for (const LoraMatch& match : matches) {
    if (match.network != 0) continue;
    const LoraSite& site = sites[static_cast<size_t>(match.site)];
    const double products = static_cast<double>(site.in) * area(site) + static_cast<double>(site.out);
    low += CellsOf(site.name, levels) * static_cast<double>(match.module->rank()) * products;
  }
  return plain > 0.0 ? kSlowness * low / plain : 0.0;
}

}  // namespace stepcast::model
