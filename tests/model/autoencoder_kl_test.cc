#include "model/vae/autoencoder_kl.h"

#include <string>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/randn.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include "model/preview/linear_preview_decoder.h"
#include "tests/model/replay.h"
#include "tests/model/safetensors_writer.h"

namespace stepcast::model {
namespace {

AutoencoderConfig ConfigOf(const std::string& text) {
  auto json = JsonConfig::Parse(text, "config");
  auto config = ParseAutoencoderConfig(*json);
  EXPECT_TRUE(config.ok()) << config.status();
  return *std::move(config);
}

TEST(AutoencoderKL, PicturesOfOneBatchDoNotMix) {
  const c10::InferenceMode no_autograd;
  const Replay replay(FindCase("autoencoder_sd1"));
  WeightMap weights(replay.weights(), c10::DeviceType::CPU, at::kFloat);
  const AutoencoderKL vae(weights, ConfigOf(replay.config()));
  at::Tensor latents = replay.input("latents").clone();
  const at::Tensor before = vae.Decode(latents);
  EXPECT_EQ(before.scalar_type(), at::kFloat);
  latents[0].zero_();
  EXPECT_EQ(Compare(vae.Decode(latents)[1], before[1]).max, 0);
}

TEST(AutoencoderKL, NamesOfOldFilesAreAccepted) {
  EXPECT_EQ(CanonicalAutoencoderName("decoder.mid_block.attentions.0.query.weight"),
            "decoder.mid_block.attentions.0.to_q.weight");
  EXPECT_EQ(CanonicalAutoencoderName("decoder.mid_block.attentions.0.key.bias"),
            "decoder.mid_block.attentions.0.to_k.bias");
  EXPECT_EQ(CanonicalAutoencoderName("encoder.mid_block.attentions.0.value.weight"),
            "encoder.mid_block.attentions.0.to_v.weight");
  EXPECT_EQ(CanonicalAutoencoderName("decoder.mid_block.attentions.0.proj_attn.weight"),
            "decoder.mid_block.attentions.0.to_out.0.weight");
  EXPECT_EQ(CanonicalAutoencoderName("decoder.conv_in.weight"), "decoder.conv_in.weight");
}

// The published autoencoder has 83,653,863 parameters in 248 tensors; this is the half that paints.
TEST(AutoencoderKL, TheDecoderHasThePublishedParameters) {
  WeightMap shapes;
  const AutoencoderKL vae(shapes, ConfigOf(R"({"block_out_channels": [128, 256, 512, 512], "layers_per_block": 2,
    "down_block_types": ["DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D"],
    "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"]})"));
  EXPECT_EQ(shapes.requested().size(), 140U);
  EXPECT_EQ(shapes.parameter_count(), 49'490'199);
}

TEST(LinearPreviewDecoder, AppliesItsMatrix) {
  const c10::InferenceMode no_autograd;
  const PreviewMatrix matrix = {{{1, 0, 0}, {0, 2, 0}, {0, 0, 3}, {1, 1, 1}}, {0.5, 0, -0.5}};
  const LinearPreviewDecoder decoder(matrix, c10::DeviceType::CPU);
  const at::Tensor x0 = at::randn({2, 4, 3, 5});
  const at::Tensor rgb = decoder.Decode(x0);
  ASSERT_EQ(rgb.sizes().vec(), (std::vector<int64_t>{2, 3, 3, 5}));
  EXPECT_LT(Compare(rgb.select(1, 0), x0.select(1, 0) + x0.select(1, 3) + 0.5).max, 1e-6);
  EXPECT_LT(Compare(rgb.select(1, 2), x0.select(1, 2) * 3 + x0.select(1, 3) - 0.5).max, 1e-6);
}

TEST(ReadPreviewMatrix, ChecksTheFile) {
  const std::string path = FreshFolder("preview") + "/preview.json";
  EXPECT_EQ(ReadPreviewMatrix(path, 4).status().code(), absl::StatusCode::kNotFound);
  WriteFile(path, R"({"latent_channels": 2, "matrix": [[1, 2, 3], [4, 5, 6]], "bias": [0.5, 0, 1]})");
  const auto matrix = ReadPreviewMatrix(path, 2);
  ASSERT_TRUE(matrix.ok()) << matrix.status();
  EXPECT_EQ(matrix->rows[1][2], 6);
  EXPECT_EQ(matrix->bias[0], 0.5);
  EXPECT_FALSE(ReadPreviewMatrix(path, 4).ok()) << "made for another latent space";
  for (const char* bad :
       {R"({"matrix": [[1, 2, 3]]})", R"({"matrix": [[1, 2, 3], [4, 5]]})", R"({"matrix": [[1, 2, 3], [4, 5, "x"]]})",
        R"({"bias": [0, 0, 0]})", R"({"matrix": [[1, 2, 3], [4, 5, 6]], "bias": 1})"}) {
    WriteFile(path, bad);
    EXPECT_EQ(ReadPreviewMatrix(path, 2).status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

TEST(FallbackPreviewMatrix, ExistsForEveryLatentSpace) {
  EXPECT_NEAR(FallbackPreviewMatrix(4, false).rows[0][0], 0.3512, 1e-9);
  EXPECT_NEAR(FallbackPreviewMatrix(4, true).bias[0], 0.1084, 1e-9);
  EXPECT_EQ(FallbackPreviewMatrix(16, false).rows.size(), 16U);
  EXPECT_EQ(FallbackPreviewMatrix(16, false).rows[3][1], 1.0 / 16);
}

}  // namespace
}  // namespace stepcast::model
