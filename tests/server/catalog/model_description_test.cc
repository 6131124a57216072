#include "server/catalog/model_description.h"

#include "google/protobuf/text_format.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "sampling/samplers/registry.h"
#include "server/wire/proto_enums.h"
#include "tests/server/fake_models.h"

namespace stepcast {
namespace {

using ::google::protobuf::TextFormat;
using ::google::protobuf::util::MessageDifferencer;

TEST(DescribeModelTest, TellsWhatTheValidatorEnforces) {
  v1::Model expected;
  ASSERT_TRUE(TextFormat::ParseFromString(R"(
    id: "digits" display_name: "Texty" license: "Apache-2.0"
    sha256: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    conditioning: CONDITIONING_KIND_CLASS_LABEL
    samplers { sampler: SAMPLER_DDPM sigma_schedules: SIGMA_SCHEDULE_DEFAULT draws_noise: true evaluations: 20 }
    samplers { sampler: SAMPLER_DDIM sigma_schedules: SIGMA_SCHEDULE_DEFAULT takes_eta: true evaluations: 20 }
    defaults {
      sampler: SAMPLER_DDIM sigma_schedule: SIGMA_SCHEDULE_DEFAULT timestep_spacing: TIMESTEP_SPACING_LEADING
      steps: 20 guidance_scale: 5 width: 64 height: 64
    }
    limits { size_multiple: 8 min_side: 32 max_side: 128 max_area: 8192 max_steps: 1000 }
    parameter_count: 123 dtype: "fp32" device: "cpu" has_classifier: true has_null_class: true
    state: MODEL_STATE_READY loading: MODEL_LOADING_EAGER
    decoding { preview: PREVIEW_DECODER_LINEAR preview_scale: 1 } image_input: IMAGE_INPUT_NONE)",
                                          &expected));
  // What a sampler takes is told by sampling/.
  for (v1::SamplerSupport& support : *expected.mutable_samplers()) {
    const sampling::AcceptedOptions& accepts = sampling::FindSampler(*FromProto(support.sampler()))->accepts;
    support.set_takes_timesteps(accepts.timesteps);
    support.set_takes_sigmas(accepts.sigmas);
  }
  for (int i = 0; i < 10; ++i) {
    v1::ClassLabel& label = *expected.add_class_labels();
    label.set_index(i);
    label.set_label(i == 9 ? "nine" : std::to_string(i));
  }
  const v1::Model described = DescribeModel(*ThreeModels().Find("digits"), false, LimitsConfig());
  EXPECT_TRUE(MessageDifferencer::Equals(described, expected)) << described.DebugString();
}

TEST(DescribeModelTest, TextModelsTellTheirTextLimits) {
  const v1::Model described = DescribeModel(ThreeModels().default_model(), true, LimitsConfig());
  EXPECT_TRUE(described.is_default());
  EXPECT_EQ(described.conditioning(), v1::CONDITIONING_KIND_TEXT);
  EXPECT_EQ(described.limits().max_clip_skip(), 2);
  EXPECT_EQ(described.limits().max_prompt_tokens(), 8);
  EXPECT_EQ(described.samplers_size(), 5);
}

TEST(DescribeModelTest, UnconditionalModelsAreNotGuided) {
  const v1::Model described = DescribeModel(*ThreeModels().Find("noise"), false, LimitsConfig());
  EXPECT_EQ(described.defaults().guidance_scale(), 1.0);
}

TEST(DescribeModelTest, NeverTellsPaths) {
  const v1::Model described = DescribeModel(ThreeModels().default_model(), true, LimitsConfig());
  EXPECT_EQ(described.DebugString().find("fake:8"), std::string::npos);
}

TEST(NarrowLimitsTest, TheNarrowerWins) {
  const ModelInfo model = TextModel();
  const ModelLimits own = NarrowLimits(model, LimitsConfig());
  EXPECT_EQ(own.max_side, 128);
  EXPECT_EQ(own.max_area, 8192);
  EXPECT_EQ(own.max_steps, 50);
  const ModelLimits narrow = NarrowLimits(model, {.max_steps = 10, .max_side = 64, .max_area = 4096});
  EXPECT_EQ(narrow.max_side, 64);
  EXPECT_EQ(narrow.max_area, 4096);
  EXPECT_EQ(narrow.max_steps, 10);
  EXPECT_EQ(narrow.min_side, 32);
  EXPECT_EQ(narrow.size_multiple, 8);
}

// No limit is left out: every field of the message is set.
TEST(DescribeLimitsTest, TellsEveryLimit) {
  LimitsConfig limits;
  limits.max_megapixel_steps = 3.5;
  limits.max_loras = 8;
  limits.resume = {.max_token_bytes = 3 << 20, .min_checkpoint_every = 8};
  const v1::ServerLimits described = DescribeLimits(limits, 64);
  const auto& fields = *v1::ServerLimits::descriptor();
  for (int i = 0; i < fields.field_count(); ++i) {
    EXPECT_TRUE(described.GetReflection()->HasField(described, fields.field(i))) << fields.field(i)->name();
  }
  EXPECT_EQ(described.max_queued_jobs(), 64);
  EXPECT_EQ(described.max_prompt_bytes(), 8192);
  EXPECT_EQ(described.max_prompt_chunks(), 4);
  EXPECT_EQ(described.image_chunk_bytes(), 3 << 20);
}

TEST(DescribeModelTest, TellsTheControlNetsThatGoWithIt) {
  ModelInfo info = TextModel();
  info.control_nets = {{.id = "canny",
                        .class_name = "ControlNetUnionModel",
                        .family = "Stable Diffusion XL",
                        .union_types = 6,
                        .sha256 = std::string(64, 'b'),
                        .dtype = "bf16",
                        .parameters = 10,
                        .bytes = 20}};
  RegisteredModel model;
  model.info = std::make_shared<const ModelInfo>(std::move(info));
  const v1::Model described = DescribeModel(model, false, LimitsConfig(), {});
  v1::ControlNet expected;
  ASSERT_TRUE(TextFormat::ParseFromString(R"(
    id: "canny" class_name: "ControlNetUnionModel" family: "Stable Diffusion XL" control_types: 6
    sha256: "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
    dtype: "bf16" parameter_count: 10 memory_bytes: 20)",
                                          &expected));
  ASSERT_EQ(described.control_nets_size(), 1);
  EXPECT_TRUE(MessageDifferencer::Equals(described.control_nets(0), expected)) << described.DebugString();
}

}  // namespace
}  // namespace stepcast
