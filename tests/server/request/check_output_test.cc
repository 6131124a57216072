#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/catalog/model_description.h"
#include "server/request/checks/request_checks.h"
#include "tests/server/fake_models.h"
#include "tests/server/wire_requests.h"

namespace stepcast {
namespace {

using ::testing::SizeIs;

// Runs the checks of size and output alone, for a request of `steps` steps.
struct Checked {
  Checked(const v1::GenerateRequest& wire, int steps, LimitsConfig server_limits = {}) : limits(server_limits) {
    const ModelRegistry models = ThreeModels();
    resolved.model = models.default_model().info;
    resolved.steps = steps;
    const RequestContext context{wire, models.default_model(), limits, NarrowLimits(*resolved.model, limits)};
    CheckSize(context, resolved, violations);
    CheckOutput(context, resolved, violations);
  }

  LimitsConfig limits;
  GenerationRequest resolved;
  FieldViolations violations;
};

TEST(PreviewCountTest, CountsEveryNthStepButTheLast) {
  const struct {
    int steps;
    int every;
    int count;
  } rows[] = {{1, 1, 0}, {2, 1, 1}, {20, 1, 19}, {20, 5, 3}, {21, 5, 4}, {20, 20, 0}, {20, 19, 1}, {20, 1000, 0}};
  for (const auto& row : rows)
    EXPECT_EQ(PreviewCount(row.steps, row.every), row.count) << row.steps << "/" << row.every;
}

TEST(PreviewCountTest, SmallestIntervalFitsAndTheNextSmallerDoesNot) {
  for (int steps = 1; steps <= 1000; ++steps) {
    for (const int max_previews : {0, 1, 7, 25}) {
      const int n = SmallestPreviewInterval(steps, max_previews);
      EXPECT_LE(PreviewCount(steps, n), max_previews) << steps;
      if (n > 1) {
        EXPECT_GT(PreviewCount(steps, n - 1), max_previews) << steps;
      }
    }
  }
}

TEST(CheckOutputTest, PreviewSideIsResolved) {
  const struct {
    std::string request;
    int max_side;
  } rows[] = {
      {"preview { every_n_steps: 5 }", 16},  // the latents' side: the picture's 64 over 4
      {"width: 128 preview { every_n_steps: 5 }", 32},
      {"preview { every_n_steps: 5 max_side: 1 }", 1},
      {"preview { every_n_steps: 5 max_side: 64 }", 64},
      {"preview { every_n_steps: 5 max_side: 65 }", 64},
  };
  for (const auto& row : rows) {
    const Checked checked(Wire(row.request), 20);
    EXPECT_TRUE(checked.violations.empty()) << row.request;
    EXPECT_EQ(checked.resolved.preview.max_side, row.max_side) << row.request;
  }
}

TEST(CheckOutputTest, ServersMayShowNoPreviews) {
  const LimitsConfig none{.max_previews_per_image = 0};
  const Checked refused(Wire("preview { every_n_steps: 5 }"), 20, none);
  ASSERT_THAT(refused.violations.violations(), SizeIs(1));
  EXPECT_EQ(refused.violations.violations()[0].description,
            "got 5, which makes 3 previews of a picture; allowed: at least 20 with 20 steps, for at most 0, see "
            "ServerLimits.max_previews_per_image of GetServerInfo");
  EXPECT_TRUE(Checked(Wire(""), 20, none).violations.empty());
}

TEST(CheckOutputTest, DefaultsOfOutput) {
  const Checked checked(Wire("output { format: IMAGE_FORMAT_JPEG }"), 20);
  EXPECT_EQ(checked.resolved.output.quality, 90);
  EXPECT_EQ(checked.resolved.preview.every_n_steps, 0);
}

}  // namespace
}  // namespace stepcast
