// ClipTextModel and TextConditioner beyond parity.
#include <memory>
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

ConditioningInput Prompt(std::vector<int32_t> ids, int clip_skip = 0) {
  return {.text = {.ids = {std::move(ids)}}, .clip_skip = clip_skip};
}

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

// Of several chunks of four tokens each.
ConditioningInput Chunks(const std::vector<std::vector<int32_t>>& chunks) {
  ConditioningInput input{.text = {.ids = {{}}, .chunks = static_cast<int>(chunks.size())}};
  for (const auto& chunk : chunks) input.text.ids[0].insert(input.text.ids[0].end(), chunk.begin(), chunk.end());
  return input;
}

TEST(TextConditioner, EncodesChunksOneByOne) {
  const c10::InferenceMode no_autograd;
  const Replay replay(FindCase("clip_quick_gelu"));
  const TextConditioner conditioner = Loaded(replay);
  const std::vector<int32_t> a = {0, 5, 999, 999}, b = {0, 7, 8, 999};
  const at::Tensor both = conditioner.Encode({Chunks({a, b}), Chunks({b, b})}).prompt_embeds;
  ASSERT_EQ(both.sizes().vec(), (std::vector<int64_t>{2, 8, 32}));
  const at::Tensor alone_a = conditioner.Encode({Prompt(a)}).prompt_embeds[0];
  const at::Tensor alone_b = conditioner.Encode({Prompt(b)}).prompt_embeds[0];
  // Another batch size may be summed in another order.
  EXPECT_LT(Compare(both[0].narrow(0, 0, 4), alone_a).max, 1e-5);
  EXPECT_LT(Compare(both[0].narrow(0, 4, 4), alone_b).max, 1e-5);
  EXPECT_LT(Compare(both[1].narrow(0, 0, 4), alone_b).max, 1e-5);
  EXPECT_THROW(conditioner.Encode({Chunks({a, b}), Prompt(a)}), c10::Error) << "one number of chunks per forward";
}

TEST(TextConditioner, WeighsTokensAndRestoresTheMeanOfEachChunk) {
  const c10::InferenceMode no_autograd;
  const Replay replay(FindCase("clip_quick_gelu"));
  const TextConditioner conditioner = Loaded(replay);
  const std::vector<int32_t> a = {0, 5, 999, 999}, b = {0, 7, 8, 999};
  const ConditioningInput plain = Chunks({a, b});
  ConditioningInput weighted = plain;
  weighted.text.weights = {{1, 1.5F, 1, 1, 1, 1, -0.5F, 1}};
  ConditioningInput restored = weighted;
  restored.text.restores_mean = true;
  EXPECT_FALSE(plain == weighted);
  EXPECT_FALSE(weighted == restored);
  const at::Tensor all = conditioner.Encode({plain, weighted, restored}).prompt_embeds;
  const at::Tensor alone = conditioner.Encode({plain, plain, plain}).prompt_embeds;
  EXPECT_EQ(Compare(all[0], alone[0]).max, 0) << "the others weigh nothing of it";
  EXPECT_EQ(Compare(all[1][1], alone[1][1] * 1.5).max, 0);
  EXPECT_EQ(Compare(all[1][6], alone[1][6] * -0.5).max, 0);
  EXPECT_EQ(Compare(all[1][0], alone[1][0]).max, 0);
  for (const int64_t begin : {0, 4}) {
    const at::Tensor before = alone[2].narrow(0, begin, 4), after = all[2].narrow(0, begin, 4);
    EXPECT_NEAR(after.mean().item<float>(), before.mean().item<float>(), 1e-6);
    const at::Tensor raw = all[1].narrow(0, begin, 4);
    EXPECT_LT(Compare(after, raw * (before.mean() / raw.mean())).max, 1e-5);
  }
}

TEST(TextConditioner, AMeanThatVanishesIsLeftAsItIs) {
  const c10::InferenceMode no_autograd;
  const Replay replay(FindCase("clip_quick_gelu"));
  const TextConditioner conditioner = Loaded(replay);
  ConditioningInput nothing = Prompt({0, 5, 8, 999});
  nothing.text.weights = {{0, 0, 0, 0}};
  nothing.text.restores_mean = true;
  const at::Tensor embeds = conditioner.Encode({nothing}).prompt_embeds;
  EXPECT_EQ(embeds.abs().max().item<float>(), 0);
}

TEST(TextConditioner, VectorsOfTextualInversionsStandForTokens) {
  const c10::InferenceMode no_autograd;
  const Replay replay(FindCase("clip_quick_gelu"));
  const TextConditioner conditioner = Loaded(replay);
  WeightMap weights(replay.weights(), c10::DeviceType::CPU, at::kFloat);
  const at::Tensor table = (weights.Root() / "embeddings" / "token_embedding").Get("weight", {1000, 32});
  // The vectors of tokens 7 and 8 by another name.
  auto file = std::make_shared<TextualInversion>();
  file->sha256 = "a";
  file->vectors = 2;
  const at::Tensor rows = table.narrow(0, 7, 2).contiguous();
  file->towers = {{rows.data_ptr<float>(), rows.data_ptr<float>() + rows.numel()}};
  ConditioningInput named = Prompt({0, InversionId(0), InversionId(1), 999});
  named.text.inversions = {{file}};
  const at::Tensor spelled = conditioner.Encode({Prompt({0, 7, 8, 999})}).prompt_embeds;
  EXPECT_EQ(Compare(conditioner.Encode({named}).prompt_embeds, spelled).max, 0);
  auto other = std::make_shared<TextualInversion>(*file);
  other->sha256 = "b";
  ConditioningInput renamed = named;
  renamed.text.inversions = {{other}};
  EXPECT_FALSE(named == renamed) << "another file is another prompt";
  EXPECT_THROW(conditioner.Encode({Prompt({0, InversionId(0), 999})}), c10::Error) << "of no inversion";
  other->towers = {std::vector<float>(2 * 16)};
  EXPECT_THROW(conditioner.Encode({renamed}), c10::Error) << "of another width";
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
      {{}},
      {Prompt({})},
      {Prompt({0, 1000})},
      {Prompt({0, -1})},
      {Prompt(std::vector<int32_t>(78, 0))},
      {Prompt({0, 1}), Prompt({0, 1, 2})},
      {Prompt({0, 1}, 1), Prompt({0, 1}, 0)},
      {Prompt({0, 1}, -1)},
      {{.text = {.ids = {{0, 1}, {0, 1}}}}},
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
