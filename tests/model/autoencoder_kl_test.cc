#include "model/vae/autoencoder_kl.h"

#include <string>
#include <vector>

#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include "tests/model/replay.h"

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

}  // namespace
}  // namespace stepcast::model
