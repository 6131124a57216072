#include "engine/trial/size_checks.h"

#include <vector>

#include "absl/strings/str_cat.h"

namespace stepcast::engine {

bool SizeChecks::Passes(const model::ModelBundle& bundle, const Cells& cells) {
  const ModelInfo& info = *bundle.info();
  const Cells usual = {info.defaults.height / info.vae_scale_factor, info.defaults.width / info.vae_scale_factor};
  if (cells == usual) return true;
  const std::pair<std::string, Cells> asked{absl::StrCat(info.id, " ", info.sha256, "@", DescribeDtypes(info)), cells};
  if (const auto known = known_.find(asked); known != known_.end()) return known->second;
  std::vector<SharedControlNet> nets;
  if (nets_ != nullptr) nets = nets_->Fitting(info.control_shape);
  const bool passes = RowsAreIndependent(bundle, device_, strict_rows_, nets, cells);
  known_.emplace(asked, passes);
  if (!passes && log_) {
    log_(absl::StrCat("strict mode: rows of model '", info.id, "' are not independent at ", cells.height, "x",
                      cells.width, " cells; pictures of that size have forwards of their own"));
  }
  return passes;
}

}  // namespace stepcast::engine
