#include "server/catalog/adapters/adapter_catalog.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "server/catalog/adapters/renew.h"
#include "server/wire/names.h"

namespace stepcast {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostFiles = 10'000;

// Files that somebody may have meant: weights, in any form.
bool IsMeant(const fs::path& path) {
  const std::string ending = absl::AsciiStrToLower(path.extension().string());
  return ending == ".safetensors" || ending == ".pt" || ending == ".bin" || ending == ".ckpt" || ending == ".pth";
}

int64_t WidthOf(const TextualInversion& file, size_t tower) {
  return static_cast<int64_t>(file.towers[tower].size()) / std::max(1, file.vectors);
}

}  // namespace

std::shared_ptr<const TextualInversion> FitTo(const std::shared_ptr<const TextualInversion>& file,
                                              const ModelInfo& model) {
  if (!model.control_shape.has_value()) return nullptr;
  const int64_t text = model.control_shape->text_width;
  const size_t towers = model.tokenizer_dirs.size();
  int64_t width = 0;
  for (size_t tower = 0; tower < file->towers.size(); ++tower) width += WidthOf(*file, tower);
  if (file->towers.size() == towers) return width == text ? file : nullptr;
  // A refiner has the second text encoder of its base alone.
  if (towers != 1 || WidthOf(*file, file->towers.size() - 1) != text) return nullptr;
  auto last = std::make_shared<TextualInversion>(*file);
  last->towers = {file->towers.back()};
  return last;
}

AdapterCatalog::AdapterCatalog(std::string embeddings_dir, ReadInversion read, Tell tell)
    : embeddings_dir_(std::move(embeddings_dir)), read_(std::move(read)), tell_(std::move(tell)) {}

std::map<std::string, AdapterCatalog::Stamp> AdapterCatalog::Look() const {
  std::map<std::string, Stamp> found;
  std::error_code error;
  for (fs::directory_iterator entry(embeddings_dir_, error), end; !error && entry != end; entry.increment(error)) {
    std::error_code unreadable;
    if (!IsMeant(entry->path()) || !entry->is_regular_file(unreadable) || found.size() >= kMostFiles) continue;
    const auto size = entry->file_size(unreadable);
    const auto modified = entry->last_write_time(unreadable).time_since_epoch().count();
    if (!unreadable) found[entry->path().string()] = {size, static_cast<int64_t>(modified)};
  }
  return found;
}

AdapterCatalog::Entry AdapterCatalog::Read(const std::string& path, const Stamp& stamp,
                                           const ModelRegistry& models) const {
  const std::string name = fs::path(path).stem().string();
  if (!IsAdapterName(name)) {
    tell_(absl::StrCat("embedding ", path, " is not listed: names are ", kAdapterNames));
    return {stamp, nullptr};
  }
  absl::StatusOr<TextualInversion> file = read_(path);
  if (!file.ok()) {
    tell_(absl::StrCat("embedding ", name, " is not listed: ", file.status().message()));
    return {stamp, nullptr};
  }
  Entry entry{stamp, std::make_shared<const TextualInversion>(*std::move(file))};
  const auto fits = [&](const RegisteredModel& model) { return FitTo(entry.file, *model.info) != nullptr; };
  if (std::none_of(models.models().begin(), models.models().end(), fits)) {
    std::string widths;
    for (size_t tower = 0; tower < entry.file->towers.size(); ++tower) {
      absl::StrAppend(&widths, tower > 0 ? " and " : "", WidthOf(*entry.file, tower));
    }
    tell_(absl::StrCat("embedding ", name, " goes with no model: its vectors have ", widths,
                       " numbers, and no text encoder here reads such"));
  }
  return entry;
}

void AdapterCatalog::Refresh(const ModelRegistry& models) {
  if (embeddings_dir_.empty()) return;
  const std::map<std::string, Stamp> found = Look();
  std::map<std::string, Entry> now;
  {
    MutexLock lock(mutex_);
    now = entries_;
  }
  const auto read = [&](const std::string& path, const Stamp& stamp) { return Read(path, stamp, models); };
  if (!Renew(found, now, read)) return;
  {
    MutexLock lock(mutex_);
    entries_ = std::move(now);
    ++generation_;
  }
  for (const RegisteredModel& model : models.models()) (void)WordsOf(model);
}

std::vector<std::shared_ptr<const TextualInversion>> AdapterCatalog::Sorted() const {
  std::vector<std::shared_ptr<const TextualInversion>> files;
  for (const auto& [path, entry] : entries_) {
    if (entry.file != nullptr) files.push_back(entry.file);
  }
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a->name < b->name; });
  return files;
}

std::vector<std::shared_ptr<const TextualInversion>> AdapterCatalog::inversions() const {
  MutexLock lock(mutex_);
  return Sorted();
}

ModelWords AdapterCatalog::MakeWords(const RegisteredModel& model) const {
  std::vector<PseudoWord> spellings;
  std::vector<std::shared_ptr<const TextualInversion>> files;
  for (const auto& file : Sorted()) {
    std::shared_ptr<const TextualInversion> fitting = FitTo(file, *model.info);
    if (fitting == nullptr) continue;
    spellings.push_back({.name = fitting->name, .token = fitting->token, .vectors = fitting->vectors});
    files.push_back(std::move(fitting));
  }
  std::vector<absl::Status> refused;
  ModelWords words{.words = PseudoWords::Create(spellings, *model.tokenizers.front(), &refused)};
  for (const absl::Status& why : refused) {
    tell_(absl::StrCat("an embedding is not read by model ", model.info->id, ": ", why.message()));
  }
  for (size_t i = 0; i < words.words.size(); ++i) {
    const std::string& name = words.words.word(static_cast<int>(i)).name;
    words.files.push_back(
        *std::find_if(files.begin(), files.end(), [&](const auto& file) { return file->name == name; }));
  }
  return words;
}

std::shared_ptr<const ModelWords> AdapterCatalog::WordsOf(const RegisteredModel& model) const {
  static const std::shared_ptr<const ModelWords>& none =
      *new std::shared_ptr<const ModelWords>(std::make_shared<const ModelWords>());
  if (model.tokenizers.empty() || embeddings_dir_.empty()) return none;
  MutexLock lock(mutex_);
  Words& kept = words_[model.info->id];
  if (kept.generation != generation_ || kept.model != model.info->sha256) {
    kept = {generation_, model.info->sha256, std::make_shared<const ModelWords>(MakeWords(model))};
  }
  return kept.words;
}

}  // namespace stepcast
