#include "server/wire/proto_enums.h"

#include <string>

#include "google/protobuf/descriptor.h"
#include "gtest/gtest.h"
#include "sampling/compile/compile.h"

namespace stepcast {
namespace {

TEST(ProtoEnumsTest, EverySamplerOfTheWireIsBuiltAndTheReverse) {
  const auto& wire = *v1::Sampler_descriptor();
  EXPECT_EQ(wire.value_count() - 1, static_cast<int>(sampling::SupportedSamplers().size()));
  for (const Sampler sampler : sampling::SupportedSamplers()) {
    EXPECT_EQ(v1::Sampler_Name(ToProto(sampler)), "SAMPLER_" + std::string(SamplerName(sampler)));
    EXPECT_EQ(FromProto(ToProto(sampler)), sampler);
  }
}

TEST(ProtoEnumsTest, NamesAgree) {
  for (int i = 0; i <= static_cast<int>(SigmaSchedule::kLu); ++i) {
    const auto schedule = static_cast<SigmaSchedule>(i);
    EXPECT_EQ(v1::SigmaSchedule_Name(ToProto(schedule)), "SIGMA_SCHEDULE_" + std::string(SigmaScheduleName(schedule)));
    EXPECT_EQ(FromProto(ToProto(schedule)), schedule);
  }
  for (int i = 0; i <= static_cast<int>(TimestepSpacing::kTrailing); ++i) {
    const auto spacing = static_cast<TimestepSpacing>(i);
    EXPECT_EQ(v1::TimestepSpacing_Name(ToProto(spacing)),
              "TIMESTEP_SPACING_" + std::string(TimestepSpacingName(spacing)));
    EXPECT_EQ(FromProto(ToProto(spacing)), spacing);
  }
  EXPECT_EQ(ToProto(ImageFormat::kJpeg), v1::IMAGE_FORMAT_JPEG);
  EXPECT_EQ(FromProto(v1::IMAGE_FORMAT_WEBP), ImageFormat::kWebp);
  EXPECT_EQ(ToProto(Priority::kStandard), v1::PRIORITY_STANDARD);
  EXPECT_EQ(FromProto(v1::PRIORITY_INTERACTIVE), Priority::kInteractive);
  EXPECT_EQ(ToProto(ConditioningKind::kClassLabel), v1::CONDITIONING_KIND_CLASS_LABEL);
}

TEST(ProtoEnumsTest, UnspecifiedAndUnknownNumbersAreNothing) {
  EXPECT_EQ(FromProto(v1::SAMPLER_UNSPECIFIED), std::nullopt);
  EXPECT_EQ(FromProto(v1::SIGMA_SCHEDULE_UNSPECIFIED), std::nullopt);
  EXPECT_EQ(FromProto(v1::TIMESTEP_SPACING_UNSPECIFIED), std::nullopt);
  EXPECT_EQ(FromProto(v1::IMAGE_FORMAT_UNSPECIFIED), std::nullopt);
  for (const int number : {23, 24, -1, INT32_MAX, INT32_MIN}) {
    EXPECT_EQ(FromProto(static_cast<v1::Sampler>(number)), std::nullopt) << number;
  }
  EXPECT_EQ(FromProto(static_cast<v1::ImageFormat>(4)), std::nullopt);
  EXPECT_EQ(FromProto(static_cast<v1::Priority>(4)), std::nullopt);
}

}  // namespace
}  // namespace stepcast
