// Checkpoints in one file, as tensor_lines.h has them; whatever is detected must lie in it.

#include <string>
#include <string_view>

#include "absl/strings/match.h"
#include "model/files/scheduler_class.h"
#include "model/files/scheduler_config.h"
#include "model/single_file/single_file.h"
#include "model/text_encoder/clip_text_config.h"
#include "model/unet/unet_config.h"
#include "model/vae/autoencoder_config.h"
#include "nlohmann/json.hpp"
#include "tests/fuzz/scratch.h"
#include "tests/fuzz/tensor_lines.h"

namespace stepcast {
namespace {

using fuzz::Check;
using nlohmann::json;

void CheckSource(const std::string& name, const model::ComponentSource& source) {
  for (const auto& [file, config] : source.configs) {
    auto parsed = model::JsonConfig::Parse(config.dump(), name);
    if (!parsed.ok()) continue;
    if (name == "unet") (void)model::ParseUNetConfig(*parsed);
    if (name == "vae") (void)model::ParseAutoencoderConfig(*parsed);
    if (name == "text_encoder") (void)model::ParseClipTextConfig(*parsed, "CLIPTextModel");
    if (name == "text_encoder_2") (void)model::ParseClipTextConfig(*parsed, "CLIPTextModelWithProjection");
    if (name == "scheduler") Check(model::ParseSchedulerConfig(*parsed, "PNDMScheduler", "").ok());
  }
  if (source.file == nullptr) return;
  const auto set = model::WeightSet::OpenViews(source.file, source.views, nullptr);
  if (!set.ok()) return;
  for (const auto& [tensor, stored] : set->tensors()) {
    Check(stored.entry->begin <= stored.entry->end);
    const model::TensorEntry& last = source.file->header().tensors.back();
    Check(stored.entry->end <= last.end);
  }
}

// Whether it loads, or would with an autoencoder of another file.
bool TryOpen(const std::string& path, bool has_vae) {
  model::SingleFileOptions options;
  options.has_vae = has_vae;
  const auto index = model::OpenSingleFile(path, options);
  if (!index.ok()) {
    Check(index.status().message().size() > path.size() && index.status().message().size() < 16384);
    return !has_vae && absl::StrContains(index.status().message(), "no autoencoder");
  }
  Check(!index->decisions.empty());
  for (const auto& [name, source] : index->sources) CheckSource(name, source);
  return false;
}

void TryCheckpoint(std::string_view lines) {
  const std::string path = fuzz::WriteTensors("model.safetensors", lines);
  if (TryOpen(path, false)) TryOpen(path, true);
  const auto vae = model::OpenVaeFile(path, json::object());
  if (vae.ok()) CheckSource("vae", *vae);
}

}  // namespace
}  // namespace stepcast

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  stepcast::TryCheckpoint({reinterpret_cast<const char*>(data), size});
  return 0;
}
