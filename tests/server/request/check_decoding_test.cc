#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/catalog/model_description.h"
#include "server/request/checks/request_checks.h"
#include "tests/server/fake_models.h"
#include "tests/server/wire_requests.h"

namespace stepcast {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr int64_t kMib = 1 << 20;

// texty, with tiles of 64 pixels above 8000 pixels in all, and 1 KiB a pixel.
Decoding Tiled() {
  return {.tile_side = 64, .tiling = VaeTiling::kAuto, .tiling_pixels = 8000, .bytes_per_pixel = 1024};
}

ModelRegistry OneModel(const Decoding& decoding) {
  ModelInfo info = TextModel();
  info.decoding = decoding;
  return *ModelRegistry::Create({Share(info)}, "", &LoadFakeTokenizer);
}

struct Checked {
  Checked(const std::string& text, const Decoding& decoding) {
    const v1::GenerateRequest wire = Wire(text);
    const ModelRegistry models = OneModel(decoding);
    resolved.model = models.default_model().info;
    resolved.steps = 20;
    const LimitsConfig limits;
    const RequestContext context{wire, models.default_model(), limits, NarrowLimits(*resolved.model, limits)};
    CheckSize(context, resolved, violations);
    CheckDecoding(context, resolved, violations);
    CheckOutput(context, resolved, violations);
  }

  GenerationRequest resolved;
  FieldViolations violations;
};

TEST(CheckDecodingTest, TilingIsResolvedByTheSizeAloneUnlessItIsAskedFor) {
  const struct {
    std::string request;
    bool tiled;
    size_t warnings;
  } rows[] = {{"", false, 0},
              {"width: 64 height: 120", false, 0},
              {"width: 64 height: 128", true, 0},
              {"width: 64 height: 128 vae_tiling: false", false, 0},
              {"width: 64 height: 72 vae_tiling: true", true, 0},
              {"vae_tiling: false", false, 0},
              {"vae_tiling: true", false, 1}};  // the picture is one tile
  for (const auto& row : rows) {
    const Checked checked(row.request, Tiled());
    EXPECT_TRUE(checked.violations.empty()) << row.request;
    EXPECT_EQ(checked.resolved.vae_tiling, row.tiled) << row.request;
    EXPECT_THAT(checked.resolved.warnings, SizeIs(row.warnings)) << row.request;
  }
}

TEST(CheckDecodingTest, AcceptedTellsWhatTilingCameToWhereThereIsAChoice) {
  const Checked large("width: 64 height: 128", Tiled());
  const v1::GenerateRequest told = ToEffectiveRequest(large.resolved);
  EXPECT_TRUE(told.has_vae_tiling());
  EXPECT_TRUE(told.vae_tiling());
  const Checked small("", Tiled());
  EXPECT_FALSE(ToEffectiveRequest(small.resolved).has_vae_tiling());
}

TEST(CheckDecodingTest, ModelsWithoutTilesRefuseThem) {
  const Checked asked("vae_tiling: true", {});
  ASSERT_THAT(asked.violations.violations(), SizeIs(1));
  EXPECT_EQ(asked.violations.violations()[0].field, "vae_tiling");
  EXPECT_TRUE(Checked("vae_tiling: false", {}).violations.empty());
}

// 64x64 takes 4 MiB, 64x128 in one piece 8, in tiles less.
TEST(CheckDecodingTest, APictureThatCannotBeDecodedIsRefusedWithWhatItNeedsAndWhatIsAllowed) {
  Decoding decoding = Tiled();
  decoding.max_bytes = 6 * kMib;
  EXPECT_TRUE(Checked("", decoding).violations.empty());
  EXPECT_TRUE(Checked("height: 128", decoding).violations.empty()) << "tiles by default";
  const Checked whole("height: 128 vae_tiling: false", decoding);
  ASSERT_THAT(whole.violations.violations(), SizeIs(1));
  EXPECT_EQ(whole.violations.violations()[0].field, "width");
  EXPECT_THAT(whole.violations.violations()[0].description,
              testing::AllOf(HasSubstr("64 x height 128, which needs 8 MiB"), HasSubstr("at most 6 MiB"),
                             HasSubstr("vae_tiling needs less")));
  decoding.max_bytes = 3 * kMib;
  const Checked small("", decoding);
  ASSERT_THAT(small.violations.violations(), SizeIs(1));
  EXPECT_THAT(small.violations.violations()[0].description, HasSubstr("smaller pictures need less"));
}

TEST(CheckDecodingTest, ModelsWithoutPreviewsRefuseThem) {
  Decoding decoding;
  decoding.preview = PreviewKind::kNone;
  const Checked asked("preview { every_n_steps: 5 }", decoding);
  ASSERT_THAT(asked.violations.violations(), SizeIs(1));
  EXPECT_EQ(asked.violations.violations()[0].field, "preview");
}

TEST(CheckDecodingTest, PreviewsAreAsLargeAsTheirDecoderMakesThem) {
  Decoding decoding;
  decoding.preview = PreviewKind::kNetwork;
  decoding.preview_scale = 4;
  EXPECT_EQ(Checked("preview { every_n_steps: 5 }", decoding).resolved.preview.max_side, 64);
  EXPECT_EQ(Checked("preview { every_n_steps: 5 max_side: 16 }", decoding).resolved.preview.max_side, 16);
}

TEST(CheckDecodingTest, GetModelTellsTheRule) {
  Decoding decoding = Tiled();
  decoding.max_bytes = 6 * kMib;
  decoding.preview = PreviewKind::kNetwork;
  decoding.preview_scale = 4;
  const ModelRegistry models = OneModel(decoding);
  const v1::ModelDecoding told = DescribeModel(models.default_model(), true, {}).decoding();
  EXPECT_EQ(told.tile_side(), 64);
  EXPECT_EQ(told.tiled_above_pixels(), 8000);
  EXPECT_EQ(told.max_decode_bytes(), 6 * kMib);
  EXPECT_EQ(told.default_decode_bytes(), 4 * kMib);
  EXPECT_EQ(told.preview(), v1::PREVIEW_DECODER_NETWORK);
  EXPECT_EQ(told.preview_scale(), 4);
  decoding.tiling = VaeTiling::kOff;
  EXPECT_FALSE(DescribeModel(OneModel(decoding).default_model(), true, {}).decoding().has_tiled_above_pixels());
}

}  // namespace
}  // namespace stepcast
