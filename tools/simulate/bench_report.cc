#include "tools/simulate/bench_report.h"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace stepcast::simulate {

std::vector<Claim> MeasureClaims(const AcceptanceOptions& options, const std::string& only,
                                 const std::function<void(const std::string&)>& progress) {
  using Scene = std::vector<Claim> (*)(const AcceptanceOptions&);
  const std::pair<const char*, Scene> kScenes[] = {
      {"latency", &MeanLatencyClaims},
      {"goodput", &GoodputClaims},
      {"overload", &OverloadClaims},
      {"interactive", &InteractiveClaims},
      {"tenants", &TenantClaims},
      {"shares", &ShareClaims},
      {"bursts", &BurstClaims},
      {"errands", &ErrandClaims},
      {"phases", [](const AcceptanceOptions&) { return PhaseClaims(); }},
      {"cancels", [](const AcceptanceOptions&) { return CancelClaims(); }},
  };
  std::vector<Claim> claims;
  for (const auto& [name, scene] : kScenes) {
    if (!absl::StrContains(name, only)) continue;
    progress(name);
    for (Claim& claim : scene(options)) claims.push_back(std::move(claim));
  }
  return claims;
}

bool AllHold(const std::vector<Claim>& claims) {
  return std::all_of(claims.begin(), claims.end(), [](const Claim& claim) { return claim.holds(); });
}

std::string ToText(const std::vector<Claim>& claims) {
  std::string text;
  for (const Claim& claim : claims) absl::StrAppend(&text, claim.ToString(), "\n");
  return text;
}

std::string ToJson(const std::vector<Claim>& claims) {
  nlohmann::ordered_json json;
  json["version"] = 1;
  json["met"] = AllHold(claims);
  json["claims"] = nlohmann::ordered_json::array();
  for (const Claim& claim : claims) {
    json["claims"].push_back({{"name", claim.name},
                              {"measured", claim.measured},
                              {"bound", claim.bound},
                              {"at_most", claim.at_most},
                              {"met", claim.holds()}});
  }
  return json.dump(2);
}

}  // namespace stepcast::simulate
