#include "server/catalog/model_books.h"

#include <algorithm>
#include <utility>

namespace stepcast {
namespace {

// A busy model is made to leave when it was here for as long as swapping it costs a tenth of the time.
constexpr double kStayPerLoad = 10.0;
constexpr absl::Duration kShortestStay = absl::Seconds(10);

bool IsHeld(const ModelEntry& entry) {
  return entry.state == ModelState::kReady || entry.state == ModelState::kUnloading;
}

bool IsWanted(const ModelEntry& entry) { return entry.state == ModelState::kLoading && !entry.working; }

bool HasStayed(const ModelEntry& entry, absl::Time now) {
  return now - entry.ready_since >= std::max(kShortestStay, kStayPerLoad * entry.load_took);
}

}  // namespace

ModelEntry& ModelBooks::Of(const std::string& id) {
  return *std::find_if(entries_.begin(), entries_.end(), [&id](const ModelEntry& entry) { return entry.id == id; });
}

const ModelEntry& ModelBooks::Of(const std::string& id) const {
  return *std::find_if(entries_.begin(), entries_.end(), [&id](const ModelEntry& entry) { return entry.id == id; });
}

void ModelBooks::Want(ModelEntry& entry, absl::Time now) {
  entry.state = ModelState::kLoading;
  entry.wanted_since = now;
  entry.inspected = false;
}

void ModelBooks::Reconsider(ModelEntry& entry) const {
  if (IsWanted(entry) && entry.waiting.empty() && entry.loads.empty()) entry.state = ModelState::kUnloaded;
}

std::vector<SharedModelInfo> ModelBooks::InMemory() const {
  std::vector<SharedModelInfo> infos;
  for (const ModelEntry& entry : entries_) {
    if (IsHeld(entry) || (entry.state == ModelState::kLoading && entry.working && entry.inspected))
      infos.push_back(entry.info);
  }
  return infos;
}

std::string ModelBooks::WhyNever(const ModelEntry& entry) const {
  std::vector<SharedModelInfo> pinned;
  for (const ModelEntry& other : entries_) {
    const bool stays = other.state == ModelState::kReady && other.loading == ModelLoading::kPinned;
    if (stays && other.id != entry.id) pinned.push_back(other.info);
  }
  return DescribeNeverFits(entry.info, pinned, memory_);
}

bool ModelBooks::Bounded() const {
  return std::any_of(memory_.begin(), memory_.end(),
                     [](const ModelMemory& device) { return device.budget != kNoMemoryBudget; });
}

std::vector<ResidentModel> ModelBooks::Residents() const {
  std::vector<ResidentModel> residents;
  for (const ModelEntry& entry : entries_) {
    if (!IsHeld(entry)) continue;
    const bool idle = entry.state == ModelState::kReady && entry.holders.empty() && !entry.working;
    residents.push_back(
        {.info = entry.info, .may_leave = idle && entry.loading != ModelLoading::kPinned, .last_use = entry.last_use});
  }
  return residents;
}

bool ModelBooks::MakeRoom(const ModelEntry& newcomer, absl::Time now) {
  const std::optional<std::vector<std::string>> leavers = ChooseLeavers(newcomer.info, Residents(), memory_);
  if (!leavers.has_value()) {
    CloseBusy(newcomer, now);
    return false;
  }
  for (const std::string& id : *leavers) {
    ModelEntry& entry = Of(id);
    entry.state = ModelState::kUnloading;
    entry.after_unload = ModelState::kUnloaded;
    entry.unload_at = absl::InfiniteFuture();
  }
  return leavers->empty();
}

// As far as needed, those that are in use and have been here long enough take nobody new; they leave when idle.
void ModelBooks::CloseBusy(const ModelEntry& newcomer, absl::Time now) {
  std::vector<ResidentModel> residents = Residents();
  for (ResidentModel& resident : residents) {
    const ModelEntry& entry = Of(resident.info->id);
    // Whoever leaves already is counted as gone.
    resident.may_leave |= entry.state == ModelState::kUnloading;
    resident.may_leave |= entry.loading != ModelLoading::kPinned && !entry.working && HasStayed(entry, now);
  }
  const std::optional<std::vector<std::string>> leavers = ChooseLeavers(newcomer.info, residents, memory_);
  if (!leavers.has_value()) return;
  for (const std::string& id : *leavers) {
    ModelEntry& entry = Of(id);
    if (entry.state == ModelState::kUnloading) continue;
    entry.state = ModelState::kUnloading;
    entry.after_unload = ModelState::kUnloaded;
    entry.unload_at = absl::InfiniteFuture();
  }
}

std::optional<ModelTask> ModelBooks::Next(absl::Time now) {
  for (ModelEntry& entry : entries_) {
    if (entry.state != ModelState::kUnloading || entry.working) continue;
    if (entry.holders.empty()) return ModelTask{ModelTask::Kind::kUnload, entry.id};
    if (entry.unload_at > now) continue;
    entry.unload_at = absl::InfiniteFuture();
    return ModelTask{ModelTask::Kind::kCancelHolders, entry.id};
  }
  std::vector<ModelEntry*> wanted;
  for (ModelEntry& entry : entries_) {
    if (IsWanted(entry)) wanted.push_back(&entry);
  }
  if (wanted.empty()) return std::nullopt;
  // The first in line alone: whoever is smaller would take the room that it waits for.
  ModelEntry& first = **std::min_element(wanted.begin(), wanted.end(), [](const ModelEntry* a, const ModelEntry* b) {
    return a->wanted_since < b->wanted_since;
  });
  if (!Bounded()) return ModelTask{ModelTask::Kind::kLoad, first.id};
  if (!first.inspected) return ModelTask{ModelTask::Kind::kInspect, first.id};
  if (!WhyNever(first).empty()) return ModelTask{ModelTask::Kind::kTooLarge, first.id};
  if (MakeRoom(first, now)) return ModelTask{ModelTask::Kind::kLoad, first.id};
  const auto leaves = [](const ModelEntry& entry) {
    return entry.state == ModelState::kUnloading && entry.holders.empty() && !entry.working;
  };
  const auto leaver = std::find_if(entries_.begin(), entries_.end(), leaves);
  if (leaver == entries_.end()) return std::nullopt;
  return ModelTask{ModelTask::Kind::kUnload, leaver->id};
}

}  // namespace stepcast
