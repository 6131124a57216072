#include "scheduler/words/step_plan.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace stepcast {
namespace {

std::string JoinIds(const std::vector<JobId>& ids) {
  return absl::StrJoin(ids, ",", [](std::string* out, JobId id) { absl::StrAppend(out, id.value); });
}

}  // namespace

std::string StepPlan::ToString() const {
  if (empty()) {
    if (!wake_at.has_value()) return "idle";
    return absl::StrCat("idle until ", absl::FormatTime(*wake_at, absl::UTCTimeZone()));
  }
  std::string text = absl::StrCat("#", id, " ", key.ToString(), " rows=", rows, " jobs=", JoinIds(jobs));
  if (!group.empty()) absl::StrAppend(&text, " group=", JoinIds(group));
  if (!evict.empty()) absl::StrAppend(&text, " evict=", JoinIds(evict));
  return text;
}

}  // namespace stepcast
