// SdxlTextConditioner: what the Stable Diffusion XL pipelines take from their two towers.
#include "model/text_encoder/sdxl_text_conditioner.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <c10/core/InferenceMode.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include "tests/model/replay.h"

namespace stepcast::model {
namespace {

ClipTextModel Tower(const Replay& replay, const char* class_name) {
  auto json = JsonConfig::Parse(replay.config(), "config");
  const auto config = ParseClipTextConfig(*json, class_name);
  EXPECT_TRUE(config.ok()) << config.status();
  // Weight names of fixtures carry the prefix of their transformers release.
  const auto set = WeightSet::Open(replay.folder(), "model", {""}, &CanonicalClipName);
  EXPECT_TRUE(set.ok()) << set.status();
  WeightMap weights(*set, c10::DeviceType::CPU, at::kFloat);
  return ClipTextModel(weights, *config);
}

// Two towers of five layers, 32 channels each; the second projects to 24.
struct Towers {
  Towers()
      : first(Tower(Replay(FindCase("clip_quick_gelu")), "CLIPTextModel")),
        second(Tower(Replay(FindCase("clip_pooled")), "CLIPTextModelWithProjection")),
        conditioner({std::make_shared<const ClipTextModel>(first), std::make_shared<const ClipTextModel>(second)},
                    c10::DeviceType::CPU) {}

  c10::InferenceMode no_autograd;
  ClipTextModel first;
  ClipTextModel second;
  SdxlTextConditioner conditioner;
};

const std::vector<int32_t> kOne = {0, 5, 6, 999};
const std::vector<int32_t> kTwo = {0, 7, 999, 1};
const std::vector<float> kSizes = {64, 48, 0, 8, 64, 48};

ConditioningInput Prompt(int clip_skip = 0) {
  ConditioningInput input;
  input.text.ids = {kOne, kTwo};
  input.clip_skip = clip_skip;
  input.size_ids = kSizes;
  return input;
}

TowerInput Ids(const std::vector<int32_t>& ids) { return {.ids = at::tensor(ids, at::kLong).unsqueeze(0)}; }

TEST(SdxlTextConditioner, JoinsTheStatesBeforeTheLastLayer) {
  const Towers towers;
  for (const int clip_skip : {0, 1, 4}) {
    const Conditioning row = towers.conditioner.Encode({Prompt(clip_skip)});
    ASSERT_EQ(row.prompt_embeds.sizes().vec(), (std::vector<int64_t>{1, 4, 64}));
    const at::Tensor first = towers.first.HiddenStates(Ids(kOne), clip_skip + 1);
    const at::Tensor second = towers.second.HiddenStates(Ids(kTwo), clip_skip + 1);
    EXPECT_EQ(Compare(row.prompt_embeds.narrow(2, 0, 32), first).max, 0) << clip_skip;
    EXPECT_EQ(Compare(row.prompt_embeds.narrow(2, 32, 32), second).max, 0) << clip_skip;
    // The pooled state knows nothing of clip_skip.
    const at::Tensor last = towers.second.FinalNorm(towers.second.HiddenStates(Ids(kTwo), 0));
    EXPECT_EQ(Compare(row.text_embeds, towers.second.Pooled(last, Ids(kTwo).ids)).max, 0) << clip_skip;
    EXPECT_TRUE(row.time_ids.equal(at::tensor(kSizes).unsqueeze(0)));
  }
}

TEST(SdxlTextConditioner, WeightsAndChunksLeaveThePooledStateAlone) {
  const Towers towers;
  ConditioningInput two = Prompt();
  two.text.chunks = 2;
  two.text.ids = {{0, 5, 6, 999, 0, 8, 9, 999}, {0, 7, 999, 1, 0, 3, 999, 1}};
  ConditioningInput weighted = two;
  weighted.text.weights = {std::vector<float>(8, 1.0F), std::vector<float>(8, 1.0F)};
  weighted.text.weights[0][1] = 2.0F;
  const Conditioning rows = towers.conditioner.Encode({two, weighted});
  ASSERT_EQ(rows.prompt_embeds.sizes().vec(), (std::vector<int64_t>{2, 8, 64}));
  const Conditioning one = towers.conditioner.Encode({Prompt()});
  // Another batch size may be summed in another order.
  EXPECT_LT(Compare(rows.prompt_embeds[0].narrow(0, 0, 4), one.prompt_embeds[0]).max, 1e-5);
  EXPECT_LT(Compare(rows.text_embeds[0], one.text_embeds[0]).max, 1e-5) << "of the first chunk";
  EXPECT_EQ(Compare(rows.text_embeds[0], rows.text_embeds[1]).max, 0) << "without weights";
  const at::Tensor first = rows.prompt_embeds.narrow(2, 0, 32), second = rows.prompt_embeds.narrow(2, 32, 32);
  EXPECT_EQ(Compare(first[1][1], first[0][1] * 2).max, 0);
  EXPECT_EQ(Compare(second[1], second[0]).max, 0) << "the other tower weighs nothing";
}

TEST(SdxlTextConditioner, ZeroRowsKeepTheirSizesAndLeaveOthersAlone) {
  const Towers towers;
  ConditioningInput zero = Prompt();
  zero.zero = true;
  zero.size_ids.front() = 32;
  EXPECT_FALSE(zero == Prompt());
  const Conditioning both = towers.conditioner.Encode({Prompt(), zero});
  const Conditioning alone = towers.conditioner.Encode({Prompt()});
  EXPECT_EQ(both.prompt_embeds[1].abs().max().item<float>(), 0);
  EXPECT_EQ(both.text_embeds[1].abs().max().item<float>(), 0);
  EXPECT_EQ(both.time_ids[1][0].item<float>(), 32);
  // Another batch size may be summed in another order.
  EXPECT_LT(Compare(both.prompt_embeds[0], alone.prompt_embeds[0]).max, 1e-5);
  EXPECT_LT(Compare(both.text_embeds[0], alone.text_embeds[0]).max, 1e-5);
}

TEST(SdxlTextConditioner, RefusesWhatItCannotEncode) {
  const Towers towers;
  ConditioningInput one_list = Prompt();
  one_list.text.ids.pop_back();
  ConditioningInput uneven = Prompt();
  uneven.text.ids[1].pop_back();
  ConditioningInput unknown = Prompt();
  unknown.text.ids[1][1] = 1000;
  ConditioningInput no_sizes = Prompt();
  no_sizes.size_ids.clear();
  const std::vector<std::vector<ConditioningInput>> kBad = {
      {}, {one_list}, {uneven}, {unknown}, {Prompt(), no_sizes}, {Prompt(5)}, {Prompt(-1)}, {Prompt(0), Prompt(1)}};
  for (size_t i = 0; i < kBad.size(); ++i) EXPECT_THROW(towers.conditioner.Encode(kBad[i]), c10::Error) << i;
}

}  // namespace
}  // namespace stepcast::model
