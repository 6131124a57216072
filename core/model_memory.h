#pragma once
// What the weights of models take, parts that several of them have counted once.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "core/model_host.h"
#include "core/model_info.h"

namespace stepcast {

// Whether the loop of that name paints `model`.
bool IsPaintedBy(const ModelInfo& model, const std::string& loop);

// Whether some loop of `memory` paints `model`.
bool IsHeldOn(const ModelInfo& model, const ModelMemory& memory);

// Whether two models hold one part: the same weights in another type are other bytes. They must be on one device, too.
bool AreHeldOnce(const ModelComponent& a, const ModelComponent& b);

// Bytes of the weights of `model`, wherever it is.
int64_t WeightBytes(const ModelInfo& model);

// Bytes of the weights of `models` in `memory`.
int64_t WeightBytes(absl::Span<const SharedModelInfo> models, const ModelMemory& memory);

// A model in memory, as somebody sees it who looks for room.
struct ResidentModel {
  SharedModelInfo info;
  bool may_leave = false;
  absl::Time last_use = absl::InfinitePast();
};

// The residents that must leave so that `newcomer` fits every device that it is for, the longest unused first and no
// more than needed; empty when it fits beside them all. nullopt when it would not fit although all leave that may.
std::optional<std::vector<std::string>> ChooseLeavers(const SharedModelInfo& newcomer,
                                                      absl::Span<const ResidentModel> residents,
                                                      absl::Span<const ModelMemory> memory);

// Which budget `newcomer` breaks beside `others`, in words with the numbers; "" when none.
std::string DescribeTooLarge(const SharedModelInfo& newcomer, const std::vector<SharedModelInfo>& others,
                             absl::Span<const ModelMemory> memory);

// The same for a `newcomer` that fits neither now nor later, because `pinned` never leave, or because it is too large
// by itself.
std::string DescribeNeverFits(const SharedModelInfo& newcomer, const std::vector<SharedModelInfo>& pinned,
                              absl::Span<const ModelMemory> memory);

}  // namespace stepcast
