#include "model/vae/autoencoder_tiny.h"

#include <string>
#include <vector>

#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/model/replay.h"

namespace stepcast::model {
namespace {

using ::testing::HasSubstr;

absl::StatusOr<AutoencoderTinyConfig> Parse(const std::string& text) {
  auto json = JsonConfig::Parse(text, "config");
  return ParseAutoencoderTinyConfig(*json);
}

// madebyollin/taesd: 67 tensors and 1,222,531 parameters in the decoder, as many and one more in the encoder.
TEST(AutoencoderTiny, HasThePublishedParameters) {
  const AutoencoderTinyConfig config = *Parse("{}");
  WeightMap decoder;
  const AutoencoderTiny tiny(decoder, config, /*with_encoder=*/false);
  EXPECT_EQ(decoder.requested().size(), 67U);
  EXPECT_EQ(decoder.parameter_count(), 1'222'531);
  WeightMap encoder;
  const TinyEncoder network(encoder.Root() / "encoder", config);
  EXPECT_EQ(encoder.requested().size(), 67U);
  EXPECT_EQ(encoder.parameter_count(), 1'222'532);
  EXPECT_EQ(config.scale_factor(), 8);
}

TEST(AutoencoderTiny, PicturesOfOneBatchDoNotMix) {
  const c10::InferenceMode no_autograd;
  const Replay replay(FindCase("autoencoder_tiny"));
  WeightMap weights(replay.weights(), c10::DeviceType::CPU, at::kFloat);
  const AutoencoderTiny vae(weights, *Parse(replay.config()), /*with_encoder=*/false);
  at::Tensor latents = replay.input("latents").clone();
  const at::Tensor before = vae.Decode(latents);
  latents[0].zero_();
  EXPECT_EQ(Compare(vae.Decode(latents)[1], before[1]).max, 0);
}

TEST(AutoencoderTiny, ConfigsThatItCannotRunAreRefusedByName) {
  for (const auto& [text, why] : std::vector<std::pair<std::string, std::string>>{
           {R"({"act_fn": "swoosh"})", "act_fn"},
           {R"({"upsample_fn": "bilinear"})", "upsample_fn"},
           {R"({"upsampling_scaling_factor": 4})", "upsampling_scaling_factor"},
           {R"({"scaling_factor": 0})", "scaling_factor"},
           {R"({"shift_factor": 0.5})", "shift_factor"},
           {R"({"out_channels": 4})", "out_channels"},
           {R"({"decoder_block_out_channels": [64, 64, 32, 32]})", "decoder_block_out_channels"},
           {R"({"decoder_block_out_channels": [64, 64]})", "decoder_block_out_channels"},
           {R"({"num_decoder_blocks": [1, 1, 1, 1, 1, 1, 1, 1, 1]})", "num_decoder_blocks"}}) {
    const absl::Status status = Parse(text).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr(why)) << text;
  }
}

// What diffusers writes, whose keys about training and storage have no effect here.
TEST(AutoencoderTiny, PublishedConfigsAreReadWithoutUnknownKeys) {
  auto json = JsonConfig::Parse(R"({"_class_name": "AutoencoderTiny", "_diffusers_version": "0.20.0.dev0",
    "act_fn": "relu", "decoder_block_out_channels": [64, 64, 64, 64], "encoder_block_out_channels": [64, 64, 64, 64],
    "force_upcast": false, "in_channels": 3, "latent_channels": 4, "latent_magnitude": 3, "latent_shift": 0.5,
    "num_decoder_blocks": [3, 3, 3, 1], "num_encoder_blocks": [1, 3, 3, 3], "out_channels": 3,
    "scaling_factor": 1.0, "upsampling_scaling_factor": 2, "block_out_channels": [64, 64, 64, 64]})",
                                "config");
  ASSERT_TRUE(ParseAutoencoderTinyConfig(*json).ok());
  EXPECT_TRUE(json->UnknownKeys().empty());
}

}  // namespace
}  // namespace stepcast::model
