#include "model/unet/unet_fields.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace stepcast::model {
namespace {

struct BlockType {
  const char* name;
  BlockAttention attention;
  BlockResampler resampler;
};

constexpr BlockType kDownTypes[] = {
    {"DownBlock2D", BlockAttention::kNone, BlockResampler::kConv},
    {"CrossAttnDownBlock2D", BlockAttention::kTransformer, BlockResampler::kConv},
    {"AttnDownBlock2D", BlockAttention::kSpatial, BlockResampler::kConv},
    {"ResnetDownsampleBlock2D", BlockAttention::kNone, BlockResampler::kResnet},
};
constexpr BlockType kUpTypes[] = {
    {"UpBlock2D", BlockAttention::kNone, BlockResampler::kConv},
    {"CrossAttnUpBlock2D", BlockAttention::kTransformer, BlockResampler::kConv},
    {"AttnUpBlock2D", BlockAttention::kSpatial, BlockResampler::kConv},
    {"ResnetUpsampleBlock2D", BlockAttention::kNone, BlockResampler::kResnet},
};

template <size_t kCount>
void SetType(const BlockType (&types)[kCount], absl::string_view key, const std::string& name, JsonConfig& json,
             UNetBlockConfig& block) {
  // Files of the first releases spell "UNetResCrossAttnDownBlock2D".
  const absl::string_view plain = absl::StripPrefix(name, "UNetRes");
  for (const BlockType& type : types) {
    if (plain == type.name) {
      block.attention = type.attention;
      block.resampler = type.resampler;
      return;
    }
  }
  std::string known;
  for (const BlockType& type : types) absl::StrAppend(&known, known.empty() ? "" : ", ", type.name);
  json.Problem(key, absl::StrCat("'", name.substr(0, 60), "' is not supported (", known, " are)"));
}

}  // namespace

void SetDownType(const std::string& name, JsonConfig& json, UNetBlockConfig& block) {
  SetType(kDownTypes, "down_block_types", name, json, block);
}

void SetUpType(const std::string& name, JsonConfig& json, UNetBlockConfig& block) {
  SetType(kUpTypes, "up_block_types", name, json, block);
}

void CheckHeads(const UNetBlockConfig& block, JsonConfig& json) {
  if (block.heads < 1) {
    json.Problem("attention_head_dim",
                 absl::StrCat(block.channels, " channels do not divide into heads of that width"));
  } else if (block.channels % block.heads != 0) {
    json.Problem("attention_head_dim",
                 absl::StrCat(block.channels, " channels do not divide into ", block.heads, " heads"));
  }
}

Activation ReadActivation(JsonConfig& json, absl::string_view key, const std::string& name) {
  const absl::StatusOr<Activation> activation = ParseActivation(name);
  if (activation.ok()) return *activation;
  json.Problem(key, activation.status().message());
  return Activation::kSilu;
}

void ReadSampleSize(JsonConfig& json, UNetConfig& config) {
  const nlohmann::json* size = json.Find("sample_size");
  if (size == nullptr) return;
  if (!size->is_array()) {
    config.sample_height = config.sample_width = json.Int("sample_size", 0, 1, 1 << 16);
    return;
  }
  const std::vector<int64_t> sides = json.Ints("sample_size", {0, 0}, 1, 1 << 16);
  if (sides.size() != 2) json.Problem("sample_size", "one integer or [height, width] is needed");
  config.sample_height = sides.front();
  config.sample_width = sides.back();
}

void CheckGroups(const UNetConfig& config, JsonConfig& json) {
  for (const UNetBlockConfig& block : config.down_blocks) {
    if (block.channels % config.norm_num_groups != 0) {
      json.Problem("norm_num_groups",
                   absl::StrCat(block.channels, " channels do not divide into ", config.norm_num_groups, " groups"));
    }
  }
}

}  // namespace stepcast::model
