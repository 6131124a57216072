#include "engine/shelves/control_shelf.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace stepcast::engine {
namespace {

absl::Status NoSuchNet(const std::string& id) {
  return absl::NotFoundError(absl::StrCat("there is no ControlNet '", id, "'"));
}

}  // namespace

SharedControlNet ControlShelf::Find(const std::string& id) const {
  MutexLock lock(mutex_);
  const auto found = nets_.find(id);
  return found == nets_.end() ? nullptr : found->second;
}

std::vector<SharedControlNet> ControlShelf::Fitting(const std::optional<ControlShape>& shape) const {
  std::vector<SharedControlNet> fitting;
  {
    MutexLock lock(mutex_);
    for (const auto& [id, net] : nets_) {
      if (shape == net->info.shape) fitting.push_back(net);
    }
  }
  std::ranges::sort(fitting, {}, [](const SharedControlNet& net) { return net->info.id; });
  return fitting;
}

void ControlShelf::Put(SharedControlNet net) {
  MutexLock lock(mutex_);
  std::string id = net->info.id;
  nets_.emplace(std::move(id), std::move(net));
}

HintFinder HintsOf(std::shared_ptr<const ControlShelf> shelf) {
  if (shelf == nullptr) return nullptr;
  return [shelf = std::move(shelf)](const std::string& id) -> absl::StatusOr<HintNetwork> {
    SharedControlNet net = shelf->Find(id);
    if (net == nullptr) return NoSuchNet(id);
    std::string identity = absl::StrCat("control ", net->info.sha256, "@", net->info.dtype);
    return HintNetwork{.identity = std::move(identity), .embed = [net = std::move(net)](const at::Tensor& pictures) {
                         return net->net->EmbedHint(pictures);
                       }};
  };
}

absl::Status CheckControl(const sampling::Stage& stage, const ControlShelf* shelf) {
  for (const sampling::StageControl& control : stage.control) {
    const SharedControlNet net = shelf == nullptr ? nullptr : shelf->Find(control.network);
    if (net == nullptr) return NoSuchNet(control.network);
    if (stage.model->control_shape != net->info.shape) {
      return absl::InvalidArgumentError(
          absl::StrCat("ControlNet '", control.network, "' does not go with model '", stage.model->id, "'"));
    }
    const int types = net->info.union_types;
    const int type = control.control_type.value_or(-1);
    if (control.control_type.has_value() ? (type < 0 || type >= types) : types > 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("ControlNet '", control.network, "' knows ", types, " kinds of picture, and is told ", type));
    }
  }
  return absl::OkStatus();
}

}  // namespace stepcast::engine
