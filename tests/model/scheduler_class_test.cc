#include "model/files/scheduler_class.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stepcast::model {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

absl::StatusOr<SchedulerVerdict> Judge(const std::string& index_class, const std::string& file_class) {
  const std::string file = file_class.empty() ? "{}" : R"({"_class_name": ")" + file_class + R"("})";
  auto json = JsonConfig::Parse(file, "scheduler_config.json");
  EXPECT_TRUE(json.ok()) << json.status();
  return JudgeScheduler(*json, index_class);
}

std::string Refusal(const std::string& index_class, const std::string& file_class) {
  const auto verdict = Judge(index_class, file_class);
  EXPECT_EQ(verdict.status().code(), absl::StatusCode::kInvalidArgument) << index_class << " " << file_class;
  return std::string(verdict.status().message());
}

TEST(JudgeScheduler, ClassesAreThemselvesOrWhatTheyEqual) {
  const std::pair<const char*, const char*> kSame[] = {
      {"DDIMScheduler", "DDIMScheduler"},         {"DDIMParallelScheduler", "DDIMScheduler"},
      {"DDPMParallelScheduler", "DDPMScheduler"}, {"FlaxPNDMScheduler", "PNDMScheduler"},
      {"TCDScheduler", "TCDScheduler"},           {"EDMEulerScheduler", "EDMEulerScheduler"},
  };
  for (const auto& [name, read_as] : kSame) {
    for (const std::string& file_class : {std::string(), std::string(name), std::string(read_as)}) {
      const auto verdict = Judge(name, file_class);
      ASSERT_TRUE(verdict.ok()) << verdict.status();
      EXPECT_EQ(verdict->scheduler_class, read_as);
      EXPECT_THAT(verdict->notes, IsEmpty()) << name << " " << file_class;
    }
  }
}

TEST(JudgeScheduler, AStandInIsTold) {
  for (const char* name : {"DPMSolverSDEScheduler", "SASolverScheduler"}) {
    const auto verdict = Judge(name, name);
    ASSERT_TRUE(verdict.ok()) << verdict.status();
    EXPECT_EQ(verdict->scheduler_class, name) << "the file has the keys of its own class";
    EXPECT_THAT(verdict->notes, ElementsAre(AllOf(HasSubstr(name), HasSubstr("DPMPP_2M_SDE stands in"))));
    EXPECT_EQ(SamplerOfClass(name), Sampler::kDpmpp2mSde);
  }
}

TEST(JudgeScheduler, OtherKindsAreRefusedByName) {
  const std::pair<const char*, const char*> kOther[] = {
      {"FlowMatchEulerDiscreteScheduler", "flow matching"},
      {"FlowMatchHeunDiscreteScheduler", "flow matching"},
      {"FlowMatchLCMScheduler", "flow matching"},
      {"LTXEulerAncestralRFScheduler", "rectified flow"},
      {"CMStochasticIterativeScheduler", "consistency models"},
      {"SCMScheduler", "consistency models"},
      {"KarrasVeScheduler", "Karras"},
      {"ScoreSdeVpScheduler", "variance-preserving"},
      {"DDIMInverseScheduler", "from a picture to noise"},
      {"DPMSolverMultistepInverseScheduler", "from a picture to noise"},
      {"RePaintScheduler", "given picture"},
      {"UnCLIPScheduler", "unCLIP"},
      {"CogVideoXDDIMScheduler", "video"},
      {"CogVideoXDPMScheduler", "video"},
      {"VQDiffusionScheduler", "discrete tokens"},
      {"AmusedScheduler", "discrete tokens"},
      {"DDPMWuerstchenScheduler", "Wuerstchen"},
      {"CosineDPMSolverMultistepScheduler", "exponentially spaced"},
      {"IPNDMScheduler", "no scheduler class that is known"},
      {"ddimscheduler", "no scheduler class that is known"},
      {"DDIMSchedulerr", "no scheduler class that is known"},
  };
  for (const auto& [name, why] : kOther) {
    EXPECT_THAT(Refusal(name, ""), AllOf(HasSubstr("model_index.json: the class of component 'scheduler' is "),
                                         HasSubstr(name), HasSubstr(why), HasSubstr("DDIMScheduler")));
    EXPECT_THAT(Refusal("DDIMScheduler", name),
                AllOf(HasSubstr("scheduler_config.json: _class_name is "), HasSubstr(name), HasSubstr(why)))
        << "the index decides between samplers, not between kinds of models";
    EXPECT_EQ(SamplerOfClass(name), std::nullopt);
  }
}

