#pragma once
// The sections of the configuration that say who may call: tenants, auth, admin, tls.

#include <string>

#include "server/config/identity_config.h"
#include "server/config/strict_yaml.h"
#include "server/config/tls_config.h"

namespace stepcast {

// Reads `tenants`. Mistakes go to `errors`.
void ReadTenants(YamlMapping& root, YamlErrors& errors, TenantsConfig& tenants);

// Read `auth`, `admin` and `tls`. Paths are relative to the folder of `config_path`.
void ReadAuth(YamlMapping& root, const std::string& config_path, YamlErrors& errors, AuthConfig& auth);
void ReadAdmin(YamlMapping& root, const std::string& config_path, YamlErrors& errors, AdminConfig& admin);
void ReadTls(YamlMapping& root, const std::string& config_path, YamlErrors& errors, TlsConfig& tls);

}  // namespace stepcast
