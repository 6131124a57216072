#include "model/weights/weight_set.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "core/status_macros.h"
#include "model/files/json_config.h"
#include "model/weights/data_file.h"

namespace stepcast::model {
namespace {

namespace fs = std::filesystem;

// A link to nothing counts, so that opening it tells.
bool Exists(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored) || !DanglingLink(path).empty();
}

// What a folder can hold, in the order of preference.
struct Candidate {
  std::string path;
  bool is_index = false;
};

// All that is there, the preferred first.
std::vector<Candidate> FindWeights(const std::string& folder, const std::string& basename,
                                   const std::vector<std::string>& variants) {
  const std::string stem = absl::StrCat(folder, "/", basename);
  std::vector<Candidate> found;
  for (const std::string& variant : variants) {
    const std::string dotted = variant.empty() ? "" : absl::StrCat(".", variant);
    for (Candidate candidate : {Candidate{absl::StrCat(stem, dotted, ".safetensors"), false},
                                Candidate{absl::StrCat(stem, ".safetensors.index", dotted, ".json"), true},
                                Candidate{absl::StrCat(stem, ".safetensors", dotted, ".index.json"), true}}) {
      if (Exists(candidate.path)) found.push_back(std::move(candidate));
    }
  }
  return found;
}

// Files of variants that nobody asked for: "ema" for "model.ema.safetensors". Averages are better to paint with.
std::vector<std::string> OtherVariants(const std::string& folder, const std::string& basename) {
  std::vector<std::string> variants;
  for (const std::string& name : FileNames(folder)) {
    absl::string_view middle = name;
    if (!absl::ConsumePrefix(&middle, absl::StrCat(basename, ".")) || !absl::ConsumeSuffix(&middle, ".safetensors")) {
      continue;
    }
    if (!absl::StrContains(middle, '.') && !absl::StrContains(middle, "-of-")) variants.emplace_back(middle);
  }
  const auto rank = [](const std::string& variant) { return variant == "fp32" ? 0 : variant == "ema" ? 1 : 2; };
  std::sort(variants.begin(), variants.end(),
            [&](const std::string& a, const std::string& b) { return std::pair(rank(a), a) < std::pair(rank(b), b); });
  return variants;
}

// Why a folder without safetensors cannot be read.
absl::Status NoWeights(const std::string& folder, const std::string& basename) {
  std::string other;
  for (const std::string& name : FileNames(folder)) {
    for (const char* suffix : {".bin", ".ckpt", ".pt", ".pth", ".msgpack"}) {
      if (absl::EndsWith(name, suffix)) other = name;
    }
  }
  if (!other.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        folder, " holds ", other,
        " but no safetensors. Pickled weights can run code and are not read; convert them in ",
        "Python: DiffusionPipeline.from_pretrained(folder).save_pretrained(new_folder, safe_serialization=True)"));
  }
  return absl::NotFoundError(
      absl::StrCat(folder, ": no ", basename, ".safetensors and no ", basename, ".safetensors.index.json"));
}

// A shard name from an index must be a file of the same folder and nothing else.
bool IsPlainFileName(absl::string_view name) {
  static constexpr absl::string_view kForbidden("/\\\0", 3);
  return !name.empty() && name.size() <= 255 && name.find_first_of(kForbidden) == name.npos &&
         absl::EndsWith(name, ".safetensors");
}

// tensor name -> shard file name.
absl::StatusOr<std::map<std::string, std::string>> ReadIndex(const std::string& path) {
  STEPCAST_ASSIGN_OR_RETURN(const nlohmann::json root, ReadJsonObject(path));
  const auto weight_map = root.find("weight_map");
  if (weight_map == root.end() || !weight_map->is_object() || weight_map->empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": weight_map must be an object that names at least one tensor"));
  }
  std::map<std::string, std::string> shards;
  for (const auto& [name, file] : weight_map->items()) {
    if (!file.is_string() || !IsPlainFileName(file.get_ref<const std::string&>())) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": tensor '", absl::CHexEscape(name), "' lies in ", file.dump().substr(0, 120),
                       ", but only the name of a .safetensors file of the same folder is allowed"));
    }
    shards[name] = file.get<std::string>();
  }
  return shards;
}

}  // namespace

