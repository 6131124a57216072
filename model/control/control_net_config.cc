#include "model/control/control_net_config.h"

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace stepcast::model {
namespace {

constexpr char kPlainClass[] = "ControlNetModel";
constexpr char kUnionClass[] = "ControlNetUnionModel";
// Bounds of what a config of a few bytes can make.
constexpr int64_t kMostTypes = 64;
constexpr int64_t kMostUnionLayers = 64;
constexpr size_t kMostHintLevels = 6;  // 32 pixels a cell

void ReadHints(JsonConfig& json, bool is_union, ControlNetConfig& config) {
  const std::vector<int64_t> widths =
      is_union ? std::vector<int64_t>{48, 96, 192, 384} : std::vector<int64_t>{16, 32, 96, 256};
  config.hint_channels = json.Ints("conditioning_embedding_out_channels", widths, 1, 1 << 16);
  if (config.hint_channels.size() > kMostHintLevels) {
    json.Problem("conditioning_embedding_out_channels", absl::StrCat("at most ", kMostHintLevels, " levels"));
  }
  const int64_t channels = json.Int("conditioning_channels", 3, 1);
  if (channels != 3) {
    json.Problem("conditioning_channels", absl::StrCat(channels, " is not supported (3 is: hints are RGB pictures)"));
  }
  const std::string order = json.String("controlnet_conditioning_channel_order", "rgb");
  config.bgr = order == "bgr";
  if (order != "rgb" && (order != "bgr" || is_union)) {
    json.Problem("controlnet_conditioning_channel_order", absl::StrCat("'", order.substr(0, 40), "' is not supported (",
                                                                       is_union ? "rgb is" : "rgb, bgr are", ")"));
  }
  config.global_pool_conditions = json.Bool("global_pool_conditions", false);
}

void ReadUnion(JsonConfig& json, ControlNetConfig& config) {
  ControlUnionConfig& net = config.union_net;
  net.types = json.Int("num_control_type", 6, 1, kMostTypes);
  net.width = json.Int("num_trans_channel", 320, 1);
  const int64_t heads = json.Int("num_trans_head", 8, 1);
  net.layers = json.Int("num_trans_layer", 1, 0, kMostUnionLayers);
  net.type_width = json.Int("addition_time_embed_dim", 256, 1);
  const int64_t projected = json.Int("num_proj_channel", 320, 1);
  const int64_t first = config.unet.first_channels();
  if (net.width != first || projected != first) {
    json.Problem("num_trans_channel", absl::StrCat(net.width, ", and num_proj_channel ", projected,
                                                   ": both must be the ", first, " channels of the first block"));
  }
  if (net.width % heads != 0) {
    json.Problem("num_trans_head", absl::StrCat(net.width, " channels do not divide into ", heads, " heads"));
  }
}

}  // namespace

bool IsControlNetClass(const std::string& class_name) { return class_name == kPlainClass || class_name == kUnionClass; }

absl::StatusOr<ControlNetConfig> ParseControlNetConfig(JsonConfig& json, const std::string& class_name) {
  const bool is_union = class_name == kUnionClass;
  ControlNetConfig config;
  config.unet = ReadUNetFields(json, UNetPart::kEncoder);
  // The reference does not read the projection that such a net would have.
  if (config.unet.encoder_hid_dim > 0) json.Problem("encoder_hid_dim", "texts of another width are not supported");
  if (config.unet.time_cond_proj_dim > 0) json.Problem("time_cond_proj_dim", "not supported in a ControlNet");
  for (const UNetBlockConfig& block : config.unet.down_blocks) {
    if (block.layers != config.unet.down_blocks.front().layers) {
      json.Problem("layers_per_block", "one number for all blocks is needed");
      break;
    }
  }
  ReadHints(json, is_union, config);
  if (is_union) ReadUnion(json, config);
  STEPCAST_RETURN_IF_ERROR(json.Finish());
  return config;
}

}  // namespace stepcast::model
