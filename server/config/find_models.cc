// What a folder of models holds.

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/config/config.h"
#include "server/config/config_checks.h"
#include "server/wire/names.h"
#include "server/wire/text_limits.h"

namespace stepcast {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxId = 63;

// Files that people take for models and that are not read.
const char* WhyNotRead(const std::string& extension) {
  for (const char* pickle : {".ckpt", ".pt", ".pth", ".bin", ".pkl"}) {
    if (extension == pickle) return "it is a pickle, which can run code; convert it to .safetensors";
  }
  if (extension == ".gguf" || extension == ".onnx") return "of such files none is read; take the model's .safetensors";
  return nullptr;
}

// Why a folder without model_index.json is no model.
std::string WhyNoFolder(const fs::path& folder) {
  std::error_code ignored;
  if (fs::is_directory(folder / "snapshots", ignored)) {
    return "it is a Hugging Face cache: name the folder below its snapshots/ instead";
  }
  return "it holds no model_index.json";
}

// Adds an entry of the folder to what was found.
class Finder {
 public:
  explicit Finder(const std::string& dir) : dir_(dir) {}

  void Add(const fs::directory_entry& entry) {
    const fs::path& path = entry.path();
    const std::string name = path.filename().string();
    std::error_code ignored;
    if (fs::is_regular_file(path / "model_index.json", ignored)) {
      return IsModelId(name) ? Take(name, path) : SkipName("the model folder ", name);
    }
    if (absl::StartsWith(name, ".")) return;
    if (entry.is_directory(ignored)) return Skip(name, WhyNoFolder(path));
    const std::string extension = absl::AsciiStrToLower(path.extension().string());
    if (entry.is_symlink(ignored) && !entry.exists(ignored)) {
      return Skip(name,
                  absl::StrCat("it is a link to ", fs::read_symlink(path, ignored).string(), ", which is not there"));
    }
    if (extension == ".safetensors") {
      return entry.is_regular_file(ignored) ? TakeFile(path) : Skip(name, "it is no regular file");
    }
    if (const char* why = WhyNotRead(extension); why != nullptr) Skip(name, why);
  }

  // Whether a model was left out for its name.
  bool odd_names() const { return odd_names_; }

  FoundModels Sorted() && {
    std::sort(files_.begin(), files_.end());
    for (const fs::path& path : files_) {
      const std::string id = ModelIdOf(path.string());
      if (ids_.contains(id)) {
        Skip(path.filename().string(), absl::StrCat("another model is called ", id, " already; rename it"));
      } else {
        Take(id, path);
      }
    }
    const auto by_id = [](const ModelSource& a, const ModelSource& b) { return a.id < b.id; };
    std::sort(found_.models.begin(), found_.models.end(), by_id);
    std::sort(found_.skipped.begin(), found_.skipped.end());
    return std::move(found_);
  }

 private:
  void Take(const std::string& id, const fs::path& path) {
    ids_.insert(id);
    found_.models.push_back({.id = id, .path = path.string()});
  }
  // After the folders, whose names are fixed.
  void TakeFile(const fs::path& path) { files_.push_back(path); }
  void Skip(const std::string& name, const std::string& why) {
    found_.skipped.push_back(absl::StrCat(Quoted(name), " in ", Quoted(dir_, 256), " is passed over: ", why));
  }
  void SkipName(const char* kind, const std::string& name) {
    found_.skipped.push_back(absl::StrCat(kind, Quoted(name), " in ", Quoted(dir_, 256),
                                          " is left out: its name cannot be an id; rename it; allowed: ", kModelIds));
    odd_names_ = true;
  }

  const std::string& dir_;
  FoundModels found_;
  bool odd_names_ = false;
  std::vector<fs::path> files_;
  std::set<std::string> ids_;
};

}  // namespace

std::string ModelIdOf(const std::string& path) {
  fs::path name = fs::path(path).filename();
  if (name.empty()) name = fs::path(path).parent_path().filename();
  const bool is_file = absl::EqualsIgnoreCase(name.extension().string(), ".safetensors");
  std::string id;
  for (const char c : is_file ? name.stem().string() : name.string()) {
    const char low = absl::ascii_tolower(static_cast<unsigned char>(c));
    const bool fits = absl::ascii_isalnum(static_cast<unsigned char>(low)) || low == '.' || low == '_' || low == '-';
    // One dash for a run of what does not fit, none in front.
    if (fits && !(id.empty() && !absl::ascii_isalnum(static_cast<unsigned char>(low)))) {
      id += low;
    } else if (!id.empty() && id.back() != '-') {
      id += '-';
    }
  }
  id = id.substr(0, kMaxId);
  while (!id.empty() && id.back() == '-') id.pop_back();
  return id.empty() ? "model" : id;
}

absl::StatusOr<FoundModels> FindModels(const std::string& dir) {
  std::error_code error;
  Finder finder(dir);
  fs::directory_iterator entries(dir, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) finder.Add(*entries);
  if (error) return absl::NotFoundError(absl::StrCat(Quoted(dir, 256), " is no folder that can be read"));
  const bool odd_names = finder.odd_names();
  FoundModels found = std::move(finder).Sorted();
  if (!found.models.empty()) return found;
  if (odd_names) return absl::InvalidArgumentError(absl::StrJoin(found.skipped, "\n"));
  found.skipped.insert(
      found.skipped.begin(),
      absl::StrCat(Quoted(dir, 256), " holds no .safetensors file, and no subfolder of it a model_index.json"));
  return absl::NotFoundError(absl::StrJoin(found.skipped, "\n"));
}

}  // namespace stepcast
