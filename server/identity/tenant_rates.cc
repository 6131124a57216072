#include "server/identity/tenant_rates.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "core/string_view.h"
#include "server/request/errors/status_mapping.h"

namespace stepcast {
namespace {

void Adopt(std::optional<TokenBucket>& bucket, const BucketRate& rate, absl::Time now) {
  if (rate.per_second == 0) {
    bucket.reset();
  } else if (bucket.has_value()) {
    bucket->SetRate(rate, now);
  } else {
    bucket.emplace(rate, now);
  }
}

absl::Status TooFast(const std::string& tenant, const std::string& limit, absl::Duration wait) {
  return MakeError({.reason = v1::ERROR_REASON_TENANT_LIMIT,
                    .message = absl::StrCat("the tenant may have ", limit),
                    .metadata = {{"tenant", tenant}},
                    .retry_after = absl::Ceil(wait, absl::Milliseconds(1)),
                    .quota_subject = absl::StrCat("tenant:", tenant)});
}

}  // namespace

absl::Status TenantRates::Admit(const std::string& tenant, const TenantConfig& limits) {
  const BucketRate requests{limits.requests_per_second, static_cast<double>(limits.request_burst)};
  const BucketRate row_seconds{limits.row_seconds_per_second, limits.row_seconds_burst};
  if (requests.per_second == 0 && row_seconds.per_second == 0) return absl::OkStatus();
  const absl::Time now = clock_.Now();
  absl::Duration request_wait;
  absl::Duration row_wait;
  {
    MutexLock lock(mutex_);
    Buckets& buckets = tenants_[tenant];
    Adopt(buckets.requests, requests, now);
    Adopt(buckets.row_seconds, row_seconds, now);
    if (buckets.requests.has_value()) request_wait = buckets.requests->Until(1.0, now);
    if (buckets.row_seconds.has_value()) row_wait = buckets.row_seconds->Until(0.0, now);
    if (request_wait == absl::ZeroDuration() && row_wait == absl::ZeroDuration()) {
      if (buckets.requests.has_value()) buckets.requests->Take(1.0, now);
      return absl::OkStatus();
    }
  }
  if (request_wait >= row_wait) {
    return TooFast(tenant,
                   absl::StrCat(requests.per_second, " requests a second, ", requests.burst, " of them at once"),
                   request_wait);
  }
  return TooFast(tenant,
                 absl::StrCat(row_seconds.per_second, " row-seconds a second, ", row_seconds.burst, " of them at once"),
                 row_wait);
}

void TenantRates::Charge(std::string_view tenant, absl::Duration had) {
  const absl::Time now = clock_.Now();
  MutexLock lock(mutex_);
  const auto found = tenants_.find(ToAbsl(tenant));
  if (found != tenants_.end() && found->second.row_seconds.has_value()) {
    found->second.row_seconds->Take(absl::ToDoubleSeconds(had), now);
  }
}

}  // namespace stepcast
