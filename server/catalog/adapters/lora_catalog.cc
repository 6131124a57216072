#include "server/catalog/adapters/lora_catalog.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/catalog/adapters/renew.h"
#include "server/wire/names.h"

namespace stepcast {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostFiles = 10'000;
constexpr size_t kMostFits = 100'000;
constexpr size_t kNamed = 50;  // in one message

// Appends what changes with the file; of one that is not there a mark.
void AddStamp(const fs::path& path, std::vector<int64_t>& parts) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  const auto modified = error ? fs::file_time_type() : fs::last_write_time(path, error);
  parts.push_back(error ? -1 : static_cast<int64_t>(size));
  parts.push_back(error ? -1 : static_cast<int64_t>(modified.time_since_epoch().count()));
}

// The file that holds the weights of `entry`; "": it is no LoRA.
fs::path WeightsOf(const fs::directory_entry& entry) {
  std::error_code error;
  if (entry.is_directory(error)) {
    const fs::path inside = entry.path() / "adapter_model.safetensors";  // as PEFT writes it
    return fs::is_regular_file(inside, error) ? inside : fs::path();
  }
  const bool meant = absl::AsciiStrToLower(entry.path().extension().string()) == ".safetensors";
  return meant && entry.is_regular_file(error) ? entry.path() : fs::path();
}

}  // namespace

std::map<std::string, LoraCatalog::Stamp> LoraCatalog::Look() const {
  std::map<std::string, Stamp> found;
  for (const std::string& folder : folders_) {
    std::error_code error;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
      const fs::path weights = WeightsOf(*entry);
      if (weights.empty() || found.size() >= kMostFiles) continue;
      const bool in_folder = weights != entry->path();
      Stamp stamp{.path = weights.string(), .parts = {}};
      AddStamp(weights, stamp.parts);
      AddStamp(in_folder ? weights.parent_path() / "adapter_config.json" : weights, stamp.parts);
      const fs::path named = in_folder ? entry->path() : entry->path().stem();
      AddStamp(entry->path().parent_path() / (named.filename().string() + ".json"), stamp.parts);
      found.emplace(named.filename().string(), std::move(stamp));
    }
  }
  return found;
}

void LoraCatalog::Refresh() {
  if (folders_.empty() || host_ == nullptr) return;
  const std::map<std::string, Stamp> found = Look();
  std::map<std::string, Entry> now;
  {
    MutexLock lock(mutex_);
    now = entries_;
  }
  const auto read = [this](const std::string& name, const Stamp& stamp) -> Entry {
    absl::StatusOr<SharedLoraInfo> lora = absl::InvalidArgumentError(absl::StrCat("names are ", kAdapterNames));
    if (IsAdapterName(name)) lora = host_->Read(name, stamp.path);
    if (!lora.ok()) tell_(absl::StrCat("LoRA ", stamp.path, " is not listed: ", lora.status().message()));
    return {stamp, lora.ok() ? *lora : nullptr};
  };
  if (!Renew(found, now, read)) return;
  MutexLock lock(mutex_);
  entries_ = std::move(now);
  fits_.clear();
}

std::vector<SharedLoraInfo> LoraCatalog::loras() const {
  MutexLock lock(mutex_);
  std::vector<SharedLoraInfo> loras;
  for (const auto& [name, entry] : entries_) {
    if (entry.lora != nullptr) loras.push_back(entry.lora);
  }
  return loras;
}

SharedLoraInfo LoraCatalog::Find(std::string_view name) const {
  MutexLock lock(mutex_);
  const auto found = entries_.find(std::string(name));
  return found == entries_.end() ? nullptr : found->second.lora;
}

absl::StatusOr<LoraFit> LoraCatalog::Fit(const SharedLoraInfo& lora, const SharedModelInfo& model) const {
  {
    MutexLock lock(mutex_);
    const auto known = fits_.find({lora, model});
    if (known != fits_.end()) return known->second;
  }
  absl::StatusOr<LoraFit> fit = host_->Fit(*lora, *model);
  MutexLock lock(mutex_);
  if (fits_.size() >= kMostFits) fits_.clear();
  fits_.emplace(Pair{lora, model}, fit);
  return fit;
}

std::string LoraCatalog::NamesFor(const SharedModelInfo& model) const {
  std::vector<std::string> names;
  size_t more = 0;
  for (const SharedLoraInfo& lora : loras()) {
    if (!Fit(lora, model).ok()) continue;
    if (names.size() < kNamed) {
      names.push_back(lora->name);
    } else {
      ++more;
    }
  }
  return absl::StrCat(absl::StrJoin(names, ", "), more > 0 ? absl::StrCat(" and ", more, " more") : "");
}

}  // namespace stepcast
