// Models in and out of memory with the real ones: what is shared, what is freed, who paints what.

#include "engine/start/model_library.h"

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/model_memory.h"
#include "tests/engine/one_place.h"

namespace stepcast::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string kEmoji = STEPCAST_SOURCE_DIR "/models/emoji";
const std::string kDigits = STEPCAST_SOURCE_DIR "/models/digits";

EngineOptions Options(std::vector<ModelSource> models) {
  EngineOptions options;
  options.models = std::move(models);
  options.device = "cpu";
  options.dtype = "fp32";
  options.threads = 1;
  options.warm_up = false;
  return options;
}

const ModelShelf& ShelfOf(const ModelLibrary& library) { return *library.places().front().shelf; }

TEST(ModelLibraryTest, EqualPartsAreInMemoryOnce) {
  ModelLibrary library(Options({{.id = "one", .path = kEmoji}, {.id = "two", .path = kEmoji}}), OnePlace());
  const auto one = library.Load("one");
  ASSERT_TRUE(one.ok()) << one.status();
  const auto two = library.Load("two");
  ASSERT_TRUE(two.ok()) << two.status();
  const SharedBundle first = ShelfOf(library).Find("one");
  const SharedBundle second = ShelfOf(library).Find("two");
  EXPECT_EQ(&first->denoiser(), &second->denoiser());
  EXPECT_EQ(&first->codec(), &second->codec());
  EXPECT_EQ(&first->conditioner(), &second->conditioner());
  const ModelMemory& memory = library.places().front().memory;
  EXPECT_EQ(WeightBytes({one->info, two->info}, memory), WeightBytes({one->info}, memory));
  EXPECT_EQ(one->info->sha256, two->info->sha256);
  EXPECT_THAT(two->notes, testing::Contains(HasSubstr("unet: shared with a model that is loaded already")));
}

TEST(ModelLibraryTest, OtherPartsAreNot) {
  ModelLibrary library(Options({{.id = "emoji", .path = kEmoji}, {.id = "digits", .path = kDigits}}), OnePlace());
  const auto emoji = library.Load("emoji");
  const auto digits = library.Load("digits");
  ASSERT_TRUE(emoji.ok() && digits.ok());
  const ModelMemory& memory = library.places().front().memory;
  EXPECT_EQ(WeightBytes({emoji->info, digits->info}, memory),
            WeightBytes({emoji->info}, memory) + WeightBytes({digits->info}, memory));
}

TEST(ModelLibraryTest, APartGoesWithTheLastModelThatHasIt) {
  ModelLibrary library(Options({{.id = "one", .path = kEmoji}, {.id = "two", .path = kEmoji}}), OnePlace());
  ASSERT_TRUE(library.Load("one").ok() && library.Load("two").ok());
  const std::weak_ptr<const model::ModelBundle> bundle = ShelfOf(library).Find("one");
  library.Unload("one");
  EXPECT_TRUE(bundle.expired());
  EXPECT_EQ(ShelfOf(library).Find("one"), nullptr);
  EXPECT_NE(ShelfOf(library).Find("two"), nullptr);
  library.Unload("two");
  library.Unload("two");  // nothing is there
  const auto again = library.Load("one");
  ASSERT_TRUE(again.ok());
  EXPECT_THAT(again->notes, testing::Not(testing::Contains(HasSubstr("shared"))));
}

TEST(ModelLibraryTest, InspectTellsWhatALoadWouldTake) {
  ModelLibrary library(Options({{.id = "one", .path = kEmoji}, {.id = "two", .path = kDigits}}), OnePlace());
  const auto described = library.Describe("one");
  const auto inspected = library.Inspect("one");
  ASSERT_TRUE(described.ok() && inspected.ok());
  EXPECT_EQ(ShelfOf(library).Find("one"), nullptr);
  const auto loaded = library.Load("one");
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ((*described)->components[0].sha256, "") << "reads no weights";
  EXPECT_NE((*inspected)->components[0].sha256, "");
  EXPECT_EQ(loaded->info->sha256.size(), 64u);
  EXPECT_EQ((*inspected)->components, loaded->info->components);
  const ModelMemory& memory = library.places().front().memory;
  EXPECT_EQ(WeightBytes({*described}, memory), WeightBytes({loaded->info}, memory));
  EXPECT_EQ((*described)->devices, std::vector<std::string>{"cpu"});
}

TEST(ModelLibraryTest, WhatADecodeMayTakeIsToldOfModelsThatComeLater) {
  ModelLibrary library(Options({{.id = "emoji", .path = kEmoji}}), OnePlace());
  library.set_max_decode_bytes(123456);
  const auto described = library.Describe("emoji");
  const auto loaded = library.Load("emoji");
  ASSERT_TRUE(described.ok() && loaded.ok());
  EXPECT_EQ((*described)->decoding.max_bytes, 123456);
  EXPECT_EQ(loaded->info->decoding.max_bytes, 123456);
  EXPECT_EQ(loaded->info->decoding.preview, PreviewKind::kNetwork);
}

