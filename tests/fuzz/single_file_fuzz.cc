// Checkpoints in one file: a line per tensor ("name dtype side side ..."), "! key value" for metadata. The file is
// written with these tensors in a row and nothing in them; whatever is detected must lie in it.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "model/files/scheduler_class.h"
#include "model/files/scheduler_config.h"
#include "model/single_file/single_file.h"
#include "model/text_encoder/clip_text_config.h"
#include "model/unet/unet_config.h"
#include "model/vae/autoencoder_config.h"
#include "nlohmann/json.hpp"
#include "tests/fuzz/scratch.h"

namespace stepcast {
namespace {

using fuzz::Check;
using nlohmann::json;

constexpr uint64_t kMostBytes = uint64_t{1} << 36;  // of a file, which holds nothing and takes no memory

uint64_t BytesOf(const std::string& dtype) {
  if (dtype == "F64" || dtype == "I64") return 8;
  if (dtype == "F32" || dtype == "I32") return 4;
  return dtype == "F16" || dtype == "BF16" ? 2 : 1;
}

// Adds a tensor after those that are there; false where it is none.
bool AddTensor(const std::string& line, json& header, uint64_t& at) {
  const std::vector<std::string> words = absl::StrSplit(line, ' ');
  if (words.size() < 2 || words.size() > 7 || header.contains(words[0])) return false;
  uint64_t bytes = BytesOf(words[1]);
  json shape = json::array();
  for (size_t i = 2; i < words.size(); ++i) {
    int64_t side = 0;
    if (!absl::SimpleAtoi(words[i], &side) || side < 0 || side > (1 << 18)) return false;
    shape.push_back(side);
    bytes *= static_cast<uint64_t>(side);
    if (bytes > kMostBytes) return false;
  }
  if (at + bytes > kMostBytes) return false;
  header[words[0]] = {{"dtype", words[1]}, {"shape", shape}, {"data_offsets", {at, at + bytes}}};
  at += bytes;
  return true;
}

// The path of the file.
std::string WriteFile(std::string_view lines) {
  json header = json::object();
  uint64_t at = 0;
  while (!lines.empty()) {
    const std::string line(fuzz::Take(lines, '\n'));
    if (line.rfind("! ", 0) != 0) {
      AddTensor(line, header, at);
      continue;
    }
    std::string_view pair = std::string_view(line).substr(2);
    const std::string key(fuzz::Take(pair, ' '));
    header["__metadata__"][key] = std::string(pair);
  }
  const std::string text = header.dump(-1, ' ', false, json::error_handler_t::replace);
  const uint64_t length = text.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  const std::string path = fuzz::Write("model.safetensors", bytes + text);
  Check(truncate(path.c_str(), static_cast<off_t>(8 + length + at)) == 0);
  return path;
}

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
  const std::string path = WriteFile(lines);
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
