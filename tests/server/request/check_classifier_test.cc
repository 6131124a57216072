#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/catalog/model_description.h"
#include "server/request/checks/request_checks.h"
#include "tests/server/fake_models.h"
#include "tests/server/wire_requests.h"

namespace stepcast {
namespace {

using ::testing::IsEmpty;

// Runs the checks of class and classifier alone.
struct Checked {
  Checked(const RegisteredModel& model, const v1::GenerateRequest& wire) {
    resolved.model = model.info;
    const RequestContext context{wire, model, limits, NarrowLimits(*model.info, limits)};
    CheckConditioning(context, resolved, violations);
    CheckClassifierGuidance(context, resolved, violations);
  }
  std::string Description() const {
    return violations.violations().size() == 1 ? violations.violations()[0].description : "";
  }

  LimitsConfig limits;
  GenerationRequest resolved;
  FieldViolations violations;
};

RegisteredModel Register(ModelInfo info) {
  return ModelRegistry::Create({Share(std::move(info))}, "", &LoadFakeTokenizer)->default_model();
}

TEST(CheckClassifierTest, GoesWithAClass) {
  const RegisteredModel model = Register(ClassModel());
  const Checked checked(model, Wire(R"(class_label: "7" classifier_scale: 2.5)"));
  EXPECT_THAT(checked.violations.violations(), IsEmpty());
  EXPECT_EQ(checked.resolved.classifier_scale, 2.5);
  EXPECT_EQ(Checked(model, Wire("class_index: 1")).resolved.classifier_scale, 0.0);
  EXPECT_TRUE(Checked(model, Wire("classifier_scale: 0")).violations.empty());
}

TEST(CheckClassifierTest, RefusesByName) {
  const RegisteredModel model = Register(ClassModel());
  EXPECT_EQ(Checked(model, Wire("classifier_scale: 1")).Description(),
            "got 1; allowed: 0 without class_index or class_label");
  EXPECT_EQ(Checked(model, Wire("class_index: 1 classifier_scale: 101")).Description(), "got 101; allowed: 0..100");
  EXPECT_TRUE(Checked(model, Wire("class_index: 1 classifier_scale: nan")).violations.Has("classifier_scale"));
  EXPECT_TRUE(Checked(model, Wire("class_index: 1 classifier_scale: -1")).violations.Has("classifier_scale"));
  ModelInfo plain = ClassModel();
  plain.has_classifier = false;
  EXPECT_EQ(Checked(Register(plain), Wire("class_index: 1 classifier_scale: 0")).Description(),
            "got 0; allowed: unset, because digits has no classifier");
}

TEST(CheckClassifierTest, AWrongClassIsToldOnce) {
  const Checked checked(Register(ClassModel()), Wire("class_index: 77 classifier_scale: 1"));
  EXPECT_EQ(checked.violations.violations().size(), 1u);
}

}  // namespace
}  // namespace stepcast
