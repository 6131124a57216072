#include "server/process/model_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_split.h"
#include "tests/server/fake_models.h"

namespace stepcast {
namespace {

using testing::HasSubstr;

std::vector<std::string> LinesOf(ModelInfo info) {
  RegisteredModel model;
  model.info = std::make_shared<const ModelInfo>(std::move(info));
  return absl::StrSplit(ModelReport(model, LimitsConfig(), {}), '\n');
}

// The lines that begin with two spaces, after the one that is `title`.
std::vector<std::string> Under(const std::string& title, const std::vector<std::string>& lines) {
  std::vector<std::string> rows;
  bool under = false;
  for (const std::string& line : lines) {
    if (under && line.rfind("  ", 0) == 0) rows.push_back(line);
    if (line.rfind("  ", 0) != 0) under = line == title;
  }
  return rows;
}

TEST(ModelReportTest, ColumnsFitTheirLongestCell) {
  ModelInfo info = TextModel();
  info.decisions = {{"family", "Stable Diffusion XL", "names"},
                    {"zero_terminal_snr", "false", "nothing"},
                    {"a_decision_whose_name_is_longer_still", "v_prediction", "the tensor v_pred"}};
  info.components = {{"unet", "UNet2DConditionModel", {"/m/a.safetensors"}, {"F16"}, 2'567'463'684},
                     {"text_encoder_of_another_name", "CLIPTextModelWithProjectionAndMore", {"/m/b"}, {"F32"}, 1}};
  const std::vector<std::string> lines = LinesOf(std::move(info));
  const std::vector<std::string> decisions = Under("decisions", lines);
  ASSERT_EQ(decisions.size(), 3u);
  for (const std::string& line : decisions) EXPECT_EQ(line.find('('), decisions.front().find('(')) << line;
  EXPECT_THAT(decisions[1], HasSubstr("zero_terminal_snr                      false"));
  const std::vector<std::string> components = Under("components", lines);
  ASSERT_EQ(components.size(), 2u);
  EXPECT_EQ(components[0].find(" M  "), components[1].find(" M  ")) << components[0] << "\n" << components[1];
}

TEST(ModelReportTest, LongListsAreWrapped) {
  RegisteredModel model;
  model.info = std::make_shared<const ModelInfo>(TextModel());
  for (int i = 0; i < 12; ++i) model.samplers.push_back({.sampler = Sampler::kEulerAncestral});
  const std::vector<std::string> lines = absl::StrSplit(ModelReport(model, LimitsConfig(), {}), '\n');
  const auto first =
      std::find_if(lines.begin(), lines.end(), [](const std::string& line) { return line.rfind("samplers", 0) == 0; });
  ASSERT_NE(first, lines.end());
  EXPECT_THAT(*first, testing::EndsWith("EULER_ANCESTRAL,"));
  EXPECT_LE(first->size(), 100u);
  EXPECT_EQ(std::next(first)->find("EULER_ANCESTRAL"), first->find("EULER_ANCESTRAL")) << "under each other";
}

TEST(ModelReportTest, TellsWhatPicturesArePaintedFrom) {
  EXPECT_THAT(LinesOf(TextModel()), testing::Contains("paints from    a prompt"));
  ModelInfo two = TextModel();
  two.tokenizer_dirs = {"fake:8", "fake:8"};
  EXPECT_THAT(LinesOf(two), testing::Contains("paints from    a prompt, read by two encoders"));
  ModelInfo classes = TextModel();
  classes.conditioning = ConditioningKind::kClassLabel;
  classes.class_labels = {{0, "zero"}, {1, "one"}};
  EXPECT_THAT(LinesOf(classes), testing::Contains("paints from    one of 2 classes"));
  ModelInfo none = TextModel();
  none.conditioning = ConditioningKind::kNone;
  EXPECT_THAT(LinesOf(none), testing::Contains("paints from    noise alone"));
}

}  // namespace
}  // namespace stepcast
