#include "scheduler/words/step_plan.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace stepcast {
namespace {

std::string JoinIds(const std::vector<JobId>& ids) {
  return absl::StrJoin(ids, ",", [](std::string* out, JobId id) { absl::StrAppend(out, id.value); });
}

}  // namespace

const RowPart* StepPlan::PartOf(JobId job) const {
  const auto part = std::find_if(parts.begin(), parts.end(), [job](const RowPart& each) { return each.job == job; });
  return part == parts.end() ? nullptr : &*part;
}

std::string StepPlan::ToString() const {
  if (empty()) {
    if (!wake_at.has_value()) return "idle";
    return absl::StrCat("idle until ", absl::FormatTime(*wake_at, absl::UTCTimeZone()));
  }
  std::string text = absl::StrCat("#", id, " ", key.ToString(), " rows=", rows, " jobs=", JoinIds(jobs));
  if (!parts.empty()) {
    absl::StrAppend(&text, " parts=", absl::StrJoin(parts, ",", [](std::string* out, const RowPart& part) {
      absl::StrAppend(out, part.job.value, ":", part.first_row, "+", part.rows);
    }));
  }
  if (!group.empty()) absl::StrAppend(&text, " group=", JoinIds(group));
  if (!evict.empty()) absl::StrAppend(&text, " evict=", JoinIds(evict));
  return text;
}

}  // namespace stepcast
