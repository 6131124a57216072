#include "tests/model/checkpoint_shapes.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace stepcast::model {

CheckpointShape Sd1Shape() { return {}; }

CheckpointShape Sd2Shape() {
  CheckpointShape shape;
  shape.context = 1024;
  shape.linear = true;
  shape.clip_layers = 0;
  shape.open_layers = 24;
  return shape;
}

CheckpointShape SdxlShape() {
  CheckpointShape shape;
  shape.channels = {320, 640, 1280};
  shape.depths = {0, 2, 10};
  shape.mid_depth = 10;
  shape.context = 2048;
  shape.linear = true;
  shape.vector = 2816;
  shape.clip_prefix = "conditioner.embedders.0.transformer.text_model.";
  shape.open_layers = 32;
  shape.open_width = 1280;
  shape.open_prefix = "conditioner.embedders.1.model.";
  return shape;
}

CheckpointShape SdxlRefinerShape() {
  CheckpointShape shape = SdxlShape();
  shape.channels = {384, 768, 1536, 1536};
  shape.depths = {0, 4, 4, 0};
  shape.mid_depth = 4;
  shape.context = 1280;
  shape.vector = 2560;
  shape.clip_layers = 0;
  shape.open_prefix = "conditioner.embedders.0.model.";
  return shape;
}

ShapeList::ShapeList(const CheckpointShape& shape) : shape_(shape) {
  UNet();
  Vae();
  if (shape_.clip_layers > 0) Clip();
  if (shape_.open_layers > 0) OpenClip();
}

ShapeList& ShapeList::Add(const std::string& name, std::vector<int64_t> shape) {
  TensorEntry entry;
  entry.name = name;
  entry.shape = std::move(shape);
  header_.tensors.push_back(std::move(entry));
  return *this;
}

ShapeList& ShapeList::Drop(const std::string& prefix) {
  std::erase_if(header_.tensors, [&](const TensorEntry& entry) { return absl::StartsWith(entry.name, prefix); });
  return *this;
}

ShapeList& ShapeList::Meta(const std::string& key, const std::string& value) {
  header_.metadata[key] = value;
  return *this;
}

void ShapeList::Weighted(const std::string& scope, std::vector<int64_t> shape) {
  Add(scope + ".bias", {shape.front()});
  Add(scope + ".weight", std::move(shape));
}

void ShapeList::Norm(const std::string& scope, int64_t width) { Weighted(scope, {width}); }

void ShapeList::Resnet(const std::string& scope, int64_t in, int64_t out, int64_t time) {
  Norm(scope + ".in_layers.0", in);
  Weighted(scope + ".in_layers.2", {out, in, 3, 3});
  Weighted(scope + ".emb_layers.1", {out, time});
  Norm(scope + ".out_layers.0", out);
  Weighted(scope + ".out_layers.3", {out, out, 3, 3});
  if (in != out) Weighted(scope + ".skip_connection", {out, in, 1, 1});
}

void ShapeList::Transformer(const std::string& scope, int64_t c, int64_t depth) {
  Norm(scope + ".norm", c);
  const std::vector<int64_t> projection = shape_.linear ? std::vector<int64_t>{c, c} : std::vector<int64_t>{c, c, 1, 1};
  Weighted(scope + ".proj_in", projection);
  Weighted(scope + ".proj_out", projection);
  for (int64_t i = 0; i < depth; ++i) {
    const std::string block = absl::StrCat(scope, ".transformer_blocks.", i);
    for (const char* attention : {".attn1", ".attn2"}) {
      const int64_t width = attention == std::string(".attn1") ? c : shape_.context;
      Add(block + attention + ".to_q.weight", {c, c});
      Add(block + attention + ".to_k.weight", {c, width});
      Add(block + attention + ".to_v.weight", {c, width});
      Weighted(block + attention + ".to_out.0", {c, c});
    }
    for (const char* norm : {".norm1", ".norm2", ".norm3"}) Norm(block + norm, c);
    Weighted(block + ".ff.net.0.proj", {8 * c, c});
    Weighted(block + ".ff.net.2", {c, 4 * c});
  }
}

void ShapeList::UNet() {
  const std::string p = "model.diffusion_model.";
  const int64_t first = shape_.channels.front(), time = 4 * first;
  Weighted(p + "time_embed.0", {time, first});
  Weighted(p + "time_embed.2", {time, time});
  if (shape_.guidance > 0) Add(p + "time_embed.cond_proj.weight", {first, shape_.guidance});
  if (shape_.vector > 0) {
    Weighted(p + "label_emb.0.0", {time, shape_.vector});
    Weighted(p + "label_emb.0.2", {time, time});
  }
  Weighted(p + "input_blocks.0.0", {first, shape_.in_channels, 3, 3});
  std::vector<int64_t> skips = {first};
  int64_t in = first, number = 1;
  const size_t levels = shape_.channels.size();
  for (size_t level = 0; level < levels; ++level) {
    for (int64_t layer = 0; layer < shape_.layers; ++layer, ++number) {
      Resnet(absl::StrCat(p, "input_blocks.", number, ".0"), in, shape_.channels[level], time);
      in = shape_.channels[level];
      if (shape_.depths[level] > 0)
        Transformer(absl::StrCat(p, "input_blocks.", number, ".1"), in, shape_.depths[level]);
      skips.push_back(in);
    }
    if (level + 1 == levels) break;
    Weighted(absl::StrCat(p, "input_blocks.", number++, ".0.op"), {in, in, 3, 3});
    skips.push_back(in);
  }
  Resnet(p + "middle_block.0", in, in, time);
  if (shape_.mid_depth > 0) Transformer(p + "middle_block.1", in, shape_.mid_depth);
  Resnet(p + "middle_block.2", in, in, time);
  number = 0;
  for (size_t level = levels; level-- > 0;) {
    for (int64_t layer = 0; layer <= shape_.layers; ++layer, ++number) {
      const std::string block = absl::StrCat(p, "output_blocks.", number);
      Resnet(block + ".0", in + skips.back(), shape_.channels[level], time);
      skips.pop_back();
      in = shape_.channels[level];
      if (shape_.depths[level] > 0) Transformer(block + ".1", in, shape_.depths[level]);
      const bool last = layer == shape_.layers && level > 0;
      if (last) Weighted(block + (shape_.depths[level] > 0 ? ".2.conv" : ".1.conv"), {in, in, 3, 3});
    }
  }
  Norm(p + "out.0", first);
  Weighted(p + "out.2", {4, first, 3, 3});
}

