#include "engine/start/control_library.h"

#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "engine/shelves/control_shelf.h"
#include "model/control/control_net_loader.h"
#include "model/loading/compute_dtypes.h"

namespace stepcast::engine {
namespace {

absl::StatusOr<model::LoadedControlNet> Read(const ControlNetSource& source, const EngineOptions& options,
                                             const ComputeDevice& device, bool weights, const TorchGuard& guard) {
  model::ControlNetLoadOptions load{.id = source.id, .path = source.path};
  STEPCAST_ASSIGN_OR_RETURN(load.dtype, ParseDtype(options.dtype));
  if (source.dtype.has_value()) load.dtype = model::ToScalarType(*source.dtype);
  load.device = weights ? device.device() : c10::Device(c10::DeviceType::Meta);
  load.auto_dtypes = device.auto_dtypes();
  absl::StatusOr<model::LoadedControlNet> net = absl::InternalError("not loaded");
  STEPCAST_RETURN_IF_ERROR(guard.Run(absl::StrCat("loading of ControlNet '", source.id, "'"), [&] {
    device.BindThread();  // weights are packed by as many threads as will use them
    net = model::LoadControlNet(load);
    device.Synchronize();  // executors have streams of their own
  }));
  if (net.ok()) return net;
  return absl::Status(net.status().code(),
                      absl::StrCat("ControlNet '", source.id, "' in '", source.path, "': ", net.status().message()));
}

// OK when `source` is on all shelves.
absl::Status ReadOne(const ControlNetSource& source, const EngineOptions& options, absl::Span<const ModelPlace> places,
                     const TorchGuard& guard, ControlNets& nets) {
  STEPCAST_ASSIGN_OR_RETURN(const model::LoadedControlNet shapes,
                            Read(source, options, *places.front().device, /*weights=*/false, guard));
  int64_t held = 0;
  for (const ControlNetInfo& other : nets.infos) held += other.bytes;
  if (shapes.info.bytes > options.control_nets_budget - held) {
    return absl::ResourceExhaustedError(absl::StrCat("ControlNet '", source.id, "' needs ", shapes.info.bytes,
                                                     " bytes for its weights, where others hold ", held,
                                                     "; control_nets_budget is ", options.control_nets_budget));
  }
  std::vector<SharedControlNet> read;
  for (const ModelPlace& place : places) {
    STEPCAST_ASSIGN_OR_RETURN(model::LoadedControlNet net,
                              Read(source, options, *place.device, /*weights=*/true, guard));
    read.push_back(std::make_shared<const ShelvedControlNet>(ShelvedControlNet{std::move(net.info), net.net}));
  }
  nets.infos.push_back(read.front()->info);
  for (size_t i = 0; i < read.size(); ++i) places[i].nets->Put(std::move(read[i]));
  for (const std::string& warning : shapes.warnings) {
    nets.warnings.push_back(absl::StrCat("ControlNet '", source.id, "': ", warning));
  }
  return absl::OkStatus();
}

}  // namespace

ControlNets ReadControlNets(const EngineOptions& options, absl::Span<const ModelPlace> places,
                            const TorchGuard& guard) {
  ControlNets nets;
  for (const ControlNetSource& source : options.control_nets) {
    const absl::Status read = ReadOne(source, options, places, guard, nets);
    if (!read.ok()) nets.warnings.push_back(absl::StrCat(read.message(), ": it is left out"));
  }
  return nets;
}

absl::StatusOr<CheckedModel> CheckControlNet(const EngineOptions& options, const ModelPlace& place,
                                             const TorchGuard& guard) {
  const ModelSource& source = options.models.front();
  STEPCAST_ASSIGN_OR_RETURN(model::LoadedControlNet net, Read({.id = source.id, .path = source.path}, options,
                                                              *place.device, /*weights=*/false, guard));
  return CheckedModel{.info = nullptr, .warnings = std::move(net.warnings), .control_net = std::move(net.info)};
}

std::vector<ControlNetInfo> FittingNets(const std::vector<ControlNetInfo>& nets, const ModelInfo& model) {
  std::vector<ControlNetInfo> fitting;
  for (const ControlNetInfo& net : nets) {
    if (model.control_shape == net.shape) fitting.push_back(net);
  }
  return fitting;
}

}  // namespace stepcast::engine