// How pictures are decoded is the model's, what decodes them is not.
TEST(ModelLibraryTest, ModelsThatShareADecoderTileByTheirOwnCards) {
  ModelCard card;
  card.vae_tiling = VaeTiling::kOn;
  ModelLibrary library(Options({{.id = "one", .path = kEmoji}, {.id = "two", .path = kEmoji, .card = card}}),
                       OnePlace());
  const auto one = library.Load("one");
  const auto two = library.Load("two");
  ASSERT_TRUE(one.ok() && two.ok());
  EXPECT_EQ(&ShelfOf(library).Find("one")->codec(), &ShelfOf(library).Find("two")->codec());
  EXPECT_EQ(&ShelfOf(library).Find("one")->preview(), &ShelfOf(library).Find("two")->preview());
  EXPECT_EQ(one->info->decoding.tiling, VaeTiling::kAuto);
  EXPECT_EQ(two->info->decoding.tiling, VaeTiling::kOn);
  EXPECT_EQ(one->info->decoding.tile_side, two->info->decoding.tile_side);
}

TEST(ModelLibraryTest, UnknownDevicesAreNamed) {
  const ModelLibrary library(
      Options({{.id = "one", .path = kEmoji}, {.id = "two", .path = kEmoji, .devices = {"cuda:7"}}}), OnePlace());
  EXPECT_THAT(std::string(library.CheckDevices().message()),
              HasSubstr("models[1].devices: got 'cuda:7'; the devices are cpu"));
}

TEST(ModelLibraryTest, AFailedLoadHoldsNothing) {
  ModelLibrary library(Options({{.id = "ghost", .path = "/nowhere"}, {.id = "two", .path = kDigits}}), OnePlace());
  const auto loaded = library.Load("ghost");
  EXPECT_THAT(std::string(loaded.status().message()), HasSubstr("model 'ghost' in '/nowhere'"));
  EXPECT_EQ(ShelfOf(library).Find("ghost"), nullptr);
}

class CreateWithBudgetTest : public testing::Test {
 protected:
  static absl::StatusOr<LoadedEngine> Create(std::vector<ModelSource> models, int64_t budget) {
    static NullEngineMetrics metrics;
    EngineOptions options = Options(std::move(models));
    options.memory_budget = budget;
    return CreateEngine(options, metrics);
  }
  static int64_t BytesOf(const std::string& path) {
    ModelLibrary library(Options({{.id = "m", .path = path}}), OnePlace());
    return WeightBytes({*library.Describe("m")}, library.places().front().memory);
  }
};

TEST_F(CreateWithBudgetTest, WhatIsLoadedOnDemandIsNotLoadedAtTheStart) {
  const auto engine =
      Create({{.id = "emoji", .path = kEmoji}, {.id = "digits", .path = kDigits, .loading = ModelLoading::kOnDemand}},
             kNoMemoryBudget);
  ASSERT_TRUE(engine.ok()) << engine.status();
  EXPECT_EQ(engine->models.size(), 2u);
  EXPECT_THAT(engine->unloaded, ElementsAre("digits"));
  for (const BatchKey& key : engine->profile_keys) EXPECT_EQ(key.model, "emoji");
}

TEST_F(CreateWithBudgetTest, WhatNeverFitsIsRefusedWithTheNumbers) {
  const int64_t digits = BytesOf(kDigits);
  ASSERT_GT(BytesOf(kEmoji), digits);
  const auto engine = Create({{.id = "emoji", .path = kEmoji}, {.id = "digits", .path = kDigits}}, digits);
  ASSERT_TRUE(engine.ok()) << engine.status();
  ASSERT_EQ(engine->refused.size(), 1u);
  EXPECT_EQ(engine->refused[0].id, "emoji");
  EXPECT_THAT(engine->refused[0].why, HasSubstr("it can never be loaded"));
  EXPECT_THAT(engine->refused[0].why, HasSubstr(std::to_string(digits)));
  EXPECT_EQ(engine->models.size(), 1u);
}

TEST_F(CreateWithBudgetTest, WhatFindsNoRoomAtTheStartWaitsForARequest) {
  const int64_t emoji = BytesOf(kEmoji);
  const auto engine = Create({{.id = "emoji", .path = kEmoji}, {.id = "digits", .path = kDigits}}, emoji);
  ASSERT_TRUE(engine.ok()) << engine.status();
  EXPECT_THAT(engine->unloaded, ElementsAre("digits"));
  EXPECT_THAT(engine->warnings, testing::Contains(HasSubstr("it is loaded when somebody asks for it")));
}

TEST_F(CreateWithBudgetTest, PinnedModelsComeFirstAndMustFitTogether) {
  const int64_t emoji = BytesOf(kEmoji);
  const auto engine = Create(
      {{.id = "emoji", .path = kEmoji}, {.id = "digits", .path = kDigits, .loading = ModelLoading::kPinned}}, emoji);
  ASSERT_TRUE(engine.ok()) << engine.status();
  EXPECT_THAT(engine->unloaded, IsEmpty());
  ASSERT_EQ(engine->refused.size(), 1u) << "who waits for pinned ones to leave would wait for ever";
  EXPECT_EQ(engine->refused[0].id, "emoji");
  EXPECT_THAT(engine->refused[0].why, HasSubstr("beside what is pinned"));
  const auto both = Create({{.id = "emoji", .path = kEmoji, .loading = ModelLoading::kPinned},
                            {.id = "digits", .path = kDigits, .loading = ModelLoading::kPinned}},
                           emoji);
  ASSERT_TRUE(both.ok()) << both.status();
  ASSERT_EQ(both->refused.size(), 1u);
  EXPECT_THAT(both->refused[0].why, HasSubstr("what is pinned must fit together"));
}

}  // namespace
}  // namespace stepcast::engine
