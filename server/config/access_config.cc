#include "server/config/access_config.h"

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/config/config_checks.h"
#include "server/config/read_file.h"
#include "server/wire/names.h"
#include "server/wire/text_limits.h"

namespace stepcast {
namespace {

constexpr size_t kMaxNamedTenants = 1000;
constexpr size_t kMaxModels = 256;
constexpr double kMostPerSecond = 1e6;

void ReadModelNames(YamlMapping& section, const std::string& place, YamlErrors& errors, TenantConfig& tenant) {
  const std::optional<YAML::Node> list = section.Child("models");
  if (!list.has_value()) return;
  const int line = section.LineOf("models");
  if (list->IsScalar() && list->Scalar() == "all") {
    tenant.models.reset();
    return;
  }
  if (!list->IsSequence() || list->size() > kMaxModels) {
    errors.Add(line, absl::StrCat(place, ".models: allowed: all, or a list of at most ", kMaxModels, " model ids"));
    return;
  }
  tenant.models.emplace();
  for (const YAML::Node& node : *list) {
    const std::string id = node.IsScalar() ? node.Scalar() : "";
    if (!IsModelId(id)) {
      errors.Add(line, absl::StrCat(place, ".models: got ", Quoted(id), "; allowed: ", kModelIds));
    }
    tenant.models->push_back(id);
  }
}

void ReadTenantLimits(YamlMapping& section, const std::string& place, YamlErrors& errors, TenantConfig& tenant) {
  section.Int("max_pictures", 0, 100'000, tenant.max_pictures);
  section.Int("max_queued", 0, 100'000, tenant.max_queued);
  section.DurationOrNone("max_queued_work", absl::Seconds(1), absl::Hours(24), tenant.max_queued_work);
  ReadModelNames(section, place, errors, tenant);
  section.Int("max_rows", 0, 1024, tenant.max_rows);
  section.Int("max_upload_bytes", 0, 64 << 20, tenant.max_upload_bytes);
  section.Real("requests_per_second", 0.0, kMostPerSecond, tenant.requests_per_second);
  section.Int("request_burst", 1, 1'000'000, tenant.request_burst);
  section.Real("row_seconds_per_second", 0.0, kMostPerSecond, tenant.row_seconds_per_second);
  section.Real("row_seconds_burst", 0.001, kMostPerSecond, tenant.row_seconds_burst);
}

// What an entry leaves out it has from `default`.
void ReadNamedTenants(YamlMapping& section, YamlErrors& errors, TenantsConfig& tenants) {
  const std::optional<YAML::Node> list = section.Child("named");
  if (!list.has_value()) return;
  if (!list->IsSequence() || list->size() > kMaxNamedTenants) {
    errors.Add(section.LineOf("named"),
               absl::StrCat("tenants.named: allowed: a list of at most ", kMaxNamedTenants, " {name, weight, ...}"));
    return;
  }
  for (size_t i = 0; i < list->size() && !errors.full(); ++i) {
    const std::string place = absl::StrCat("tenants.named[", i, "]");
    YamlMapping entry((*list)[i], place, errors);
    std::string name;
    TenantConfig tenant = tenants.defaults;
    entry.Text("name", name);
    entry.Real("weight", 0.001, 1000.0, tenant.weight);
    ReadTenantLimits(entry, place, errors, tenant);
    entry.Finish();
    if (!IsTenantName(name) || name == kDefaultTenant) {
      errors.Add(entry.LineOf("name"), absl::StrCat(place, ".name: got ", Quoted(name), "; allowed: ", kTenantNames,
                                                    ", but for \"default\", which is tenants.default"));
    } else if (!tenants.named.emplace(name, tenant).second) {
      errors.Add(entry.LineOf("name"), absl::StrCat(place, ".name: ", Quoted(name), " was given already"));
    }
  }
}

}  // namespace

void ReadTenants(YamlMapping& root, YamlErrors& errors, TenantsConfig& tenants) {
  const std::optional<YAML::Node> node = root.Child("tenants");
  if (!node.has_value()) return;
  YamlMapping section(*node, "tenants", errors);
  section.Text("metadata_key", tenants.metadata_key);
  if (!tenants.metadata_key.empty() && !IsMetadataKey(tenants.metadata_key)) {
    errors.Add(section.LineOf("metadata_key"),
               absl::StrCat("tenants.metadata_key: got ", Quoted(tenants.metadata_key), "; allowed: ", kMetadataKeys));
  }
  section.Int("max", 0, 100'000, tenants.max);
  if (const std::optional<YAML::Node> defaults = section.Child("default"); defaults.has_value()) {
    YamlMapping settings(*defaults, "tenants.default", errors);
    ReadTenantLimits(settings, "tenants.default", errors, tenants.defaults);
    settings.Finish();
  }
  ReadNamedTenants(section, errors, tenants);
  section.Finish();
}

void ReadAuth(YamlMapping& root, const std::string& config_path, YamlErrors& errors, AuthConfig& auth) {
  const std::optional<YAML::Node> node = root.Child("auth");
  if (!node.has_value()) return;
  YamlMapping section(*node, "auth", errors);
  section.Text("token_file", auth.token_file);
  auth.token_file = BesideConfig(config_path, auth.token_file);
  section.Finish();
}

void ReadAdmin(YamlMapping& root, const std::string& config_path, YamlErrors& errors, AdminConfig& admin) {
  const std::optional<YAML::Node> node = root.Child("admin");
  if (!node.has_value()) return;
  YamlMapping section(*node, "admin", errors);
  section.Text("token_file", admin.token_file);
  admin.token_file = BesideConfig(config_path, admin.token_file);
  section.Bool("tls", admin.tls);
  section.Bool("channelz", admin.channelz);
  section.Finish();
}

void ReadTls(YamlMapping& root, const std::string& config_path, YamlErrors& errors, TlsConfig& tls) {
  const std::optional<YAML::Node> node = root.Child("tls");
  if (!node.has_value()) return;
  YamlMapping section(*node, "tls", errors);
  section.Text("cert_file", tls.cert_file);
  section.Text("key_file", tls.key_file);
  section.Text("client_ca_file", tls.client_ca_file);
  for (std::string* file : {&tls.cert_file, &tls.key_file, &tls.client_ca_file}) {
    *file = BesideConfig(config_path, *file);
  }
  section.Choice("client_auth", {"none", "optional", "required"},
                 [&tls](size_t index) { tls.client_auth = static_cast<ClientAuth>(index); });
  section.Finish();
  if (tls.cert_file.empty() != tls.key_file.empty()) {
    errors.Add(section.LineOf("cert_file"), "tls: cert_file and key_file go together");
  }
  if (tls.client_ca_file.empty() != (tls.client_auth == ClientAuth::kNone)) {
    errors.Add(section.LineOf("client_auth"), "tls: client_ca_file goes with client_auth: optional or required");
  }
  if (tls.client_auth != ClientAuth::kNone && !tls.on()) {
    errors.Add(section.LineOf("client_auth"), "tls: client_auth needs cert_file and key_file");
  }
}

}  // namespace stepcast
