#include "server/config/adapter_config.h"

#include <filesystem>
#include <optional>

#include "absl/strings/str_cat.h"
#include "server/config/memory_budget.h"
#include "server/config/read_file.h"

namespace stepcast {
namespace {

void CheckFolder(const std::string& name, const std::string& folder, std::vector<std::string>& mistakes) {
  if (folder.empty() || std::filesystem::is_directory(folder)) return;
  mistakes.push_back(absl::StrCat(name, ": ", folder, " is no folder"));
}

void ReadLoras(YamlMapping& root, const std::string& path, YamlErrors& errors, ServerConfig& config) {
  if (const std::optional<YAML::Node> said = root.Child("loras_dir"); said.has_value()) {
    const auto add = [&](const YAML::Node& node) {
      if (!node.IsScalar()) {
        errors.Add(root.LineOf("loras_dir"), "loras_dir: allowed: a folder, or a list of folders");
      } else if (!node.Scalar().empty()) {
        config.loras_dirs.push_back(BesideConfig(path, node.Scalar()));
      }
    };
    if (said->IsSequence()) {
      for (const YAML::Node& each : *said) add(each);
    } else {
      add(*said);
    }
  }
  if (root.Child("loras_budget").has_value()) {
    ReadMemoryBudget(root, "loras_budget", /*may_be_auto=*/false, errors, config.loras_budget);
  }
}

}  // namespace

void ReadAdapters(YamlMapping& root, const std::string& path, YamlErrors& errors, ServerConfig& config) {
  ReadLoras(root, path, errors, config);
  root.Text("embeddings_dir", config.embeddings_dir);
  config.embeddings_dir = BesideConfig(path, config.embeddings_dir);
  std::vector<std::string> mistakes;
  CheckFolder("embeddings_dir", config.embeddings_dir, mistakes);
  for (const std::string& mistake : mistakes) errors.Add(root.LineOf("embeddings_dir"), mistake);
}

void ApplyAdapterOverrides(const ConfigOverrides& overrides, ServerConfig& config, std::vector<std::string>& mistakes) {
  if (overrides.loras_dir.has_value()) {
    config.loras_dirs.clear();
    if (!overrides.loras_dir->empty()) config.loras_dirs.push_back(*overrides.loras_dir);
    CheckFolder("--loras_dir", *overrides.loras_dir, mistakes);
  }
  if (overrides.embeddings_dir.has_value()) {
    config.embeddings_dir = *overrides.embeddings_dir;
    CheckFolder("--embeddings_dir", config.embeddings_dir, mistakes);
  }
  if (config.loras_dirs.empty()) config.limits.max_loras = 0;
}

}  // namespace stepcast
