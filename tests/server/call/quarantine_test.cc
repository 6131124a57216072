#include "server/call/quarantine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/registry.h>

#include "server/request/errors/status_mapping.h"
#include "tests/support/simulated_clock.h"

namespace stepcast {
namespace {

v1::GenerateRequest Effective(int64_t seed, int count = 1) {
  v1::GenerateRequest request;
  request.set_model("emoji");
  request.set_prompt("a");
  request.set_seed(seed);
  request.set_image_count(count);
  return request;
}

class QuarantineTest : public testing::Test {
 protected:
  SimulatedClock clock_;
  prometheus::Registry registry_;
  Quarantine quarantine_{clock_, registry_};
};

TEST_F(QuarantineTest, APictureIsKnownInWhateverRequest) {
  EXPECT_TRUE(quarantine_.Check(Effective(5)).ok());
  quarantine_.Add(Effective(4, 2), 1);
  for (const auto& [seed, count, known] :
       {std::tuple(5, 1, true), {4, 2, true}, {3, 4, true}, {4, 1, false}, {6, 4, false}}) {
    const absl::Status status = quarantine_.Check(Effective(seed, count));
    EXPECT_EQ(status.ok(), !known) << seed << " " << count;
    EXPECT_EQ(ReasonOf(status), known ? "ENGINE_ERROR" : "");
  }
  v1::GenerateRequest shown = Effective(5);
  shown.mutable_preview()->set_every_n_steps(1);
  EXPECT_FALSE(quarantine_.Check(shown).ok()) << "the picture is the same";
}

TEST_F(QuarantineTest, TimeEndsIt) {
  quarantine_.Add(Effective(5), 0);
  clock_.Advance(Quarantine::kTime - absl::Seconds(1));
  quarantine_.Add(Effective(5), 0);
  clock_.Advance(absl::Seconds(1));
  EXPECT_THAT(std::string(quarantine_.Check(Effective(5)).message()), testing::HasSubstr("refused for 600 s"));
  clock_.Advance(Quarantine::kTime);
  EXPECT_TRUE(quarantine_.Check(Effective(5)).ok());
}

TEST_F(QuarantineTest, ItIsBounded) {
  for (int64_t seed = 0; seed <= static_cast<int64_t>(Quarantine::kMost); ++seed) quarantine_.Add(Effective(seed), 0);
  EXPECT_TRUE(quarantine_.Check(Effective(0)).ok()) << "the oldest has left";
  EXPECT_FALSE(quarantine_.Check(Effective(1)).ok());
}

}  // namespace
}  // namespace stepcast
