#include "model/single_file/name_rules.h"

#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "model/single_file/tensor_listing.h"

namespace stepcast::model {
namespace {

using Pair = std::pair<absl::string_view, absl::string_view>;

// `name` with the first beginning of `table` that fits exchanged; "" when none does.
template <size_t kSize>
std::string Exchanged(absl::string_view name, const Pair (&table)[kSize]) {
  for (const auto& [from, to] : table) {
    if (absl::ConsumePrefix(&name, from)) return absl::StrCat(to, name);
  }
  return "";
}

constexpr Pair kUNetEnds[] = {{"input_blocks.0.0.", "conv_in."},
                              {"time_embed.0.", "time_embedding.linear_1."},
                              {"time_embed.2.", "time_embedding.linear_2."},
                              {"time_embed.cond_proj.", "time_embedding.cond_proj."},
                              {"time_embedding.cond_proj.", "time_embedding.cond_proj."},
                              {"label_emb.0.0.", "add_embedding.linear_1."},
                              {"label_emb.0.2.", "add_embedding.linear_2."},
                              {"out.0.", "conv_norm_out."},
                              {"out.2.", "conv_out."},
                              {"middle_block.1.", "mid_block.attentions.0."}};

constexpr Pair kUNetResnet[] = {{"in_layers.0.", "norm1."},          {"in_layers.2.", "conv1."},
                                {"emb_layers.1.", "time_emb_proj."}, {"out_layers.0.", "norm2."},
                                {"out_layers.3.", "conv2."},         {"skip_connection.", "conv_shortcut."}};

constexpr Pair kVaeMid[] = {{"block_1.", "resnets.0."},
                            {"block_2.", "resnets.1."},
                            {"attn_1.norm.", "attentions.0.group_norm."},
                            {"attn_1.q.", "attentions.0.to_q."},
                            {"attn_1.k.", "attentions.0.to_k."},
                            {"attn_1.v.", "attentions.0.to_v."},
                            {"attn_1.proj_out.", "attentions.0.to_out.0."}};

constexpr Pair kOpenClipLayer[] = {{"ln_1.", "layer_norm1."},
                                   {"ln_2.", "layer_norm2."},
                                   {"attn.out_proj.", "self_attn.out_proj."},
                                   {"mlp.c_fc.", "mlp.fc1."},
                                   {"mlp.c_proj.", "mlp.fc2."}};

// Takes "12." off the front.
bool ConsumeNumber(absl::string_view& text, int64_t& number) {
  const size_t dot = text.find('.');
  if (dot == text.npos || dot == 0 || dot > 3 || !absl::SimpleAtoi(text.substr(0, dot), &number)) return false;
  text.remove_prefix(dot + 1);
  return number >= 0;
}

std::vector<TensorView> Whole(std::string name) {
  std::vector<TensorView> views;
  views.push_back({.name = std::move(name)});
  return views;
}

// "0.in_layers.2.weight" of the block at `number` of one path; "" when it is none.
std::string UNetPathName(const UNetLayout& layout, bool down, int64_t number, absl::string_view rest) {
  const int64_t each = layout.layers_per_block + 1;
  const int64_t at = down ? number - 1 : number;
  const std::string level = absl::StrCat(down ? "down_blocks." : "up_blocks.", at / each, ".");
  int64_t part = 0;
  if (!ConsumeNumber(rest, part)) return "";
  if (part == 0 && absl::ConsumePrefix(&rest, "op.")) return absl::StrCat(level, "downsamplers.0.conv.", rest);
  if (part == 0) {
    const std::string inner = Exchanged(rest, kUNetResnet);
    return inner.empty() ? "" : absl::StrCat(level, "resnets.", at % each, ".", inner);
  }
  // The upsampler stands behind the attention where there is one.
  if (!down && absl::StartsWith(rest, "conv.")) return absl::StrCat(level, "upsamplers.0.", rest);
  return part == 1 ? absl::StrCat(level, "attentions.", at % each, ".", rest) : "";
}

std::string UNetName(const UNetLayout& layout, absl::string_view name) {
  const std::string simple = Exchanged(name, kUNetEnds);
  if (!simple.empty()) return simple;
  absl::string_view rest = name;
  int64_t number = 0;
  if (absl::ConsumePrefix(&rest, "middle_block.") && ConsumeNumber(rest, number)) {
    const std::string inner = Exchanged(rest, kUNetResnet);
    // Without attention the second resnet comes right behind the first.
    return inner.empty() ? "" : absl::StrCat("mid_block.resnets.", number > 0 ? 1 : 0, ".", inner);
  }
  const bool down = absl::StartsWith(name, "input_blocks.");
  rest = name;
  const bool on_path = absl::ConsumePrefix(&rest, down ? "input_blocks." : "output_blocks.");
  if (!on_path || !ConsumeNumber(rest, number) || (down && number == 0)) return "";
  return UNetPathName(layout, down, number, rest);
}

std::string ControlName(const UNetLayout& layout, absl::string_view name, int64_t last_hint) {
  absl::string_view rest = name;
  int64_t number = 0;
  if (absl::ConsumePrefix(&rest, "middle_block_out.0.")) return absl::StrCat("controlnet_mid_block.", rest);
  if (absl::ConsumePrefix(&rest, "zero_convs.")) {
    if (!ConsumeNumber(rest, number) || !absl::ConsumePrefix(&rest, "0.")) return "";
    return absl::StrCat("controlnet_down_blocks.", number, ".", rest);
  }
  if (!absl::ConsumePrefix(&rest, "input_hint_block.")) return UNetName(layout, name);
  // Activations are counted, too.
  if (!ConsumeNumber(rest, number) || number % 2 != 0 || number > last_hint) return "";
  const std::string part = number == 0           ? "conv_in."
                           : number == last_hint ? "conv_out."
                                                 : absl::StrCat("blocks.", number / 2 - 1, ".");
  return absl::StrCat("controlnet_cond_embedding.", part, rest);
}

std::string VaeLevelName(absl::string_view rest, int64_t levels, bool decoder) {
  int64_t level = 0;
  if (!ConsumeNumber(rest, level) || level >= levels) return "";
  const std::string scope =
      decoder ? absl::StrCat("up_blocks.", levels - 1 - level, ".") : absl::StrCat("down_blocks.", level, ".");
  if (absl::ConsumePrefix(&rest, "downsample.")) return absl::StrCat(scope, "downsamplers.0.", rest);
  if (absl::ConsumePrefix(&rest, "upsample.")) return absl::StrCat(scope, "upsamplers.0.", rest);
  int64_t layer = 0;
  if (!absl::ConsumePrefix(&rest, "block.") || !ConsumeNumber(rest, layer)) return "";
  if (absl::ConsumePrefix(&rest, "nin_shortcut."))
    return absl::StrCat(scope, "resnets.", layer, ".conv_shortcut.", rest);
  return absl::StrCat(scope, "resnets.", layer, ".", rest);
}

std::string VaeName(absl::string_view name, int64_t levels) {
  if (absl::StartsWith(name, "quant_conv.") || absl::StartsWith(name, "post_quant_conv.")) return std::string(name);
  const bool decoder = absl::StartsWith(name, "decoder.");
  absl::string_view rest = name;
  if (!absl::ConsumePrefix(&rest, decoder ? "decoder." : "encoder.")) return "";
  const absl::string_view half = name.substr(0, name.size() - rest.size());
  if (absl::StartsWith(rest, "conv_in.") || absl::StartsWith(rest, "conv_out.")) return std::string(name);
  if (absl::ConsumePrefix(&rest, "norm_out.")) return absl::StrCat(half, "conv_norm_out.", rest);
  if (absl::ConsumePrefix(&rest, "mid.")) {
    const std::string inner = Exchanged(rest, kVaeMid);
    return inner.empty() ? "" : absl::StrCat(half, "mid_block.", inner);
  }
  if (!absl::ConsumePrefix(&rest, decoder ? "up." : "down.")) return "";
  const std::string inner = VaeLevelName(rest, levels, decoder);
  return inner.empty() ? "" : absl::StrCat(half, inner);
}

// q, k and v lie in the rows of one tensor, in this order.
std::vector<TensorView> Thirds(const TensorEntry& entry, const std::string& scope, absl::string_view kind) {
  std::vector<TensorView> views;
  const int64_t rows = entry.shape.empty() ? 0 : entry.shape.front() / 3;
  if (rows == 0 || entry.shape.front() % 3 != 0) return Whole(absl::StrCat(scope, "in_proj_", kind));
  for (const char* part : {"q_proj", "k_proj", "v_proj"}) {
    views.push_back({.name = absl::StrCat(scope, part, ".", kind),
                     .first_row = rows * static_cast<int64_t>(views.size()),
                     .rows = rows});
  }
  return views;
}

std::vector<TensorView> OpenClipViews(const TensorEntry& entry, absl::string_view name, int64_t layers) {
  if (name == "logit_scale" || name == "attn_mask" || absl::EndsWith(name, "embeddings.position_ids")) return {};
  if (name == "token_embedding.weight") return Whole("embeddings.token_embedding.weight");
  if (name == "positional_embedding") return Whole("embeddings.position_embedding.weight");
  if (name == "text_projection.weight") return Whole(std::string(name));
  if (name == "text_projection") {
    std::vector<TensorView> views = Whole("text_projection.weight");
    views.front().transposed = true;
    return views;
  }
  absl::string_view rest = name;
  if (absl::ConsumePrefix(&rest, "ln_final.")) return Whole(absl::StrCat("final_layer_norm.", rest));
  int64_t layer = 0;
  if (!absl::ConsumePrefix(&rest, "transformer.resblocks.") || !ConsumeNumber(rest, layer))
    return Whole(std::string(name));
  if (layer >= layers) return {};
  const std::string scope = absl::StrCat("encoder.layers.", layer, ".");
  if (rest == "attn.in_proj_weight") return Thirds(entry, absl::StrCat(scope, "self_attn."), "weight");
  if (rest == "attn.in_proj_bias") return Thirds(entry, absl::StrCat(scope, "self_attn."), "bias");
  const std::string inner = Exchanged(rest, kOpenClipLayer);
  return Whole(inner.empty() ? std::string(name) : absl::StrCat(scope, inner));
}

std::vector<TensorView> ClipViews(absl::string_view name) {
  name = absl::StripPrefix(name, "text_model.");
  if (name == "embeddings.position_ids" || name == "logit_scale") return {};
  return Whole(std::string(name));
}

}  // namespace

ViewRule UNetNames(const UNetLayout& layout) {
  return [layout](const TensorEntry& entry) -> std::vector<TensorView> {
    absl::string_view name = TensorListing::Unwrapped(entry.name);
    if (!absl::ConsumePrefix(&name, kUNetPrefix)) return {};
    std::string renamed = UNetName(layout, name);
    return Whole(renamed.empty() ? std::string(name) : std::move(renamed));
  };
}

ViewRule ControlNames(const UNetLayout& layout, const std::string& prefix, int64_t last_hint) {
  return [layout, prefix, last_hint](const TensorEntry& entry) -> std::vector<TensorView> {
    absl::string_view name = TensorListing::Unwrapped(entry.name);
    if (!absl::ConsumePrefix(&name, prefix)) return {};
    std::string renamed = ControlName(layout, name, last_hint);
    return Whole(renamed.empty() ? std::string(name) : std::move(renamed));
  };
}

ViewRule VaeNames(const std::string& prefix, int64_t levels) {
  return [prefix, levels](const TensorEntry& entry) -> std::vector<TensorView> {
    absl::string_view name = TensorListing::Unwrapped(entry.name);
    if (!absl::ConsumePrefix(&name, prefix) || IsNeedless(name)) return {};
    std::string renamed = VaeName(name, levels);
    return Whole(renamed.empty() ? std::string(name) : std::move(renamed));
  };
}

ViewRule SameNames() {
  return [](const TensorEntry& entry) { return Whole(std::string(TensorListing::Unwrapped(entry.name))); };
}

ViewRule TextNames(const TextPlace& place, int64_t layers) {
  return [place, layers](const TensorEntry& entry) -> std::vector<TensorView> {
    absl::string_view name = TensorListing::Unwrapped(entry.name);
    if (!absl::ConsumePrefix(&name, place.prefix)) return {};
    return place.naming == TextNaming::kOpenClip ? OpenClipViews(entry, name, layers) : ClipViews(name);
  };
}

bool IsNeedless(absl::string_view name) {
  // Averages of training, the discriminator and losses of an autoencoder's training.
  for (const absl::string_view prefix : {"model_ema.", "loss.", "denoiser.", "edm_", "posterior_"}) {
    if (absl::StartsWith(name, prefix)) return true;
  }
  static constexpr absl::string_view kNames[] = {"betas",
                                                 "alphas_cumprod",
                                                 "alphas_cumprod_prev",
                                                 "sqrt_alphas_cumprod",
                                                 "sqrt_one_minus_alphas_cumprod",
                                                 "log_one_minus_alphas_cumprod",
                                                 "sqrt_recip_alphas_cumprod",
                                                 "sqrt_recipm1_alphas_cumprod",
                                                 "logvar",
                                                 "lvlb_weights",
                                                 "scale_factor",
                                                 "global_step",
                                                 "conditioner.embedders.0.logit_scale",
                                                 "v_pred",
                                                 "ztsnr"};
  for (const absl::string_view known : kNames) {
    if (name == known) return true;
  }
  return false;
}

}  // namespace stepcast::model
