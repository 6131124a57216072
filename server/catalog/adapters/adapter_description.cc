#include "server/catalog/adapters/adapter_description.h"

#include <algorithm>
#include <utility>

#include "server/wire/proto_enums.h"

namespace stepcast {
namespace {

bool Reads(const RegisteredModel& model, const TextualInversion& file, const AdapterCatalog& adapters) {
  const std::shared_ptr<const ModelWords> words = adapters.WordsOf(model);
  return std::any_of(words->files.begin(), words->files.end(),
                     [&](const auto& known) { return known->sha256 == file.sha256 && known->name == file.name; });
}

// What its card says; where that is nothing, nothing.
void SetDefaults(const CardDefaults& said, v1::Adapter& described) {
  v1::ModelDefaults defaults;
  if (said.sampler.has_value()) defaults.set_sampler(ToProto(*said.sampler));
  if (said.sigma_schedule.has_value()) defaults.set_sigma_schedule(ToProto(*said.sigma_schedule));
  if (said.timestep_spacing.has_value()) defaults.set_timestep_spacing(ToProto(*said.timestep_spacing));
  if (said.steps.has_value()) defaults.set_steps(*said.steps);
  if (said.guidance_scale.has_value()) defaults.set_guidance_scale(*said.guidance_scale);
  if (said.guidance_rescale.has_value()) defaults.set_guidance_rescale(*said.guidance_rescale);
  if (said.eta.has_value()) defaults.set_eta(*said.eta);
  if (said.clip_skip.has_value()) defaults.set_clip_skip(*said.clip_skip);
  if (said.negative_prompt.has_value()) defaults.set_negative_prompt(*said.negative_prompt);
  defaults.mutable_timesteps()->Add(said.timesteps.begin(), said.timesteps.end());
  defaults.mutable_sigmas()->Add(said.sigmas.begin(), said.sigmas.end());
  if (defaults.ByteSizeLong() > 0) *described.mutable_defaults() = std::move(defaults);
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

v1::Adapter DescribeLora(const SharedLoraInfo& lora, const LoraCatalog& loras, const ModelRegistry& models) {
  v1::Adapter described;
  described.set_name(lora->name);
  described.set_kind(v1::ADAPTER_KIND_LORA);
  described.set_display_name(lora->display_name);
  described.set_description(lora->description);
  described.set_license(lora->license);
  described.set_family(lora->family);
  described.set_rank(lora->rank);
  described.set_changes_denoiser(lora->changes_denoiser);
  described.set_changes_text_encoders(lora->changes_text_encoders);
  for (const std::string& word : lora->trigger_words) described.add_trigger_words(word);
  described.set_sha256(lora->sha256);
  described.set_memory_bytes(lora->bytes);
  for (const RegisteredModel& model : models.models()) {
    if (loras.Fit(lora, model.info).ok()) described.add_models(model.info->id);
  }
  SetDefaults(lora->defaults, described);
  return described;
}

std::vector<v1::Adapter> DescribeAdapters(const v1::ListAdaptersRequest& request, const AdapterCatalog& adapters,
                                          const LoraCatalog* loras, const ModelRegistry& models) {
  std::vector<v1::Adapter> described;
  const auto add = [&](v1::Adapter adapter) {
    const auto& ids = adapter.models();
    if (!request.model().empty() && std::find(ids.begin(), ids.end(), request.model()) == ids.end()) return;
    described.push_back(std::move(adapter));
  };
  if (loras != nullptr && request.kind() != v1::ADAPTER_KIND_EMBEDDING) {
    for (const SharedLoraInfo& lora : loras->loras()) add(DescribeLora(lora, *loras, models));
  }
  if (request.kind() == v1::ADAPTER_KIND_LORA) return described;
  for (const auto& file : adapters.inversions()) add(DescribeInversion(*file, adapters, models));
  return described;
}

}  // namespace stepcast
