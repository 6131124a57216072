#include "model/single_file/text_layout.h"

#include "absl/strings/str_cat.h"

namespace stepcast::model {
namespace {

constexpr int64_t kHeadWidth = 64;

// Some files of OpenAI's naming lack the level "text_model.".
std::string ClipScope(const TensorListing& tensors, const std::string& prefix) {
  const std::string full = absl::StrCat(prefix, "text_model.");
  return tensors.HasPrefix(full) ? full : prefix;
}

absl::Status Missing(absl::string_view name) {
  return absl::InvalidArgumentError(absl::StrCat("tensor ", name, " of the text encoder is missing"));
}

}  // namespace

absl::StatusOr<TextLayout> ReadTextLayout(const TensorListing& tensors, const TextPlace& place) {
  const bool open = place.naming == TextNaming::kOpenClip;
  const std::string scope = open ? place.prefix : ClipScope(tensors, place.prefix);
  const std::string tokens = absl::StrCat(scope, open ? "token_embedding.weight" : "embeddings.token_embedding.weight");
  const std::string positions =
      absl::StrCat(scope, open ? "positional_embedding" : "embeddings.position_embedding.weight");
  const std::string layers = absl::StrCat(scope, open ? "transformer.resblocks." : "encoder.layers.");
  const std::string inner = absl::StrCat(layers, open ? "0.mlp.c_fc.weight" : "0.mlp.fc1.weight");
  TextLayout layout;
  layout.vocabulary = tensors.Dim(tokens, 0);
  layout.width = tensors.Dim(tokens, 1);
  layout.positions = tensors.Dim(positions, 0);
  layout.layers = tensors.Count(layers);
  layout.inner_width = tensors.Dim(inner, 0);
  if (layout.width == 0) return Missing(tokens);
  if (layout.positions == 0) return Missing(positions);
  if (layout.inner_width == 0) return Missing(inner);
  // Stored as OpenCLIP multiplies by it, or, under the name with ".weight", as a Linear.
  layout.projection = tensors.Dim(absl::StrCat(place.prefix, "text_projection"), 1);
  if (layout.projection == 0) layout.projection = tensors.Dim(absl::StrCat(place.prefix, "text_projection.weight"), 0);
  return layout;
}

absl::StatusOr<nlohmann::json> TextConfigJson(const TextLayout& layout, TextNaming naming, bool projection) {
  if (layout.width % kHeadWidth != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a text encoder of ", layout.width, " channels does not divide into heads of 64; no tensor says how ",
        "many heads there are: use the folder in diffusers layout, whose config does"));
  }
  // 2 stands for "where the largest id is", as in the configs of the published models.
  return nlohmann::json{{"architectures", {projection ? "CLIPTextModelWithProjection" : "CLIPTextModel"}},
                        {"vocab_size", layout.vocabulary},
                        {"max_position_embeddings", layout.positions},
                        {"hidden_size", layout.width},
                        {"intermediate_size", layout.inner_width},
                        {"num_hidden_layers", layout.layers},
                        {"num_attention_heads", layout.width / kHeadWidth},
                        {"hidden_act", naming == TextNaming::kOpenClip ? "gelu" : "quick_gelu"},
                        {"projection_dim", projection ? layout.projection : layout.width},
                        {"layer_norm_eps", 1e-5},
                        {"bos_token_id", 0},
                        {"eos_token_id", 2},
                        {"pad_token_id", 1}};
}

}  // namespace stepcast::model
