#include "core/model_memory.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"

namespace stepcast {
namespace {

constexpr char kPreview[] = "preview";

bool Fit(const std::vector<SharedModelInfo>& models, absl::Span<const ModelMemory> memory, const ModelInfo& newcomer) {
  return std::all_of(memory.begin(), memory.end(), [&](const ModelMemory& device) {
    return !IsHeldOn(newcomer, device) || WeightBytes(models, device) <= device.budget;
  });
}

std::vector<SharedModelInfo> With(const SharedModelInfo& newcomer, std::vector<SharedModelInfo> others) {
  others.push_back(newcomer);
  return others;
}

}  // namespace

bool IsPaintedBy(const ModelInfo& model, const std::string& loop) {
  return model.devices.empty() || std::find(model.devices.begin(), model.devices.end(), loop) != model.devices.end();
}

bool IsHeldOn(const ModelInfo& model, const ModelMemory& memory) {
  return std::any_of(memory.loops.begin(), memory.loops.end(),
                     [&model](const std::string& loop) { return IsPaintedBy(model, loop); });
}

bool AreHeldOnce(const ModelComponent& a, const ModelComponent& b) {
  // Two 16-bit types take as many bytes.
  const auto identity = [](const ModelComponent& part) { return std::tie(part.sha256, part.compute_type, part.bytes); };
  // A preview decoder is laid out for its own size and has no encoder: it is no VAE's, although their files are one.
  const bool previews = a.name == kPreview;
  return !a.sha256.empty() && previews == (b.name == kPreview) && identity(a) == identity(b);
}

int64_t WeightBytes(const ModelInfo& model) {
  int64_t bytes = 0;
  for (const ModelComponent& part : model.components) bytes += part.bytes;
  return bytes;
}

int64_t WeightBytes(absl::Span<const SharedModelInfo> models, const ModelMemory& memory) {
  std::vector<const ModelComponent*> counted;
  int64_t bytes = 0;
  for (const SharedModelInfo& model : models) {
    if (!IsHeldOn(*model, memory)) continue;
    for (const ModelComponent& part : model->components) {
      const auto same = [&part](const ModelComponent* other) { return AreHeldOnce(part, *other); };
      if (std::any_of(counted.begin(), counted.end(), same)) continue;
      counted.push_back(&part);
      bytes += part.bytes;
    }
  }
  return bytes;
}

std::optional<std::vector<std::string>> ChooseLeavers(const SharedModelInfo& newcomer,
                                                      absl::Span<const ResidentModel> residents,
                                                      absl::Span<const ModelMemory> memory) {
  std::vector<ResidentModel> candidates;
  std::vector<SharedModelInfo> staying;
  for (const ResidentModel& resident : residents) {
    resident.may_leave ? candidates.push_back(resident) : staying.push_back(resident.info);
  }
  std::sort(candidates.begin(), candidates.end(), [](const ResidentModel& a, const ResidentModel& b) {
    return std::tie(a.last_use, a.info->id) < std::tie(b.last_use, b.info->id);
  });
  // Whoever was used last stays first: what does not fit beside those that stay already leaves.
  if (!Fit(With(newcomer, staying), memory, *newcomer)) return std::nullopt;
  std::vector<std::string> leavers;
  for (auto candidate = candidates.rbegin(); candidate != candidates.rend(); ++candidate) {
    staying.push_back(candidate->info);
    if (Fit(With(newcomer, staying), memory, *newcomer)) continue;
    staying.pop_back();
    leavers.insert(leavers.begin(), candidate->info->id);
  }
  return leavers;
}

std::string DescribeTooLarge(const SharedModelInfo& newcomer, const std::vector<SharedModelInfo>& others,
                             absl::Span<const ModelMemory> memory) {
  for (const ModelMemory& device : memory) {
    if (!IsHeldOn(*newcomer, device)) continue;
    const int64_t there = WeightBytes(others, device);
    const int64_t together = WeightBytes(With(newcomer, others), device);
    if (together <= device.budget) continue;
    return absl::StrCat("model '", newcomer->id, "' needs ", together - there, " bytes for its weights on ",
                        device.device, there > 0 ? absl::StrCat(", where others hold ", there) : "",
                        "; memory_budget is ", device.budget);
  }
  return "";
}

std::string DescribeNeverFits(const SharedModelInfo& newcomer, const std::vector<SharedModelInfo>& pinned,
                              absl::Span<const ModelMemory> memory) {
  const std::string alone = DescribeTooLarge(newcomer, {}, memory);
  if (!alone.empty()) return absl::StrCat(alone, ": it can never be loaded");
  const std::string beside = DescribeTooLarge(newcomer, pinned, memory);
  return beside.empty() ? "" : absl::StrCat(beside, ": it can never be loaded beside what is pinned");
}

}  // namespace stepcast
