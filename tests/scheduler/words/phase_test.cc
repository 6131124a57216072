#include "scheduler/words/phase.h"

#include <gtest/gtest.h>

namespace stepcast {
namespace {

TEST(PhaseTest, HasStableNames) {
  EXPECT_EQ(PhaseName(Phase::kEncode), "encode");
  EXPECT_EQ(PhaseName(Phase::kDenoise), "denoise");
  EXPECT_EQ(PhaseName(Phase::kPreview), "preview");
  EXPECT_EQ(PhaseName(Phase::kDecode), "decode");
}

}  // namespace
}  // namespace stepcast
