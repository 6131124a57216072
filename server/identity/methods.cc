#include "server/identity/methods.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace stepcast {
namespace {

constexpr std::pair<std::string_view, Role> kMethods[] = {
    {"Generate", Role::kPaint},      {"GenerateImage", Role::kPaint}, {"ListModels", Role::kRead},
    {"GetModel", Role::kRead},       {"ListAdapters", Role::kRead},   {"GetServerInfo", Role::kRead},
    {"WatchTicks", Role::kWatch},    {"GetSchedule", Role::kWatch},   {"LoadModel", Role::kOperate},
    {"UnloadModel", Role::kOperate},
};

}  // namespace

std::optional<Role> RoleFor(std::string_view method) {
  const auto* const found =
      std::find_if(std::begin(kMethods), std::end(kMethods), [&](const auto& known) { return known.first == method; });
  return found == std::end(kMethods) ? std::nullopt : std::optional<Role>(found->second);
}

}  // namespace stepcast
