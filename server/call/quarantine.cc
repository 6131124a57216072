#include "server/call/quarantine.h"

#include "absl/strings/str_cat.h"
#include "prometheus/counter.h"
#include "prometheus/registry.h"
#include "server/call/resume_tokens.h"
#include "server/request/errors/status_mapping.h"

namespace stepcast {
namespace {

prometheus::Counter& AddCounter(prometheus::Registry& registry, const char* event) {
  return prometheus::BuildCounter()
      .Name("stepcast_quarantine_total")
      .Help("Pictures that made the engine fail (entered), and requests refused for asking for one again.")
      .Register(registry)
      .Add({{"event", event}});
}

}  // namespace

Quarantine::Quarantine(const Clock& clock, prometheus::Registry& registry)
    : clock_(clock), entered_(AddCounter(registry, "entered")), refused_(AddCounter(registry, "refused")) {}

void Quarantine::Add(const v1::GenerateRequest& effective, int image_index) {
  const absl::Time until = clock_.Now() + kTime;
  std::string digest = PictureDigest(effective, image_index);
  entered_.Increment();
  MutexLock lock(mutex_);
  until_[digest] = until;
  order_.emplace_back(until, std::move(digest));
  ForgetOld(clock_.Now());
}

absl::Status Quarantine::Check(const v1::GenerateRequest& effective) {
  const absl::Time now = clock_.Now();
  absl::Time until = absl::InfinitePast();
  {
    MutexLock lock(mutex_);
    ForgetOld(now);
    // As a rule, so that requests need not be digested.
    if (until_.empty()) return absl::OkStatus();
    for (int image = 0; image < effective.image_count() && until == absl::InfinitePast(); ++image) {
      const auto known = until_.find(PictureDigest(effective, image));
      if (known != until_.end()) until = known->second;
    }
  }
  if (until == absl::InfinitePast()) return absl::OkStatus();
  refused_.Increment();
  const int64_t seconds = absl::ToInt64Seconds(until - now) + 1;
  return MakeError({.reason = v1::ERROR_REASON_ENGINE_ERROR,
                    .message = absl::StrCat("a picture of this request made the engine fail; the same is refused for ",
                                            seconds, " s: change it, or tell the operator"),
                    .metadata = {{"quarantine_s", absl::StrCat(seconds)}}});
}

void Quarantine::ForgetOld(absl::Time now) {
  while (!order_.empty() && (order_.front().first <= now || order_.size() > kMost)) {
    const auto known = until_.find(order_.front().second);
    // One that came again stays for its newer time.
    if (known != until_.end() && known->second == order_.front().first) until_.erase(known);
    order_.pop_front();
  }
}

}  // namespace stepcast
