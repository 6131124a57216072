#include "server/catalog/adapters/adapter_description.h"

#include <algorithm>

namespace stepcast {
namespace {

bool Reads(const RegisteredModel& model, const TextualInversion& file, const AdapterCatalog& adapters) {
  const std::shared_ptr<const ModelWords> words = adapters.WordsOf(model);
  return std::any_of(words->files.begin(), words->files.end(),
                     [&](const auto& known) { return known->sha256 == file.sha256 && known->name == file.name; });
}

}  // namespace

v1::Adapter DescribeInversion(const TextualInversion& file, const AdapterCatalog& adapters,
                              const ModelRegistry& models) {
  v1::Adapter described;
  described.set_name(file.name);
  described.set_kind(v1::ADAPTER_KIND_EMBEDDING);
  described.set_tokens(file.vectors);
  described.set_sha256(file.sha256);
  if (!file.token.empty()) described.add_trigger_words(file.token);
  size_t numbers = 0;
  for (const std::vector<float>& tower : file.towers) numbers += tower.size();
  described.set_memory_bytes(static_cast<int64_t>(numbers * sizeof(float)));
  for (const RegisteredModel& model : models.models()) {
    if (!Reads(model, file, adapters)) continue;
    described.add_models(model.info->id);
    if (described.family().empty()) described.set_family(model.info->family);
  }
  return described;
}

std::vector<v1::Adapter> DescribeAdapters(const v1::ListAdaptersRequest& request, const AdapterCatalog& adapters,
                                          const ModelRegistry& models) {
  std::vector<v1::Adapter> described;
  if (request.kind() == v1::ADAPTER_KIND_LORA) return described;
  for (const auto& file : adapters.inversions()) {
    v1::Adapter adapter = DescribeInversion(*file, adapters, models);
    const auto& ids = adapter.models();
    if (!request.model().empty() && std::find(ids.begin(), ids.end(), request.model()) == ids.end()) continue;
    described.push_back(std::move(adapter));
  }
  return described;
}

}  // namespace stepcast
