#include "scheduler/words/phase.h"

#include <gtest/gtest.h>

namespace stepcast {
namespace {

TEST(PhaseTest, HasStableNames) {
  EXPECT_EQ(PhaseName(Phase::kEncode), "encode");
  EXPECT_EQ(PhaseName(Phase::kDenoise), "denoise");
  EXPECT_EQ(PhaseName(Phase::kPreview), "preview");
  EXPECT_EQ(PhaseName(Phase::kDecode), "decode");
  EXPECT_EQ(PhaseName(Phase::kEncodePicture), "encode_picture");
  EXPECT_EQ(PhaseName(Phase::kUpscale), "upscale");
  for (const Phase phase : kPhases) EXPECT_NE(PhaseName(phase), "unknown");
}

}  // namespace
}  // namespace stepcast
