#include "core/size_conditioning.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace stepcast {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr PictureSizes kSizes = {.original_width = 1,
                                 .original_height = 2,
                                 .crop_left = 3,
                                 .crop_top = 4,
                                 .target_width = 5,
                                 .target_height = 6,
                                 .aesthetic_score = 7.5,
                                 .negative_aesthetic_score = 8.5};

TEST(SizeConditioningTest, HeightComesBeforeWidthAndTopBeforeLeft) {
  EXPECT_THAT(SizeIds(SizeConditioning::kNone, kSizes, false), IsEmpty());
  for (const bool negative : {false, true}) {
    EXPECT_THAT(SizeIds(SizeConditioning::kTarget, kSizes, negative), ElementsAre(2, 1, 4, 3, 6, 5));
  }
}

TEST(SizeConditioningTest, TheNegativePromptMayBeToldOfOtherSizes) {
  PictureSizes sizes = kSizes;
  sizes.negative = NegativeSizes{.original_width = 11,
                                 .original_height = 12,
                                 .crop_left = 13,
                                 .crop_top = 14,
                                 .target_width = 15,
                                 .target_height = 16};
  EXPECT_THAT(SizeIds(SizeConditioning::kTarget, sizes, false), ElementsAre(2, 1, 4, 3, 6, 5));
  EXPECT_THAT(SizeIds(SizeConditioning::kTarget, sizes, true), ElementsAre(12, 11, 14, 13, 16, 15));
  sizes.negative = NegativeSizes{.original_width = 1, .original_height = 2, .target_width = 5, .target_height = 6};
  EXPECT_THAT(SizeIds(SizeConditioning::kTarget, sizes, true), ElementsAre(2, 1, 0, 0, 6, 5))
      << "the crop of the prompt is not its own";
}

TEST(SizeConditioningTest, ARefinerHasTwoScoresAndNoNegativeCrop) {
  EXPECT_THAT(SizeIds(SizeConditioning::kAestheticScore, kSizes, false), ElementsAre(2, 1, 4, 3, 7.5));
  EXPECT_THAT(SizeIds(SizeConditioning::kAestheticScore, kSizes, true), ElementsAre(2, 1, 0, 0, 8.5));
}

TEST(SizeConditioningTest, CountsItsNumbers) {
  EXPECT_EQ(SizeIdCount(SizeConditioning::kNone), 0);
  EXPECT_EQ(SizeIdCount(SizeConditioning::kTarget), 6);
  EXPECT_EQ(SizeIdCount(SizeConditioning::kAestheticScore), 5);
}

}  // namespace
}  // namespace stepcast
