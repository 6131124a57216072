#include "core/model_memory.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stepcast {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Optional;

// A model of parts, each with its identity ("" for none) and bytes.
SharedModelInfo Model(const std::string& id, const std::vector<std::pair<std::string, int64_t>>& parts,
                      std::vector<std::string> devices = {}) {
  ModelInfo info;
  info.id = id;
  for (const auto& [sha256, bytes] : parts) {
    ModelComponent& part = info.components.emplace_back();
    part.sha256 = sha256;
    part.bytes = bytes;
  }
  info.devices = std::move(devices);
  return std::make_shared<const ModelInfo>(std::move(info));
}

ModelMemory Cpu(int64_t budget) { return {.device = "cpu", .loops = {"cpu"}, .budget = budget}; }

// One file may be both; it is read twice, and laid out otherwise.
TEST(ModelMemoryTest, APreviewDecoderIsNoVae) {
  ModelInfo info = *Model("a", {{"taesd", 10}, {"taesd", 10}});
  info.components[0].name = "vae";
  info.components[1].name = "preview";
  const auto a = std::make_shared<const ModelInfo>(info);
  info.id = "b";
  const auto b = std::make_shared<const ModelInfo>(info);
  EXPECT_EQ(WeightBytes({a}, Cpu(0)), 20);
  EXPECT_EQ(WeightBytes({a, b}, Cpu(0)), 20) << "two models share both";
}

TEST(ModelMemoryTest, EqualPartsCountOnce) {
  const auto a = Model("a", {{"text", 10}, {"unet-a", 100}});
  const auto b = Model("b", {{"text", 10}, {"unet-b", 100}});
  const auto half = Model("half", {{"text", 5}});
  EXPECT_EQ(WeightBytes({a}, Cpu(0)), 110);
  EXPECT_EQ(WeightBytes({a, b}, Cpu(0)), 210);
  EXPECT_EQ(WeightBytes({a, half}, Cpu(0)), 115) << "the same weights in another dtype are other bytes";
  EXPECT_EQ(WeightBytes({Model("c", {{"", 7}, {"", 7}})}, Cpu(0)), 14) << "what is not known is not shared";
}

TEST(ModelMemoryTest, TypesOfOneWidthAreNotOnePart) {
  const auto typed = [](const std::string& id, const std::string& type) {
    ModelInfo info;
    info.id = id;
    ModelComponent& part = info.components.emplace_back();
    part.compute_type = type;
    part.sha256 = "unet";
    part.bytes = 10;
    return std::make_shared<const ModelInfo>(std::move(info));
  };
  EXPECT_EQ(WeightBytes({typed("a", "bf16"), typed("b", "bf16")}, Cpu(0)), 10);
  EXPECT_EQ(WeightBytes({typed("a", "bf16"), typed("b", "fp16")}, Cpu(0)), 20);
}

TEST(ModelMemoryTest, AModelCountsWhereItIsHeld) {
  const ModelMemory first{.device = "cuda:0", .loops = {"cuda:0"}};
  const ModelMemory both{.device = "cpu", .loops = {"cpu:0", "cpu:1"}};
  const auto second = Model("a", {{"x", 10}}, {"cuda:1"});
  const auto replica = Model("b", {{"y", 10}}, {"cpu:1"});
  EXPECT_EQ(WeightBytes({second}, first), 0);
  EXPECT_EQ(WeightBytes({replica}, both), 10);
  EXPECT_EQ(WeightBytes({Model("c", {{"z", 10}})}, first), 10) << "without a list: everywhere";
}

TEST(ModelMemoryTest, NobodyLeavesWhileThereIsRoom) {
  const auto resident = Model("a", {{"a", 60}});
  const ResidentModel held{.info = resident, .may_leave = true};
  EXPECT_THAT(ChooseLeavers(Model("b", {{"b", 40}}), {held}, {Cpu(100)}), Optional(IsEmpty()));
  EXPECT_THAT(ChooseLeavers(Model("b", {{"b", 41}}), {held}, {Cpu(100)}), Optional(ElementsAre("a")));
}

