// LoRAs: the file as tensor_lines.h has it, an adapter_config.json, a card, each ended by a record separator. What is
// taken of a file must lie in it and have the shape of the layer that it changes.

#include <set>
#include <string>
#include <string_view>

#include "core/lora_targets.h"
#include "model/lora/lora_card.h"
#include "model/lora/lora_file.h"
#include "model/lora/lora_match.h"
#include "nlohmann/json.hpp"
#include "tests/fuzz/scratch.h"
#include "tests/fuzz/tensor_lines.h"

namespace stepcast {
namespace {

using fuzz::Check;

LoraTargets Targets() {
  return {{"unet",
           {{"conv_in", 4, 8, 3},
            {"down_blocks.0.resnets.0.conv1", 8, 8, 3},
            {"down_blocks.0.resnets.0.time_emb_proj", 16, 8, 0},
            {"down_blocks.0.attentions.0.proj_in", 8, 8, 0},
            {"down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q", 8, 8, 0},
            {"down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k", 768, 8, 0},
            {"down_blocks.0.downsamplers.0.conv", 8, 8, 3},
            {"mid_block.resnets.0.conv1", 8, 8, 3},
            {"up_blocks.0.upsamplers.0.conv", 8, 8, 3}},
           "fp32"},
          {"text_encoder", {{"text_model.encoder.layers.0.self_attn.q_proj", 768, 768, 0}}, "fp32"},
          {"text_encoder_2", {{"text_model.encoder.layers.0.mlp.fc1", 1280, 5120, 0}}, "fp32"}};
}

void CheckEntry(const model::LoraFile& file, const model::TensorEntry& entry) {
  Check(entry.begin <= entry.end && entry.end <= file.file->header().tensors.back().end);
}

void CheckModule(const model::LoraFile& file, const model::LoraModule& module) {
  CheckEntry(file, module.down);
  CheckEntry(file, module.up);
  if (module.mid.has_value()) CheckEntry(file, *module.mid);
  if (module.alpha.has_value()) CheckEntry(file, *module.alpha);
  Check(module.rank() >= 1 && module.rank() <= model::kMaxLoraRank && module.rank() <= file.rank);
  Check(module.down.shape.size() >= 2 && module.down.shape[0] == module.rank());
  Check(file.Changes(module.component));
}

void TryMatch(const model::LoraFile& file) {
  const LoraTargets targets = Targets();
  const auto matches = model::MatchLora(file, targets);
  if (!matches.ok()) {
    Check(matches.status().message().size() < 16384);
    return;
  }
  Check(matches->size() == file.modules.size());
  std::set<std::pair<size_t, int>> changed;
  for (const model::LoraMatch& match : *matches) {
    const LoraSite& site = targets.at(match.network).sites.at(static_cast<size_t>(match.site));
    Check(targets[match.network].component == match.module->component);
    Check(match.module->up.shape[0] == site.out && match.module->down.shape[1] == site.in);
    Check(changed.emplace(match.network, match.site).second);
  }
}

void TryLora(std::string_view text) {
  const std::string path = fuzz::WriteTensors("lora.safetensors", fuzz::Take(text, '\x1e'));
  const auto settings = nlohmann::json::parse(fuzz::Take(text, '\x1e'), nullptr, /*allow_exceptions=*/false);
  const auto file = model::OpenLora(path, settings.is_object() ? settings : nlohmann::json(nullptr));
  if (file.ok()) {
    Check(!file->modules.empty());
    for (const model::LoraModule& module : file->modules) CheckModule(*file, module);
    Check(model::LoraFamily(*file).size() < 100);
    const auto words = model::TriggerWords(file->file->header().metadata);
    Check(words.size() <= 10);
    TryMatch(*file);
  } else {
    Check(file.status().message().size() < 16384);
  }
  (void)model::ReadLoraCard(fuzz::Write("lora.json", text));
}

}  // namespace
}  // namespace stepcast

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  stepcast::TryLora({reinterpret_cast<const char*>(data), size});
  return 0;
}
