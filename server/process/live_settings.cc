#include "server/process/live_settings.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/string_view.h"
#include "server/config/config_printer.h"
#include "server/config/file_stamp.h"
#include "server/telemetry/logging.h"

namespace stepcast {
namespace {

constexpr const char* kTaken[] = {"tenants.default.", "tenants.named", "tenants.max",      "tenants.metadata_key",
                                  "limits.",          "auth.",         "admin.token_file", "log.level"};
// Of those, what something was made for at the start; schedulers among them.
constexpr const char* kFixed[] = {"tenants.default.max_pictures", "tenants.default.max_queued",
                                  "limits.max_decode_bytes",      "limits.max_request_bytes",
                                  "limits.image_chunk_bytes",     "limits.input_pictures.budget_bytes"};

bool NeedsRestart(const std::string& key) {
  const auto is_in = [&key](const char* prefix) { return absl::StartsWith(key, prefix); };
  return std::none_of(std::begin(kTaken), std::end(kTaken), is_in) ||
         std::any_of(std::begin(kFixed), std::end(kFixed), is_in);
}

std::string_view Words(const absl::Status& status) { return {status.message().data(), status.message().size()}; }

}  // namespace

std::vector<std::string> KeysForRestart(const ServerConfig& started, const ServerConfig& fresh) {
  std::vector<std::string> keys = ChangedKeys(started, fresh);
  std::erase_if(keys, [](const std::string& key) { return !NeedsRestart(key); });
  // Schedulers know these from their start. A tenant that is named no longer has the defaults, and is here as well.
  std::set<std::string> names;
  for (const auto* config : {&started, &fresh}) {
    for (const auto& [name, tenant] : config->tenants.named) names.insert(name);
  }
  for (const std::string& name : names) {
    const TenantConfig& before = started.tenants.Of(name);
    const TenantConfig& after = fresh.tenants.Of(name);
    const auto add = [&](bool differs, const char* key) {
      if (differs) keys.push_back(absl::StrCat("tenants.named.", name, ".", key));
    };
    add(before.weight != after.weight, "weight");
    add(before.max_pictures != after.max_pictures, "max_pictures");
    add(before.max_queued != after.max_queued, "max_queued");
    add(before.max_queued_work != after.max_queued_work, "max_queued_work");
  }
  return keys;
}

LiveSettings::LiveSettings(const ServerConfig& config, const Parts& parts)
    : started_(config), config_(config), parts_(parts), tokens_(TokenStamp()), certificates_(CertificateStamp()) {}

std::string LiveSettings::TokenStamp() const {
  return absl::StrCat(StampOf(config_.auth.token_file), "|", StampOf(config_.admin.token_file));
}

std::string LiveSettings::CertificateStamp() const {
  const TlsConfig& tls = started_.tls;
  return absl::StrCat(StampOf(tls.cert_file), "|", StampOf(tls.key_file), "|", StampOf(tls.client_ca_file));
}

void LiveSettings::Look(absl::Time now) {
  LookAtTokens(now);
  LookAtCertificates(now);
}

void LiveSettings::LookAtTokens(absl::Time now) {
  std::string stamp = TokenStamp();
  if (stamp == tokens_) return;
  tokens_ = std::move(stamp);
  absl::StatusOr<SharedAccess> access = LoadAccess(config_, now);
  parts_.metrics.CountReload(Reloaded::kTokens, access.ok());
  if (!access.ok()) {
    Log(LogLevel::kError, "tokens not read again; those before stay", {{"cause", Words(access.status())}});
    return;
  }
  parts_.access.Replace(*std::move(access));
  Log(LogLevel::kInfo, "tokens read again");
}

void LiveSettings::LookAtCertificates(absl::Time now) {
  std::string stamp = CertificateStamp();
  if (parts_.certificates == nullptr || stamp == certificates_) return;
  certificates_ = std::move(stamp);
  const absl::StatusOr<bool> fresh = parts_.certificates->Refresh(now);
  parts_.metrics.CountReload(Reloaded::kCertificates, fresh.ok());
  if (!fresh.ok()) {
    Log(LogLevel::kError, "certificates not read again; those before stay", {{"cause", Words(fresh.status())}});
    return;
  }
  const absl::Time expires = parts_.certificates->expires();
  parts_.metrics.SetCertificateExpiry(expires);
  const std::string when = absl::FormatTime(absl::RFC3339_sec, expires, absl::UTCTimeZone());
  Log(LogLevel::kInfo, *fresh ? "certificates exchanged" : "certificates are as before", {{"expires", when}});
}

void LiveSettings::Reload(absl::StatusOr<ServerConfig> fresh, absl::Time now,
                          const std::function<absl::Status(const ServerConfig&)>& judge,
                          const std::function<void(const ServerConfig&)>& take) {
  absl::StatusOr<SharedAccess> access = fresh.ok() ? LoadAccess(*fresh, now) : fresh.status();
  const absl::Status status = access.ok() ? judge(*fresh) : access.status();
  parts_.metrics.CountReload(Reloaded::kConfig, status.ok());
  if (!status.ok()) {
    Log(LogLevel::kError, "configuration not read again; the one before stays", {{"cause", Words(status)}});
    return;
  }
  config_ = *std::move(fresh);
  parts_.access.Replace(*std::move(access));
  tokens_ = TokenStamp();
  SetLogLevel(config_.log.level);
  take(config_);
  Log(LogLevel::kInfo, "configuration read again");
  const std::vector<std::string> rest = KeysForRestart(started_, config_);
  if (!rest.empty()) {
    Log(LogLevel::kWarning, "these keys take a restart", {{"keys", absl::StrJoin(rest, ", ")}});
  }
}

}  // namespace stepcast