absl::Status WeightSet::AddFile(const std::string& path, NameRule rule) {
  STEPCAST_ASSIGN_OR_RETURN(SafetensorsFile opened, SafetensorsFile::Open(path));
  paths_.push_back(path);
  files_.push_back(std::make_shared<const SafetensorsFile>(std::move(opened)));
  const SafetensorsFile* file = files_.back().get();
  for (const TensorEntry& entry : file->header().tensors) {
    std::string name = rule == nullptr ? entry.name : rule(entry.name);
    if (!name.empty()) STEPCAST_RETURN_IF_ERROR(AddTensor(std::move(name), {&entry, file}));
  }
  return absl::OkStatus();
}

absl::Status WeightSet::AddTensor(std::string name, const StoredTensor& tensor) {
  const auto [at, inserted] = tensors_.try_emplace(std::move(name), tensor);
  if (inserted) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(tensor.file->path(), ": tensor '", absl::CHexEscape(tensor.entry->name), "' is already in ",
                   at->second.file->path(), " as '", absl::CHexEscape(at->second.entry->name), "'"));
}

absl::StatusOr<WeightSet> WeightSet::OpenViews(std::shared_ptr<const SafetensorsFile> file, const ViewRule& views,
                                               NameRule rule) {
  WeightSet set;
  set.folder_ = file->path();
  set.paths_ = {file->path()};
  for (const TensorEntry& entry : file->header().tensors) {
    for (TensorView& view : views(entry)) {
      std::string name = rule == nullptr ? std::move(view.name) : rule(view.name);
      if (name.empty()) continue;
      const TensorEntry* stored = &entry;
      if (view.rows >= 0) {
        TensorEntry part = entry;
        const uint64_t row = (entry.end - entry.begin) / static_cast<uint64_t>(entry.shape.front());
        part.shape.front() = view.rows;
        part.begin = entry.begin + row * static_cast<uint64_t>(view.first_row);
        part.end = part.begin + row * static_cast<uint64_t>(view.rows);
        stored = &set.parts_.emplace_back(std::move(part));
      }
      STEPCAST_RETURN_IF_ERROR(set.AddTensor(std::move(name), {stored, file.get(), view.transposed}));
    }
  }
  set.files_.push_back(std::move(file));
  return set;
}

absl::Status WeightSet::AddShards(const std::string& path, NameRule rule) {
  STEPCAST_ASSIGN_OR_RETURN(const auto index, ReadIndex(path));
  paths_.push_back(path);
  std::set<std::string> shards;
  for (const auto& [name, shard] : index) shards.insert(shard);
  for (const std::string& shard : shards) {
    const std::string file = absl::StrCat(folder_, "/", shard);
    if (!Exists(file)) return absl::NotFoundError(absl::StrCat(path, " names ", shard, ", which is not there"));
    STEPCAST_RETURN_IF_ERROR(AddFile(file, rule));
  }
  for (const auto& [name, shard] : index) {
    const std::string canonical = rule == nullptr ? name : rule(name);
    if (canonical.empty()) continue;
    const StoredTensor* tensor = Find(canonical);
    if (tensor == nullptr || tensor->file->path() != absl::StrCat(folder_, "/", shard)) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": tensor '", absl::CHexEscape(name), "' is not in ", shard));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<WeightSet> WeightSet::Open(const std::string& folder, const std::string& basename,
                                          const std::vector<std::string>& variants, NameRule rule) {
  std::vector<Candidate> found = FindWeights(folder, basename, variants);
  if (found.empty()) found = FindWeights(folder, basename, OtherVariants(folder, basename));
  absl::Status incomplete;
  for (const Candidate& candidate : found) {
    WeightSet set;
    set.folder_ = folder;
    const absl::Status added =
        candidate.is_index ? set.AddShards(candidate.path, rule) : set.AddFile(candidate.path, rule);
    if (added.ok()) return set;
    // An index that outlived its shards hides nothing that lies beside it.
    if (!candidate.is_index || !absl::IsNotFound(added)) return added;
    if (incomplete.ok()) incomplete = added;
  }
  return incomplete.ok() ? NoWeights(folder, basename) : incomplete;
}

const StoredTensor* WeightSet::Find(absl::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

}  // namespace stepcast::model