TEST(JudgeScheduler, NamesThatContradictEachOtherAreTold) {
  const auto verdict = Judge("EulerDiscreteScheduler", "PNDMScheduler");
  ASSERT_TRUE(verdict.ok()) << verdict.status();
  EXPECT_EQ(verdict->scheduler_class, "EulerDiscreteScheduler");
  EXPECT_THAT(verdict->notes, ElementsAre("scheduler_config.json: _class_name is PNDMScheduler, but model_index.json "
                                          "says EulerDiscreteScheduler, which is what is run"));
}

TEST(JudgeScheduler, LongAndOddNamesAreShownShort) {
  EXPECT_THAT(Refusal("DDIMScheduler", std::string(5000, 'x')), Not(HasSubstr(std::string(100, 'x'))));
  auto json = JsonConfig::Parse(R"({"_class_name": 7})", "scheduler_config.json");
  EXPECT_THAT(std::string(JudgeScheduler(*json, "DDIMScheduler").status().message()),
              HasSubstr("_class_name: a string"));
}

TEST(ConvertScheduler, PipelinesNamedAfterASchedulerRunNoOther) {
  SchedulerVerdict verdict{.scheduler_class = "DDPMScheduler", .notes = {}};
  ConvertScheduler("DDPMPipeline", "model_index.json", verdict);
  EXPECT_EQ(verdict.scheduler_class, "DDPMScheduler");
  ConvertScheduler("DDIMPipeline", "model_index.json", verdict);
  EXPECT_EQ(verdict.scheduler_class, "DDIMScheduler");
  EXPECT_THAT(verdict.notes, testing::ElementsAre(testing::HasSubstr("a DDIMPipeline runs its DDPMScheduler as")));
  ConvertScheduler("DDIMPipeline", "model_index.json", verdict);
  EXPECT_EQ(verdict.notes.size(), 1u) << "it is one already";
  ConvertScheduler("PNDMPipeline", "model_index.json", verdict);
  EXPECT_EQ(verdict.scheduler_class, "PNDMScheduler");
}

TEST(SamplerOfClass, KnowsDiffusersClasses) {
  EXPECT_EQ(SamplerOfClass("DDIMScheduler"), Sampler::kDdim);
  EXPECT_EQ(SamplerOfClass("EulerAncestralDiscreteScheduler"), Sampler::kEulerAncestral);
  EXPECT_EQ(SamplerOfClass("DPMSolverMultistepScheduler"), Sampler::kDpmpp2m);
  EXPECT_EQ(SamplerOfClass("FlowMatchEulerDiscreteScheduler"), std::nullopt);
}

TEST(DefaultSampler, TellsTheSdeFromTheOde) {
  NoiseScheduleConfig config;
  config.scheduler_class = "DPMSolverMultistepScheduler";
  EXPECT_EQ(DefaultSampler(config), Sampler::kDpmpp2m);
  config.algorithm_type = SolverAlgorithm::kSdeDpmSolverPlusPlus;
  EXPECT_EQ(DefaultSampler(config), Sampler::kDpmpp2mSde);
  config.scheduler_class = "DPMSolverSinglestepScheduler";
  EXPECT_EQ(DefaultSampler(config), Sampler::kDpmppSinglestep);
}

}  // namespace
}  // namespace stepcast::model
