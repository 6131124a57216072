#include "server/process/start_banner.h"

#include "absl/strings/str_format.h"
#include "core/string_view.h"
#include "server/config/host_check.h"
#include "server/process/listener.h"
#include "server/wire/version.h"

namespace stepcast {
namespace {

// An address that a person can type: the wildcard addresses mean this machine, too.
std::string Reachable(const std::string& host, int port) {
  if (IsUnixSocket(host)) return host;
  return JoinHostPort(host == "0.0.0.0" || host == "::" ? "localhost" : host, port);
}

void AppendModels(absl::Span<const SharedModelInfo> models, std::string& banner) {
  for (const SharedModelInfo& model : models) {
    absl::StrAppendFormat(&banner, "  model     %-16s %dx%d, %d steps of %s, %s, %.1f M parameters\n", model->id,
                          model->defaults.width, model->defaults.height, model->defaults.steps,
                          ToAbsl(SamplerName(model->defaults.sampler)), DescribeDtypes(*model),
                          static_cast<double>(model->parameter_count) / 1e6);
  }
}

}  // namespace

std::string StartBanner(const ServerConfig& config, const ServerPorts& ports, absl::Span<const SharedModelInfo> models,
                        const std::string& device) {
  const std::string address = Reachable(config.listen.host, ports.grpc);
  std::string banner = absl::StrFormat("\nStepcast %s (%s)\n", ToAbsl(kVersion), ToAbsl(kCommit));
  absl::StrAppendFormat(&banner, "  device    %s, up to %d rows per tick, policy %s\n", device, config.engine.max_rows,
                        config.scheduler.policy.name);
  AppendModels(models, banner);
  absl::StrAppendFormat(&banner, "  limits    %d images per request, %d waiting, sides up to %d\n",
                        config.limits.max_image_count, config.scheduler.admission.max_queued_jobs,
                        config.limits.max_side);
  absl::StrAppendFormat(&banner, "  gRPC      %s%s\n", address, config.reflection ? "" : " (without reflection)");
  if (ports.admin != 0 || (config.listen.admin_port.has_value() && IsUnixSocket(config.listen.admin_host))) {
    absl::StrAppendFormat(&banner, "  admin     %s (health)\n", Reachable(config.listen.admin_host, ports.admin));
  }
  if (ports.metrics != 0) {
    absl::StrAppendFormat(&banner, "  metrics   http://%s/metrics\n",
                          Reachable(config.listen.metrics_host, ports.metrics));
  }
  absl::StrAppendFormat(&banner,
                        "  try       grpcurl%s -d '{\"prompt\":\"a red apple\",\"seed\":7}' %s "
                        "stepcast.v1.ImageGenerationService/Generate\n\n",
                        config.tls.on() ? "" : " -plaintext", address);
  return banner;
}

}  // namespace stepcast
