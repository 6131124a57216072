#pragma once
// What a person sees when the server has started.

#include <string>

#include "absl/types/span.h"
#include "core/model_info.h"
#include "server/config/config.h"
#include "server/process/server.h"

namespace stepcast {

// A table of models, device, limits and addresses, with the grpcurl line to try. Ends with a line break.
std::string StartBanner(const ServerConfig& config, const ServerPorts& ports, absl::Span<const SharedModelInfo> models,
                        const std::string& device);

}  // namespace stepcast
