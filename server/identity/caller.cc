#include "server/identity/caller.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "server/request/errors/status_mapping.h"
#include "server/request/request_validator.h"
#include "server/wire/text_limits.h"

namespace stepcast {
namespace {

struct Excess {
  const char* what;
  const char* key;
  int64_t asked;
  int64_t allowed;
};

absl::Status TooLarge(const Excess& excess, const std::string& tenant) {
  return MakeError({.reason = v1::ERROR_REASON_WORK_LIMIT,
                    .message = absl::StrCat("the request asks for ", excess.asked, " ", excess.what,
                                            "; allowed for the tenant: ", excess.allowed),
                    .metadata = {{"tenant", tenant},
                                 {excess.key, absl::StrCat(excess.asked)},
                                 {absl::StrCat("max_", excess.key), absl::StrCat(excess.allowed)}}});
}

}  // namespace

bool Caller::MayUse(const std::string& id) const {
  const auto& allowed = limits().models;
  return !allowed.has_value() || std::find(allowed->begin(), allowed->end(), id) != allowed->end();
}

absl::StatusOr<std::string> Caller::ModelFor(const std::string& name, const ModelRegistry& models) const {
  if (!limits().models.has_value()) return name;
  for (const RegisteredModel& model : models.models()) {
    const std::string& id = model.info->id;
    if ((name.empty() || name == id) && MayUse(id)) return id;
  }
  return MakeError({.reason = v1::ERROR_REASON_MODEL_FORBIDDEN, .metadata = {{"model", Shortened(name, 64)}}});
}

absl::Status Caller::CheckSize(const GenerationRequest& request, int64_t upload_bytes) const {
  const TenantConfig& most = limits();
  const int rows = RowsOf(request);
  if (most.max_rows > 0 && rows > most.max_rows) {
    return TooLarge({.what = "denoiser rows", .key = "rows", .asked = rows, .allowed = most.max_rows}, tenant_);
  }
  if (most.max_upload_bytes > 0 && upload_bytes > most.max_upload_bytes) {
    return TooLarge(
        {.what = "bytes of pictures", .key = "upload_bytes", .asked = upload_bytes, .allowed = most.max_upload_bytes},
        tenant_);
  }
  return absl::OkStatus();
}

}  // namespace stepcast
