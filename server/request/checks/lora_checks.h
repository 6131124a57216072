#pragma once
// The checks of `loras`.

#include "absl/status/status.h"
#include "server/catalog/adapters/lora_catalog.h"
#include "server/request/checks/request_checks.h"

namespace stepcast {

// Whether the server has what `wire` names; `loras` null: it has none at all, which CheckLoras says.
// Errors: LORA_NOT_FOUND, with those that go with `model`.
absl::Status FindLoras(const v1::GenerateRequest& wire, const RegisteredModel& model, const LoraCatalog* loras);

// `model` with the defaults of the first LoRA's card, where it has one that goes with the model.
SharedModelInfo WithLoraDefaults(const v1::GenerateRequest& wire, const RegisteredModel& model,
                                 const LoraCatalog* loras);

// loras. REQUIRES: FindLoras.
void CheckLoras(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations);

}  // namespace stepcast
