#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/request/checks/request_checks.h"
#include "server/request/request_validator.h"
#include "tests/server/fake_models.h"
#include "tests/server/wire_requests.h"

namespace stepcast {
namespace {

absl::StatusOr<SharedRequest> Validate(const std::string& text, const std::string& tenant = "acme") {
  const ModelRegistry models = ThreeModels();
  FixedSeed seeds(1);
  return ValidateRequest(Wire(text), models, LimitsConfig(), seeds, {.tenant = tenant});
}

TEST(CheckServiceTest, PrioritiesAreResolvedAndTold) {
  const struct {
    std::string request;
    Priority priority;
    v1::Priority told;
  } rows[] = {
      {R"(prompt: "p")", Priority::kStandard, v1::PRIORITY_STANDARD},
      {R"(prompt: "p" priority: PRIORITY_UNSPECIFIED)", Priority::kStandard, v1::PRIORITY_STANDARD},
      {R"(prompt: "p" priority: PRIORITY_INTERACTIVE)", Priority::kInteractive, v1::PRIORITY_INTERACTIVE},
      {R"(prompt: "p" priority: PRIORITY_STANDARD)", Priority::kStandard, v1::PRIORITY_STANDARD},
      {R"(prompt: "p" priority: PRIORITY_BATCH)", Priority::kBatch, v1::PRIORITY_BATCH},
  };
  for (const auto& row : rows) {
    const auto request = Validate(row.request);
    ASSERT_TRUE(request.ok()) << row.request << request.status();
    EXPECT_EQ((*request)->priority, row.priority) << row.request;
    EXPECT_EQ(ToEffectiveRequest(**request).priority(), row.told) << row.request;
  }
}

TEST(CheckServiceTest, UnknownPrioritiesAreRefused) {
  for (const std::string number : {"4", "-1", "2147483647"}) {
    EXPECT_THAT(ViolationsOf(Validate("prompt: \"p\" priority: " + number).status()),
                testing::ElementsAre("priority: got " + number +
                                     "; allowed: PRIORITY_INTERACTIVE, PRIORITY_STANDARD, PRIORITY_BATCH"));
  }
}

TEST(CheckServiceTest, TheTenantIsTheCallers) {
  EXPECT_EQ((*Validate(R"(prompt: "p")"))->tenant, "acme");
  EXPECT_EQ((*Validate(R"(prompt: "p")", "default"))->tenant, "default");
}

}  // namespace
}  // namespace stepcast
