#pragma once
// What clients are told of adapters.

#include "absl/status/statusor.h"
#include "server/catalog/adapters/adapter_catalog.h"
#include "server/catalog/adapters/lora_catalog.h"
#include "server/catalog/model_registry.h"
#include "stepcast/v1/adapters.pb.h"

namespace stepcast {

// One textual inversion, and which of `models` read it.
v1::Adapter DescribeInversion(const TextualInversion& file, const AdapterCatalog& adapters,
                              const ModelRegistry& models);

// One LoRA, and which of `models` it goes with.
v1::Adapter DescribeLora(const SharedLoraInfo& lora, const LoraCatalog& loras, const ModelRegistry& models);

// All of the kind and model that `request` asks for, by kind and name; its page is not cut yet. `loras` null:
// there are none.
// REQUIRES: the model is "" or one of `models`.
std::vector<v1::Adapter> DescribeAdapters(const v1::ListAdaptersRequest& request, const AdapterCatalog& adapters,
                                          const LoraCatalog* loras, const ModelRegistry& models);

}  // namespace stepcast
