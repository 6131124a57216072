#include "engine/start/fingerprint.h"

#include <ATen/Version.h>
#include <torch/version.h>

#include <algorithm>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/cpu_budget.h"

namespace stepcast::engine {
namespace {

constexpr int kCostVersion = 2;  // of the engine's own speed: raised when a change moves the cost of ticks

}  // namespace

std::string CostFingerprint(const LoadedEngine& loaded, int threads, int strict_rows) {
  std::vector<std::string> parts;
  for (const SharedModelInfo& info : loaded.models) {
    parts.push_back(absl::StrCat(info->id, "@", info->sha256, "@", DescribeDtypes(*info)));
  }
  for (const LoadedDevice& device : loaded.devices) parts.push_back(device.name);
  // The quota too: more threads than it allows wait for each other's time slices.
  const CpuBudget cpus = ReadCpuBudget();
  return absl::StrCat(absl::StrJoin(parts, " "), " threads=", threads, "/", cpus.affinity, "/",
                      std::min(cpus.quota, static_cast<double>(cpus.affinity)), " strict_rows=", strict_rows,
                      " cpu=", at::get_cpu_capability(), " torch=", TORCH_VERSION, " engine=", kCostVersion);
}

std::string Numerics(const LoadedEngine& loaded, int threads, int strict_rows) {
  std::set<std::string> kinds;
  for (const LoadedDevice& device : loaded.devices) kinds.insert(device.name.substr(0, device.name.find(':')));
  return absl::StrCat(absl::StrJoin(kinds, " "), " threads=", threads, " strict_rows=", strict_rows,
                      " cpu=", at::get_cpu_capability(), " torch=", TORCH_VERSION);
}

}  // namespace stepcast::engine
