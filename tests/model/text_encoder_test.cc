// ClipTextModel and TextConditioner beyond parity.
#include <string>
#include <vector>

#include <ATen/TensorOperators.h>
#include <c10/core/InferenceMode.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include "model/text_encoder/clip_text_model.h"
#include "model/text_encoder/text_conditioner.h"
#include "tests/model/replay.h"

namespace stepcast::model {
namespace {

ClipTextConfig ConfigOf(const std::string& text, const char* class_name = "CLIPTextModel") {
  auto json = JsonConfig::Parse(text, "config");
  auto config = ParseClipTextConfig(*json, class_name);
  EXPECT_TRUE(config.ok()) << config.status();
  return *std::move(config);
}

TextConditioner Loaded(const Replay& replay) {
  WeightMap weights(replay.weights(), c10::DeviceType::CPU, at::kFloat);
  return TextConditioner(ClipTextModel(weights, ConfigOf(replay.config())), c10::DeviceType::CPU);
}

ConditioningInput Prompt(std::vector<int32_t> ids, int clip_skip = 0) { return {{std::move(ids)}, clip_skip}; }

TEST(TextConditioner, EncodesEachPromptAsIfAlone) {
  const c10::InferenceMode no_autograd;
  const Replay replay(FindCase("clip_quick_gelu"));
  const TextConditioner conditioner = Loaded(replay);
  const std::vector<int32_t> first = {0, 5, 999, 999};
  const std::vector<int32_t> second = {0, 7, 8, 999};
  const at::Tensor both = conditioner.Encode({Prompt(first), Prompt(second)}).prompt_embeds;
  ASSERT_EQ(both.sizes().vec(), (std::vector<int64_t>{2, 4, 32}));
  // Another batch size may be summed in another order.
  EXPECT_LT(Compare(conditioner.Encode({Prompt(first)}).prompt_embeds[0], both[0]).max, 1e-5);
  EXPECT_LT(Compare(conditioner.Encode({Prompt(second)}).prompt_embeds[0], both[1]).max, 1e-5);
}

TEST(TextConditioner, SkipsLayersFromTheEnd) {
  const c10::InferenceMode no_autograd;
  const Replay replay(FindCase("clip_quick_gelu"));
  const TextConditioner conditioner = Loaded(replay);
  const at::Tensor full = conditioner.Encode({Prompt({0, 5, 999})}).prompt_embeds;
  const at::Tensor skipped = conditioner.Encode({Prompt({0, 5, 999}, 4)}).prompt_embeds;
  EXPECT_GT(Compare(skipped, full).relative, 1e-3);
  EXPECT_THROW(conditioner.Encode({Prompt({0, 5, 999}, 5)}), c10::Error) << "five layers: at least one must run";
}

TEST(TextConditioner, RefusesWhatItCannotEncode) {
  const c10::InferenceMode no_autograd;
  const Replay replay(FindCase("clip_quick_gelu"));
  const TextConditioner conditioner = Loaded(replay);
  EXPECT_EQ(conditioner.vocab_size(), 1000);
  const std::vector<std::vector<ConditioningInput>> kBad = {
      {},
      {{{}, 0}},
      {Prompt({})},
      {Prompt({0, 1000})},
      {Prompt({0, -1})},
      {Prompt(std::vector<int32_t>(78, 0))},
      {Prompt({0, 1}), Prompt({0, 1, 2})},
      {Prompt({0, 1}, 1), Prompt({0, 1}, 0)},
      {Prompt({0, 1}, -1)},
      {{{{0, 1}, {0, 1}}, 0}},
  };
  for (size_t i = 0; i < kBad.size(); ++i) EXPECT_THROW(conditioner.Encode(kBad[i]), c10::Error) << i;
}

TEST(CanonicalClipName, AcceptsFilesOfEveryAge) {
  EXPECT_EQ(CanonicalClipName("text_model.final_layer_norm.weight"), "final_layer_norm.weight");
  EXPECT_EQ(CanonicalClipName("final_layer_norm.weight"), "final_layer_norm.weight");
  EXPECT_EQ(CanonicalClipName("text_model.embeddings.position_ids"), "");
  EXPECT_EQ(CanonicalClipName("embeddings.position_ids"), "");
  EXPECT_EQ(CanonicalClipName("text_projection.weight"), "text_projection.weight");
}

TEST(ClipTextModel, HasTheParametersOfThePublishedModels) {
  const struct {
    const char* config;
    const char* class_name;
    size_t tensors;
    int64_t parameters;
  } kCounts[] = {
      {R"({"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "num_hidden_layers": 12})",
       "CLIPTextModel", 196, 123'060'480},
      {R"({"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16, "num_hidden_layers": 23})",
       "CLIPTextModel", 372, 340'387'840},
      {R"({"hidden_size": 1280, "intermediate_size": 5120, "num_attention_heads": 20, "num_hidden_layers": 32,
           "projection_dim": 1280})",
       "CLIPTextModelWithProjection", 517, 694'659'840},
  };
  for (const auto& count : kCounts) {
    WeightMap shapes;
    const ClipTextModel tower(shapes, ConfigOf(count.config, count.class_name));
    EXPECT_EQ(shapes.requested().size(), count.tensors) << count.config;
    EXPECT_EQ(shapes.parameter_count(), count.parameters) << count.config;
  }
}

}  // namespace
}  // namespace stepcast::model
