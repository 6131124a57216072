#include "model/vae/autoencoder_kl.h"

#include <cmath>
#include <string>
#include <vector>

#include <ATen/ops/randn.h>
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
  const AutoencoderKL vae(weights, ConfigOf(replay.config()), /*with_encoder=*/false);
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

// The published autoencoder has 83,653,863 parameters in 248 tensors, 49,490,199 in 140 of which paint.
TEST(AutoencoderKL, HasThePublishedParameters) {
  const AutoencoderConfig config = ConfigOf(R"({"block_out_channels": [128, 256, 512, 512], "layers_per_block": 2,
    "down_block_types": ["DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D"],
    "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"]})");
  WeightMap shapes;
  const AutoencoderKL decoder(shapes, config, /*with_encoder=*/false);
  EXPECT_FALSE(decoder.encodes());
  EXPECT_EQ(shapes.requested().size(), 140U);
  EXPECT_EQ(shapes.parameter_count(), 49'490'199);
  WeightMap all;
  const AutoencoderKL both(all, config, /*with_encoder=*/true);
  EXPECT_TRUE(both.encodes());
  EXPECT_EQ(all.requested().size(), 248U);
  EXPECT_EQ(all.parameter_count(), 83'653'863);
}

// Whatever the encoder says of its certainty, a draw is finite.
TEST(AutoencoderKL, ThePosteriorIsBounded) {
  const c10::InferenceMode no_autograd;
  const Replay replay(FindCase("autoencoder_encoder_sd1"));
  WeightMap weights(replay.weights(), c10::DeviceType::CPU, at::kFloat);
  const AutoencoderKL vae(weights, ConfigOf(replay.config()), /*with_encoder=*/true);
  const EncodedPictures encoded = vae.Encode(replay.input("pictures").mul(1e6));
  EXPECT_GE(encoded.deviation.min().item<float>(), std::exp(-15.001f));
  EXPECT_LE(encoded.deviation.max().item<float>(), std::exp(10.001f));
  const at::Tensor latents = at::randn({1, 4, 3, 5});
  EXPECT_LT(Compare(vae.Scaled(latents.div(0.18215)), latents).max, 1e-5);
}

}  // namespace
}  // namespace stepcast::model
