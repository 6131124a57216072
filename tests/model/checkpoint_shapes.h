#pragma once
// Names and shapes of checkpoints in the original layout, of any size, without their weights.

#include <cstdint>
#include <string>
#include <vector>

#include "model/weights/safetensors.h"

namespace stepcast::model {

// Sizes of a checkpoint. The defaults are Stable Diffusion 1's.
struct CheckpointShape {
  int64_t in_channels = 4;
  std::vector<int64_t> channels = {320, 640, 1280, 1280};
  std::vector<int64_t> depths = {1, 1, 1, 0};  // transformers per level
  int64_t mid_depth = 1;
  int64_t layers = 2;
  int64_t context = 768;
  bool linear = false;
  int64_t vector = 0;    // label_emb
  int64_t guidance = 0;  // time_embed.cond_proj
  std::vector<int64_t> vae_channels = {128, 256, 512, 512};
  int64_t clip_layers = 12;  // of CLIP ViT-L; 0: no such tower
  int64_t clip_width = 768;
  std::string clip_prefix = "cond_stage_model.transformer.text_model.";
  int64_t open_layers = 0;  // of an OpenCLIP tower; 0: none
  int64_t open_width = 1024;
  std::string open_prefix = "cond_stage_model.model.";
  int64_t tokens = 49408;
};

CheckpointShape Sd1Shape();
CheckpointShape Sd2Shape();
CheckpointShape SdxlShape();
CheckpointShape SdxlRefinerShape();

// Collects tensors; their data do not exist.
class ShapeList {
 public:
  explicit ShapeList(const CheckpointShape& shape);

  ShapeList& Add(const std::string& name, std::vector<int64_t> shape);
  // Removes what begins with `prefix`.
  ShapeList& Drop(const std::string& prefix);
  ShapeList& Meta(const std::string& key, const std::string& value);

  const SafetensorsHeader& header() const { return header_; }

 private:
  void Weighted(const std::string& scope, std::vector<int64_t> shape);
  void Norm(const std::string& scope, int64_t width);
  void Resnet(const std::string& scope, int64_t in, int64_t out, int64_t time);
  void Transformer(const std::string& scope, int64_t channels, int64_t depth);
  void UNet();
  void VaeResnet(const std::string& scope, int64_t in, int64_t out);
  void VaeMid(const std::string& scope, int64_t channels);
  void Vae();
  void Clip();
  void OpenClip();

  CheckpointShape shape_;
  SafetensorsHeader header_;
};

}  // namespace stepcast::model
