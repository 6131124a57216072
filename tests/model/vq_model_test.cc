#include "model/vae/vq_model.h"

#include <string>
#include <utility>
#include <vector>

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/model/replay.h"
#include "tests/model/safetensors_writer.h"

namespace stepcast::model {
namespace {

absl::StatusOr<VqModelConfig> Parse(const std::string& text) {
  auto json = JsonConfig::Parse(text, "vqvae/config.json");
  return ParseVqModelConfig(*json);
}

TEST(VqModelConfig, AbsentKeysMeanWhatTheClassSays) {
  const auto config = Parse("{}");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->decoder.latent_channels, 3);
  EXPECT_EQ(config->vq_embed_dim, 3) << "as many as latent channels";
  EXPECT_EQ(config->num_vq_embeddings, 256);
  EXPECT_EQ(config->decoder.scaling_factor, 0.18215);
  EXPECT_FALSE(config->decoder.force_upcast);
  const auto wide = Parse(R"({"latent_channels": 5, "vq_embed_dim": 4})");
  ASSERT_TRUE(wide.ok()) << wide.status();
  EXPECT_EQ(wide->vq_embed_dim, 4);
}

TEST(VqModelConfig, RefusesWhatIsNotBuiltByName) {
  const absl::Status status =
      Parse(R"({"norm_type": "spatial", "num_vq_embeddings": 0, "up_block_types": ["AttnUpDecoderBlock2D"]})").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  for (const char* part : {"vqvae/config.json", "norm_type", "spatial", "num_vq_embeddings", "AttnUpDecoderBlock2D"}) {
    EXPECT_THAT(std::string(status.message()), testing::HasSubstr(part));
  }
}

// A decoder of one block and random weights, with these codes.
struct Tiny {
  Tiny(const std::string& name, std::vector<float> codes) {
    at::manual_seed(5);
    const std::vector<std::pair<std::string, std::vector<int64_t>>> shapes = Shapes();
    SafetensorsWriter writer;
    writer.Add("quantize.embedding.weight", {static_cast<int64_t>(codes.size() / 3), 3}, codes);
    for (const auto& [tensor, shape] : shapes) {
      const at::Tensor values = at::randn(shape);
      const float* data = values.const_data_ptr<float>();
      writer.Add(tensor, shape, std::vector<float>(data, data + values.numel()));
    }
    const std::string folder = FreshFolder("vq_" + name);
    WriteFile(folder + "/model.safetensors", writer.Build());
    set.emplace(*WeightSet::Open(folder, "model", {""}, nullptr));
  }

  static VqModelConfig Config(int64_t codes) {
    VqModelConfig config;
    config.decoder.latent_channels = 3;
    config.decoder.block_out_channels = {4};
    config.decoder.norm_num_groups = 2;
    config.decoder.mid_block_add_attention = false;
    config.decoder.scaling_factor = 0.5;
    config.num_vq_embeddings = codes;
    return config;
  }

  // What a decoder of this config asks for.
  static std::vector<std::pair<std::string, std::vector<int64_t>>> Shapes() {
    WeightMap described;
    const VqModel model(described, Config(1), /*with_encoder=*/false);
    std::vector<std::pair<std::string, std::vector<int64_t>>> shapes;
    for (const auto& [name, shape] : described.requested()) {
      if (name != "quantize.embedding.weight") shapes.emplace_back(name, shape);
    }
    return shapes;
  }

  std::optional<WeightSet> set;
};

TEST(VqModel, PaintsTheNearestCodeOfEachCell) {
  const Tiny tiny("nearest", {0, 0, 0, 1, 1, 1, -1, 2, 0, 5, -5, 5});
  WeightMap weights(*tiny.set, c10::DeviceType::CPU, at::kFloat);
  const VqModel model(weights, Tiny::Config(4), /*with_encoder=*/false);
  ASSERT_TRUE(weights.Report("vqvae").ok()) << weights.Report("vqvae");
  // Latents are half of what is compared with the codes (scaling_factor).
  const at::Tensor codes = weights.Get("quantize.embedding.weight", {4, 3});
  const at::Tensor exact = codes.index_select(0, at::tensor({1, 3, 0, 2, 2, 1})).t().reshape({1, 3, 2, 3});
  at::manual_seed(6);
  const at::Tensor near = exact + 0.2 * at::randn({1, 3, 2, 3}).clamp(-1, 1);
  EXPECT_EQ(Compare(model.Decode(near * 0.5), model.Decode(exact * 0.5)).max, 0);
  EXPECT_GT(Compare(model.Decode(exact * 0.1), model.Decode(exact * 0.5)).max, 0) << "the scale counts";
}

// More cells than are compared at once, and a batch of pictures.
TEST(VqModel, PicturesOfABatchDoNotSeeEachOther) {
  at::manual_seed(7);
  const at::Tensor codes = at::randn({40, 3});
  const Tiny tiny("batch", std::vector<float>(codes.const_data_ptr<float>(), codes.const_data_ptr<float>() + 120));
  WeightMap weights(*tiny.set, c10::DeviceType::CPU, at::kFloat);
  const VqModel model(weights, Tiny::Config(40), /*with_encoder=*/false);
  const at::Tensor latents = at::randn({3, 3, 30, 41});
  const at::Tensor together = model.Decode(latents);
  ASSERT_EQ(together.sizes().vec(), (std::vector<int64_t>{3, 3, 30, 41}));
  for (int64_t i = 0; i < 3; ++i) {
    EXPECT_LT(Compare(together.narrow(0, i, 1), model.Decode(latents.narrow(0, i, 1))).relative, 1e-5)
        << "another code would change whole cells";
  }
}

}  // namespace
}  // namespace stepcast::model
