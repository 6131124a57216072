#include "model/files/load_report.h"

#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/model/safetensors_writer.h"

namespace stepcast::model {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

TEST(DescribeWeights, TellsTypesAndFilesOfWhatIsUsed) {
  const std::string folder = FreshFolder("describe_weights");
  WriteFile(folder + "/model.safetensors", SafetensorsWriter()
                                               .Add("a", {1}, {1})
                                               .Add("b", "F16", {1}, std::string(2, '\0'))
                                               .Add("unneeded", "I8", {1}, std::string(1, '\0'))
                                               .Build());
  const auto set = WeightSet::Open(folder, "model", {""}, nullptr);
  ASSERT_TRUE(set.ok()) << set.status();
  WeightMap one(*set, c10::DeviceType::CPU, c10::ScalarType::Half);
  one.Get("b", {1});
  EXPECT_EQ(DescribeWeights("unet", *set, one),
            absl::StrCat("unet: 1 tensors, F16, from ", folder, "/model.safetensors, run in fp16"));
  one.Get("a", {1});
  EXPECT_THAT(DescribeWeights("unet", *set, one), HasSubstr("2 tensors, F16 (1), F32 (1), from "));
}

TEST(DescribeLeftOut, ComponentsFoldersAndWeightFilesThatNobodyReads) {
  const std::string folder = FreshFolder("left_out");
  for (const char* file : {"unet/config.json", "safety_checker/config.json", "notes/readme.md", "extra.ckpt",
                           "README.md", ".cache/x", "used.safetensors"}) {
    std::filesystem::create_directories(std::filesystem::path(folder + "/" + file).parent_path());
    WriteFile(folder + "/" + file, "{}");
  }
  ModelIndex index;
  index.folder = folder;
  index.components = {
      {"unet", {"diffusers", "UNet2DConditionModel"}}, {"safety_checker", {"mine", "Checker"}}, {"image_size", {}}};
  const std::vector<std::string> used = {folder + "/unet/config.json", folder + "/used.safetensors"};
  EXPECT_EQ(DescribeLeftOut(index, used), "not run: image_size, safety_checker (Checker); not read: extra.ckpt, notes");
  index.components.erase("safety_checker");
  index.components.erase("image_size");
  index.file = folder + "/used.safetensors";
  EXPECT_EQ(DescribeLeftOut(index, used), "") << "what lies beside a model in one file is nobody's";
}

TEST(Contradictions, TellWhatCounts) {
  NoiseScheduleConfig schedule;
  EXPECT_THAT(Contradictions(schedule), IsEmpty());
  schedule.use_karras_sigmas = true;
  schedule.rescale_betas_zero_snr = true;
  schedule.prediction_type = PredictionType::kVPrediction;
  EXPECT_THAT(Contradictions(schedule), IsEmpty());
  schedule.use_exponential_sigmas = true;
  schedule.prediction_type = PredictionType::kEpsilon;
  schedule.clip_sample = true;
  schedule.thresholding = true;
  schedule.trained_betas = {0.1};
  schedule.beta_end = 0.5;
  EXPECT_THAT(Contradictions(schedule),
              ElementsAre(HasSubstr("use_karras_sigmas and use_exponential_sigmas are all true"),
                          HasSubstr("prediction_type is epsilon"), HasSubstr("trained_betas count"),
                          HasSubstr("thresholding counts")));
}

TEST(Contradictions, OfNetworkAndSchedule) {
  NoiseScheduleConfig schedule;
  schedule.prediction_type = PredictionType::kVPrediction;
  auto json = JsonConfig::Parse(R"({"prediction_type": "epsilon"})", "unet/config.json");
  EXPECT_EQ(PredictionContradiction(*json, schedule),
            "unet/config.json: prediction_type is epsilon, but scheduler_config.json says v_prediction, which is what "
            "counts");
  EXPECT_EQ(PredictionContradiction(*json, NoiseScheduleConfig()), "");
  auto silent = JsonConfig::Parse("{}", "unet/config.json");
  EXPECT_EQ(PredictionContradiction(*silent, schedule), "");

  EXPECT_EQ(VarianceContradiction(schedule, false), "");
  EXPECT_THAT(VarianceContradiction(schedule, true), HasSubstr("which nobody reads"));
  schedule.variance_type = VarianceType::kLearnedRange;
  EXPECT_EQ(VarianceContradiction(schedule, true), "");
  EXPECT_THAT(VarianceContradiction(schedule, false), AllOf(HasSubstr("DDPM is left out"), Not(HasSubstr("fixed"))));
}

}  // namespace
}  // namespace stepcast::model
