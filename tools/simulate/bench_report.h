#pragma once
// The claims of acceptance.h as people and programs read them.

#include <functional>
#include <string>
#include <vector>

#include "tools/simulate/acceptance.h"

namespace stepcast::simulate {

// Measures the claims of every scene whose name holds `only` ("" : all): latency, goodput, overload, interactive,
// tenants, phases. `progress` hears each name before its scene is run. Minutes for the full lengths.
std::vector<Claim> MeasureClaims(const AcceptanceOptions& options, const std::string& only,
                                 const std::function<void(const std::string&)>& progress);

bool AllHold(const std::vector<Claim>& claims);

// One line a claim.
std::string ToText(const std::vector<Claim>& claims);

// One JSON object; keys in tools/simulate/README.md.
std::string ToJson(const std::vector<Claim>& claims);

}  // namespace stepcast::simulate
