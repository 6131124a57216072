#include "engine/step/row_layout.h"

namespace stepcast::engine {

RowLayout RowLayout::Of(absl::Span<const ActiveJob> jobs) {
  RowLayout layout;
  for (size_t n = 0; n < jobs.size(); ++n) {
    const sampling::RowSet& set = *jobs[n].rows;
    const bool plain = jobs[n].whole() && sampling::IsPlain(set);
    const bool guided = plain && set.size() == 2;
    layout.uncond_row.push_back(layout.rows());
    layout.job_of_row.insert(layout.job_of_row.end(), jobs[n].own_rows().size(), static_cast<int64_t>(n));
    layout.cond_row.push_back(layout.rows() - 1);
    layout.any_guided = layout.any_guided || guided;
    layout.all_guided = layout.all_guided && guided;
    layout.all_plain = layout.all_plain && plain;
    for (const sampling::Row& row : jobs[n].own_rows()) layout.any_window = layout.any_window || !row.window.whole();
  }
  return layout;
}

}  // namespace stepcast::engine