TEST(ModelMemoryTest, TheLongestUnusedLeaveAndNoMoreThanNeeded) {
  const auto at = [](int second) { return absl::FromUnixSeconds(second); };
  const std::vector<ResidentModel> residents = {
      {.info = Model("old", {{"1", 30}}), .may_leave = true, .last_use = at(1)},
      {.info = Model("older-but-small", {{"2", 5}}), .may_leave = true, .last_use = at(0)},
      {.info = Model("new", {{"3", 30}}), .may_leave = true, .last_use = at(9)},
      {.info = Model("busy", {{"4", 30}}), .may_leave = false, .last_use = at(0)},
  };
  // 95 of 100 are taken. Both newer ones fit beside 10 more; the small one would not help, and stays if it fits.
  EXPECT_THAT(ChooseLeavers(Model("x", {{"x", 10}}), residents, {Cpu(100)}), Optional(ElementsAre("older-but-small")));
  EXPECT_THAT(ChooseLeavers(Model("x", {{"x", 35}}), residents, {Cpu(100)}), Optional(ElementsAre("old")));
  EXPECT_THAT(ChooseLeavers(Model("x", {{"x", 70}}), residents, {Cpu(100)}),
              Optional(ElementsAre("older-but-small", "old", "new")));
  EXPECT_EQ(ChooseLeavers(Model("x", {{"x", 71}}), residents, {Cpu(100)}), std::nullopt) << "busy ones stay";
}

TEST(ModelMemoryTest, WhatTheNewcomerSharesNeedsNoRoom) {
  const ResidentModel held{.info = Model("a", {{"text", 50}, {"a", 50}}), .may_leave = false};
  EXPECT_THAT(ChooseLeavers(Model("b", {{"text", 50}, {"b", 20}}), {held}, {Cpu(120)}), Optional(IsEmpty()));
  EXPECT_EQ(ChooseLeavers(Model("b", {{"text", 50}, {"b", 21}}), {held}, {Cpu(120)}), std::nullopt);
}

TEST(ModelMemoryTest, OnlyItsOwnDevicesMatter) {
  const ModelMemory first{.device = "cuda:0", .loops = {"cuda:0"}, .budget = 10};
  const ModelMemory second{.device = "cuda:1", .loops = {"cuda:1"}, .budget = 100};
  const ResidentModel full{.info = Model("a", {{"a", 10}}, {"cuda:0"}), .may_leave = true};
  EXPECT_THAT(ChooseLeavers(Model("b", {{"b", 90}}, {"cuda:1"}), {full}, {first, second}), Optional(IsEmpty()));
  EXPECT_EQ(ChooseLeavers(Model("b", {{"b", 90}}), {full}, {first, second}), std::nullopt);
}

TEST(ModelMemoryTest, WhatIsTooLargeIsToldWithTheNumbers) {
  const auto large = Model("large", {{"a", 90}, {"b", 20}});
  EXPECT_THAT(DescribeTooLarge(large, {}, {Cpu(100)}),
              HasSubstr("model 'large' needs 110 bytes for its weights on cpu; memory_budget is 100"));
  EXPECT_THAT(DescribeTooLarge(large, {Model("other", {{"a", 90}, {"c", 5}})}, {Cpu(110)}),
              HasSubstr("needs 20 bytes for its weights on cpu, where others hold 95; memory_budget is 110"));
  EXPECT_EQ(DescribeTooLarge(large, {}, {Cpu(110)}), "");
  EXPECT_EQ(DescribeTooLarge(large, {}, {Cpu(kNoMemoryBudget)}), "");
}

TEST(ModelMemoryTest, WhatNeverFitsIsToldWithTheReason) {
  const auto pinned = Model("p", {{"text", 10}, {"p", 50}});
  EXPECT_EQ(DescribeNeverFits(Model("a", {{"a", 40}}), {pinned}, {Cpu(100)}), "");
  EXPECT_EQ(DescribeNeverFits(Model("a", {{"text", 10}, {"a", 40}}), {pinned}, {Cpu(100)}), "") << "a part is shared";
  EXPECT_THAT(DescribeNeverFits(Model("a", {{"a", 41}}), {pinned}, {Cpu(100)}), HasSubstr("beside what is pinned"));
  EXPECT_THAT(DescribeNeverFits(Model("a", {{"a", 101}}), {pinned}, {Cpu(100)}),
              testing::AllOf(HasSubstr("can never be loaded"), testing::Not(HasSubstr("pinned"))));
}

}  // namespace
}  // namespace stepcast
