#include "core/dtype.h"

namespace stepcast {
namespace {

constexpr std::array<std::string_view, 4> kNames = {"auto", "fp32", "bf16", "fp16"};

}  // namespace

std::string_view DtypeName(Dtype dtype) { return kNames[static_cast<size_t>(dtype)]; }

std::optional<Dtype> DtypeFromName(std::string_view name) {
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<Dtype>(i);
  }
  return std::nullopt;
}

std::string DtypePartNames() {
  std::string names;
  for (const std::string_view part : kDtypeParts) names.append(names.empty() ? "" : ", ").append(part);
  return names;
}

}  // namespace stepcast
