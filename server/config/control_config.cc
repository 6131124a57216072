#include "server/config/control_config.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "server/config/config_checks.h"
#include "server/config/memory_budget.h"
#include "server/wire/names.h"
#include "server/wire/text_limits.h"

namespace stepcast {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxNets = 256;

std::string RelativeTo(const std::string& config_path, const std::string& path) {
  return path.empty() ? path : (fs::path(config_path).parent_path() / path).lexically_normal().string();
}

bool Has(const EngineOptions& engine, const std::string& id) {
  return std::ranges::find(engine.control_nets, id, &ControlNetSource::id) != engine.control_nets.end();
}

void ReadEntry(const YAML::Node& node, const std::string& place, const std::string& config_path, YamlErrors& errors,
               EngineOptions& engine) {
  YamlMapping entry(node, place, errors);
  ControlNetSource source;
  entry.Text("id", source.id);
  entry.Text("path", source.path);
  entry.Choice("dtype", {"auto", "fp32", "bf16", "fp16"},
               [&source](size_t index) { source.dtype = static_cast<Dtype>(index); });
  entry.Finish();
  if (!IsModelId(source.id)) {
    errors.Add(entry.LineOf("id"), absl::StrCat(place, ".id: got ", Quoted(source.id), "; allowed: ", kModelIds));
  } else if (Has(engine, source.id)) {
    errors.Add(entry.LineOf("id"),
               absl::StrCat(place, ".id: ", Quoted(source.id), " is the id of another net already"));
  }
  if (source.path.empty()) {
    errors.Add(entry.LineOf("path"),
               absl::StrCat(place, ".path: got nothing; allowed: a folder, or a .safetensors file"));
  }
  source.path = RelativeTo(config_path, source.path);
  engine.control_nets.push_back(std::move(source));
}

// Why an entry of a folder is no net; "" where it may be one.
std::string WhyNone(const fs::directory_entry& entry) {
  std::error_code ignored;
  if (entry.is_directory(ignored)) {
    if (fs::is_regular_file(entry.path() / "model_index.json", ignored)) return "it is a whole model";
    return fs::is_regular_file(entry.path() / "config.json", ignored) ? "" : "it holds no config.json";
  }
  if (absl::AsciiStrToLower(entry.path().extension().string()) != ".safetensors") return "it is no .safetensors file";
  return entry.is_regular_file(ignored) ? "" : "it is no regular file";
}

}  // namespace

absl::StatusOr<FoundControlNets> FindControlNets(const std::string& dir) {
  FoundControlNets found;
  std::error_code error;
  std::vector<fs::path> paths;
  const auto skip = [&](const fs::path& path, const std::string& why) {
    found.skipped.push_back(
        absl::StrCat(Quoted(path.filename().string()), " in ", Quoted(dir, 256), " is passed over: ", why));
  };
  fs::directory_iterator entries(dir, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    const fs::path& path = entries->path();
    if (absl::StartsWith(path.filename().string(), ".")) continue;
    const std::string why = WhyNone(*entries);
    why.empty() ? paths.push_back(path) : skip(path, why);
  }
  if (error) return absl::NotFoundError(absl::StrCat(Quoted(dir, 256), " is no folder that can be read"));
  std::ranges::sort(paths);
  for (const fs::path& path : paths) {
    std::string id = ModelIdOf(path.string());
    if (std::ranges::find(found.nets, id, &ControlNetSource::id) != found.nets.end()) {
      skip(path, absl::StrCat("another net is called ", id, " already; rename it"));
    } else {
      found.nets.push_back({.id = std::move(id), .path = path.string()});
    }
  }
  std::ranges::sort(found.nets, {}, &ControlNetSource::id);
  std::ranges::sort(found.skipped);
  return found;
}

absl::Status AddControlNets(const std::string& dir, EngineOptions& engine, std::vector<std::string>& notes) {
  STEPCAST_ASSIGN_OR_RETURN(FoundControlNets found, FindControlNets(dir));
  for (ControlNetSource& net : found.nets) {
    if (!Has(engine, net.id)) {
      engine.control_nets.push_back(std::move(net));
    } else {
      found.skipped.push_back(
          absl::StrCat(Quoted(net.path, 256), " is passed over: control_nets names a net called ", net.id, " already"));
    }
  }
  std::ranges::move(found.skipped, std::back_inserter(notes));
  return absl::OkStatus();
}

void ReadControlNets(YamlMapping& root, const std::string& config_path, YamlErrors& errors, EngineOptions& engine,
                     std::vector<std::string>& notes) {
  if (const std::optional<YAML::Node> list = root.Child("control_nets"); list.has_value()) {
    if (!list->IsSequence() || list->size() > kMaxNets) {
      errors.Add(root.LineOf("control_nets"),
                 absl::StrCat("control_nets: allowed: a list of at most ", kMaxNets, " {id, path, dtype}"));
    } else {
      for (size_t i = 0; i < list->size() && !errors.full(); ++i) {
        ReadEntry((*list)[i], absl::StrCat("control_nets[", i, "]"), config_path, errors, engine);
      }
    }
  }
  std::string dir;
  root.Text("control_nets_dir", dir);
  if (!dir.empty()) {
    const absl::Status added = AddControlNets(RelativeTo(config_path, dir), engine, notes);
    if (!added.ok()) errors.Add(root.LineOf("control_nets_dir"), absl::StrCat("control_nets_dir: ", added.message()));
  }
  ReadMemoryBudget(root, "control_nets_budget", /*may_be_auto=*/false, errors, engine.control_nets_budget);
}

}  // namespace stepcast
