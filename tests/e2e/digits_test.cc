// The bundled class-conditional model through the real server.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "tests/e2e/server_fixture.h"

namespace stepcast::e2e {
namespace {

namespace v1 = ::stepcast::v1;
using testing::HasSubstr;

class DigitsTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { server_ = new Server; }
  static void TearDownTestSuite() { delete server_; }

  static v1::GenerateRequest Digit(const std::string& label) {
    v1::GenerateRequest request;
    request.set_model("digits");
    request.set_seed(3);
    request.set_steps(8);
    if (!label.empty()) request.set_class_label(label);
    return request;
  }
  static Image Paint(const v1::GenerateRequest& request) {
    const StreamResult result = Generate(*server_, request);
    EXPECT_TRUE(result.status.ok()) << result.status.error_message();
    return result.images.empty() ? Image() : Decode(result.images[0].data());
  }

  static inline Server* server_ = nullptr;
};

TEST_F(DigitsTest, TheModelListsItsClasses) {
  grpc::ClientContext context;
  v1::GetModelRequest request;
  request.set_model("digits");
  v1::GetModelResponse response;
  ASSERT_TRUE(server_->NewStub()->GetModel(&context, request, &response).ok());
  EXPECT_EQ(response.model().conditioning(), v1::CONDITIONING_KIND_CLASS_LABEL);
  ASSERT_EQ(response.model().class_labels_size(), 10);
  EXPECT_EQ(response.model().class_labels(7).label(), "7");
  EXPECT_TRUE(response.model().has_classifier());
  EXPECT_TRUE(response.model().has_null_class());
}

TEST_F(DigitsTest, ALabelAndItsIndexAreTheSamePicture) {
  v1::GenerateRequest by_index = Digit("");
  by_index.set_class_index(7);
  const Image picture = Paint(Digit("7"));
  ASSERT_EQ(picture.width, 32);
  EXPECT_EQ(MeanSquaredError(picture, Paint(by_index)), 0.0);
  EXPECT_GT(MeanSquaredError(picture, Paint(Digit("1"))), 100.0) << "another class is another picture";
}

TEST_F(DigitsTest, BothGuidancesAndNone) {
  v1::GenerateRequest guided = Digit("4");
  guided.set_classifier_scale(2.0);
  const Image picture = Paint(Digit("4"));
  EXPECT_GT(MeanSquaredError(picture, Paint(guided)), 0.0);
  const StreamResult none = Generate(*server_, Digit(""));
  ASSERT_TRUE(none.status.ok()) << none.status.error_message();
  EXPECT_EQ(none.accepted.request().guidance_scale(), 1.0) << "nothing to be guided to";
  EXPECT_FALSE(none.accepted.request().has_class_index());
  EXPECT_EQ(none.accepted.evaluations(), 8);
}

TEST_F(DigitsTest, RefusesByName) {
  v1::GenerateRequest prompt = Digit("");
  prompt.set_prompt("a seven");
  v1::GenerateRequest label;
  label.set_model("emoji");
  label.set_prompt("a fox");
  label.set_class_label("7");
  v1::GenerateRequest unknown = Digit("eleven");
  v1::GenerateRequest unjudged;
  unjudged.set_model("emoji");
  unjudged.set_prompt("a fox");
  unjudged.set_classifier_scale(1.0);
  const std::pair<v1::GenerateRequest, const char*> rows[] = {
      {prompt, "prompt"}, {label, "class_label"}, {unknown, "one of \"0\", \"1\""}, {unjudged, "classifier_scale"}};
  for (const auto& [request, text] : rows) {
    const StreamResult result = Generate(*server_, request);
    EXPECT_EQ(result.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << text;
    EXPECT_THAT(result.status.error_message(), HasSubstr(text));
  }
}

}  // namespace
}  // namespace stepcast::e2e