void ShapeList::VaeResnet(const std::string& scope, int64_t in, int64_t out) {
  Norm(scope + ".norm1", in);
  Weighted(scope + ".conv1", {out, in, 3, 3});
  Norm(scope + ".norm2", out);
  Weighted(scope + ".conv2", {out, out, 3, 3});
  if (in != out) Weighted(scope + ".nin_shortcut", {out, in, 1, 1});
}

void ShapeList::VaeMid(const std::string& scope, int64_t c) {
  VaeResnet(scope + ".block_1", c, c);
  Norm(scope + ".attn_1.norm", c);
  for (const char* part : {".q", ".k", ".v", ".proj_out"}) Weighted(scope + ".attn_1" + part, {c, c, 1, 1});
  VaeResnet(scope + ".block_2", c, c);
}

void ShapeList::Vae() {
  const std::vector<int64_t>& channels = shape_.vae_channels;
  const std::string p = "first_stage_model.";
  int64_t in = channels.front();
  Weighted(p + "encoder.conv_in", {in, 3, 3, 3});
  for (size_t level = 0; level < channels.size(); ++level) {
    const std::string scope = absl::StrCat(p, "encoder.down.", level);
    for (int layer = 0; layer < 2; ++layer) {
      VaeResnet(absl::StrCat(scope, ".block.", layer), in, channels[level]);
      in = channels[level];
    }
    if (level + 1 < channels.size()) Weighted(scope + ".downsample.conv", {in, in, 3, 3});
  }
  VaeMid(p + "encoder.mid", in);
  Norm(p + "encoder.norm_out", in);
  Weighted(p + "encoder.conv_out", {8, in, 3, 3});
  Weighted(p + "quant_conv", {8, 8, 1, 1});
  Weighted(p + "post_quant_conv", {4, 4, 1, 1});
  Weighted(p + "decoder.conv_in", {in, 4, 3, 3});
  VaeMid(p + "decoder.mid", in);
  for (size_t level = channels.size(); level-- > 0;) {
    const std::string scope = absl::StrCat(p, "decoder.up.", level);
    for (int layer = 0; layer < 3; ++layer) {
      VaeResnet(absl::StrCat(scope, ".block.", layer), in, channels[level]);
      in = channels[level];
    }
    if (level > 0) Weighted(scope + ".upsample.conv", {in, in, 3, 3});
  }
  Norm(p + "decoder.norm_out", in);
  Weighted(p + "decoder.conv_out", {3, in, 3, 3});
}

void ShapeList::Clip() {
  const std::string& p = shape_.clip_prefix;
  const int64_t c = shape_.clip_width;
  Add(p + "embeddings.position_ids", {1, 77});
  Add(p + "embeddings.token_embedding.weight", {shape_.tokens, c});
  Add(p + "embeddings.position_embedding.weight", {77, c});
  for (int64_t i = 0; i < shape_.clip_layers; ++i) {
    const std::string layer = absl::StrCat(p, "encoder.layers.", i);
    for (const char* part : {"q", "k", "v", "out"}) Weighted(absl::StrCat(layer, ".self_attn.", part, "_proj"), {c, c});
    Norm(layer + ".layer_norm1", c);
    Norm(layer + ".layer_norm2", c);
    Weighted(layer + ".mlp.fc1", {4 * c, c});
    Weighted(layer + ".mlp.fc2", {c, 4 * c});
  }
  Norm(p + "final_layer_norm", c);
}

void ShapeList::OpenClip() {
  const std::string& p = shape_.open_prefix;
  const int64_t c = shape_.open_width;
  Add(p + "token_embedding.weight", {shape_.tokens, c});
  Add(p + "positional_embedding", {77, c});
  for (int64_t i = 0; i < shape_.open_layers; ++i) {
    const std::string layer = absl::StrCat(p, "transformer.resblocks.", i);
    Add(layer + ".attn.in_proj_weight", {3 * c, c});
    Add(layer + ".attn.in_proj_bias", {3 * c});
    Weighted(layer + ".attn.out_proj", {c, c});
    Norm(layer + ".ln_1", c);
    Norm(layer + ".ln_2", c);
    Weighted(layer + ".mlp.c_fc", {4 * c, c});
    Weighted(layer + ".mlp.c_proj", {c, 4 * c});
  }
  Norm(p + "ln_final", c);
  Add(p + "text_projection", {c, c});
  Add(p + "logit_scale", {});
}

}  // namespace stepcast::model
