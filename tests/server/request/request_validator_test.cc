#include "server/request/request_validator.h"

#include <set>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/request/errors/field_violations.h"
#include "tests/server/fake_models.h"
#include "tests/server/wire_requests.h"

namespace stepcast {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class RequestValidatorTest : public ::testing::Test {
 protected:
  absl::StatusOr<SharedRequest> Validate(const v1::GenerateRequest& request) {
    return ValidateRequest(request, models_, limits_, seeds_);
  }
  absl::StatusOr<SharedRequest> Validate(const std::string& text) { return Validate(Wire(text)); }

  ModelRegistry models_ = ThreeModels();
  LimitsConfig limits_;
  FixedSeed seeds_{4'000'000'000};
};

TEST_F(RequestValidatorTest, OnlyThePromptIsNeeded) {
  const auto request = Validate(R"(prompt: "a red apple")");
  ASSERT_TRUE(request.ok()) << request.status();
  const GenerationRequest& r = **request;
  EXPECT_EQ(r.model->id, "texty");
  EXPECT_EQ(r.prompt, "a red apple");
  EXPECT_THAT(r.prompt_parts.front().tokens.ids, ElementsAre(ElementsAre(1000, 1, 3, 5, 1001, 1001, 1001, 1001)));
  EXPECT_THAT(r.negative_tokens.ids, ElementsAre(ElementsAre(1000, 1001, 1001, 1001, 1001, 1001, 1001, 1001)));
  EXPECT_FALSE(r.negative_prompt_given);
  EXPECT_EQ(r.clip_skip, 0);
  EXPECT_EQ(r.class_index, std::nullopt);
  EXPECT_EQ(r.width, 64);
  EXPECT_EQ(r.height, 64);
  EXPECT_EQ(r.steps, 20);
  EXPECT_EQ(r.sampler, Sampler::kDdim);
  EXPECT_EQ(r.sigma_schedule, SigmaSchedule::kDefault);
  EXPECT_EQ(r.timestep_spacing, TimestepSpacing::kLeading);
  EXPECT_EQ(r.guidance_scale, 5.0);
  EXPECT_EQ(r.guidance_rescale, 0.0);
  EXPECT_EQ(r.guidance_start, 0.0);
  EXPECT_EQ(r.guidance_end, 1.0);
  EXPECT_EQ(r.eta, 0.0);
  EXPECT_EQ(r.seed, 4'000'000'000);
  EXPECT_EQ(r.image_count, 1);
  EXPECT_EQ(r.output.format, ImageFormat::kPng);
  EXPECT_FALSE(r.output.embed_parameters);
  EXPECT_EQ(r.preview.every_n_steps, 0);
  EXPECT_THAT(r.warnings, IsEmpty());
}

TEST_F(RequestValidatorTest, EveryFieldArrives) {
  const auto request = Validate(R"(
    model: "texty" prompt: "p" negative_prompt: "" seed: 0 image_count: 4 width: 128 height: 32 steps: 50
    guidance_scale: 30 sampler: SAMPLER_DPMPP_2M clip_skip: 2
    guidance_rescale: 0.5 guidance_start: 0.25 guidance_end: 0.75
    sigma_schedule: SIGMA_SCHEDULE_KARRAS timestep_spacing: TIMESTEP_SPACING_TRAILING
    output { format: IMAGE_FORMAT_JPEG quality: 100 }
    preview { every_n_steps: 7 max_side: 512 format: IMAGE_FORMAT_WEBP })");
  ASSERT_TRUE(request.ok()) << request.status();
  const GenerationRequest& r = **request;
  EXPECT_TRUE(r.negative_prompt_given);
  EXPECT_EQ(r.seed, 0);
  EXPECT_EQ(r.image_count, 4);
  EXPECT_EQ(r.width, 128);
  EXPECT_EQ(r.height, 32);
  EXPECT_EQ(r.steps, 50);
  EXPECT_EQ(r.guidance_scale, 30.0);
  EXPECT_EQ(r.sampler, Sampler::kDpmpp2m);
  EXPECT_EQ(r.clip_skip, 2);
  EXPECT_EQ(r.guidance_rescale, 0.5);
  EXPECT_EQ(r.guidance_start, 0.25);
  EXPECT_EQ(r.guidance_end, 0.75);
  EXPECT_EQ(r.sigma_schedule, SigmaSchedule::kKarras);
  EXPECT_EQ(r.timestep_spacing, TimestepSpacing::kTrailing);
  EXPECT_EQ(r.output.format, ImageFormat::kJpeg);
  EXPECT_EQ(r.output.quality, 100);
  EXPECT_EQ(r.preview.every_n_steps, 7);
  EXPECT_EQ(r.preview.max_side, 128) << "never above the picture";
  EXPECT_EQ(r.preview.format, ImageFormat::kWebp);
  EXPECT_THAT(r.warnings, IsEmpty());
}

// "" and blanks are a text like any other; only no text at all is refused.
TEST_F(RequestValidatorTest, AnEmptyPromptIsATextToo) {
  const auto empty = Validate(R"(prompt: "")");
  const auto blank = Validate(R"(prompt: "   ")");
  ASSERT_TRUE(empty.ok()) << empty.status();
  ASSERT_TRUE(blank.ok()) << blank.status();
  EXPECT_EQ((*empty)->prompt_parts, (*blank)->prompt_parts);
  EXPECT_EQ((*empty)->prompt_parts.front().tokens, (*empty)->negative_tokens);
  EXPECT_TRUE(ToEffectiveRequest(**empty).has_prompt()) << "sent again it is not refused";
  EXPECT_FALSE(Validate("").ok());
  EXPECT_FALSE(Validate(R"(model: "digits" prompt: "")").ok()) << "no text model";
}

// One mistake per row, said in full.
TEST_F(RequestValidatorTest, EachMistakeIsNamed) {
  const struct {
    std::string request;
    std::string violation;
  } rows[] = {
      {R"(model: "Bad Id" prompt: "p")",
       R"(model: got "Bad Id"; allowed: [a-z0-9][a-z0-9._-]{0,62}, one of texty, digits, noise)"},
      {R"(steps: 3)", "prompt: got nothing; allowed: a text, which may be empty: texty is a text model"},
      {R"(prompt: "a\000b")", "prompt: got a NUL at offset 1; allowed: valid UTF-8 without NUL, at most 8192 bytes"},
      {R"(prompt: "p" negative_prompt: "\000")",
       "negative_prompt: got a NUL at offset 0; allowed: valid UTF-8 without NUL, at most 8192 bytes"},
      {R"(prompt: "p" clip_skip: 3)", "clip_skip: got 3; allowed: 0..2, see ModelLimits.max_clip_skip of GetModel"},
      {R"(prompt: "p" clip_skip: -1)", "clip_skip: got -1; allowed: 0..2, see ModelLimits.max_clip_skip of GetModel"},
      {R"(prompt: "p" class_index: 0)", "class_index: got 0; allowed: unset, because texty is a text model"},
      {R"(prompt: "p" class_label: "7")", R"(class_label: got "7"; allowed: unset, because texty is a text model)"},
      {R"(model: "digits" prompt: "p")",
       "prompt: got a text; allowed: unset, because digits is a class-conditional model"},
      {R"(model: "digits" negative_prompt: "")",
       "negative_prompt: got a text; allowed: unset, because digits is a class-conditional model"},
      {R"(model: "digits" clip_skip: 0)",
       "clip_skip: got 0; allowed: unset, because digits is a class-conditional model"},
      {R"(model: "digits" class_index: 10)",
       "class_index: got 10; allowed: the index of one of Model.class_labels of GetModel"},
      {R"(model: "digits" class_label: "9")",
       R"(class_label: got "9"; allowed: one of "0", "1", "2", "3", "4", "5", "6", "7", "8", "nine")"},
      {R"(model: "noise" class_index: 0)",
       "class_index: got 0; allowed: unset, because noise is an unconditional model"},
      {R"(model: "noise" prompt: "p")", "prompt: got a text; allowed: unset, because noise is an unconditional model"},
      {R"(model: "noise" guidance_scale: 1)",
       "guidance_scale: got 1; allowed: unset, because noise is an unconditional model"},
      {R"(model: "noise" guidance_end: 0.5)",
       "guidance_end: got 0.5; allowed: unset, because noise is an unconditional model"},
      {R"(prompt: "p" width: 0)", "width: got 0; allowed: a multiple of 8 in 32..128, see ModelLimits of GetModel"},
      {R"(prompt: "p" width: -64)", "width: got -64; allowed: a multiple of 8 in 32..128, see ModelLimits of GetModel"},
      {R"(prompt: "p" width: 24)", "width: got 24; allowed: a multiple of 8 in 32..128, see ModelLimits of GetModel"},
      {R"(prompt: "p" height: 136)",
       "height: got 136; allowed: a multiple of 8 in 32..128, see ModelLimits of GetModel"},
      {R"(prompt: "p" height: 65)", "height: got 65; allowed: a multiple of 8 in 32..128, see ModelLimits of GetModel"},
      {R"(prompt: "p" height: 2147483647)",
       "height: got 2147483647; allowed: a multiple of 8 in 32..128, see ModelLimits of GetModel"},
      {R"(prompt: "p" width: 128 height: 72)",
       "width: got 128 x height 72 = 9216 pixels; allowed: width x height at most 8192, see ModelLimits.max_area of "
       "GetModel"},
      {R"(prompt: "p" steps: 0)", "steps: got 0; allowed: 1..50, see ModelLimits.max_steps of GetModel"},
      {R"(prompt: "p" steps: 51)", "steps: got 51; allowed: 1..50, see ModelLimits.max_steps of GetModel"},
      {R"(prompt: "p" steps: -2147483648)",
       "steps: got -2147483648; allowed: 1..50, see ModelLimits.max_steps of GetModel"},
      {R"(model: "digits" steps: 1001)", "steps: got 1001; allowed: 1..1000, see ModelLimits.max_steps of GetModel"},
      {R"(model: "digits" sampler: SAMPLER_EULER)",
       "sampler: got SAMPLER_EULER; allowed: SAMPLER_DDPM, SAMPLER_DDIM, see Model.samplers of GetModel"},
      {R"(prompt: "p" sampler: SAMPLER_DDIM sigma_schedule: SIGMA_SCHEDULE_KARRAS)",
       "sigma_schedule: got SIGMA_SCHEDULE_KARRAS; allowed: SIGMA_SCHEDULE_DEFAULT with SAMPLER_DDIM, see "
       "Model.samplers "
       "of GetModel"},
      {R"(prompt: "p" sampler: SAMPLER_EULER eta: 0)",
       "eta: got 0; allowed: unset, because SAMPLER_EULER takes none; see SamplerSupport.takes_eta of GetModel"},
      {R"(prompt: "p" eta: 1.5)", "eta: got 1.5; allowed: 0..1"},
      {R"(prompt: "p" eta: nan)", "eta: got nan; allowed: 0..1"},
      {R"(prompt: "p" guidance_scale: -0.5)", "guidance_scale: got -0.5; allowed: 0..30"},
      {R"(prompt: "p" guidance_scale: 30.01)", "guidance_scale: got 30.01; allowed: 0..30"},
      {R"(prompt: "p" guidance_scale: inf)", "guidance_scale: got inf; allowed: 0..30"},
      {R"(prompt: "p" guidance_scale: nan)", "guidance_scale: got nan; allowed: 0..30"},
      {R"(prompt: "p" guidance_rescale: 1.1)", "guidance_rescale: got 1.1; allowed: 0..1"},
      {R"(prompt: "p" guidance_start: -1)", "guidance_start: got -1; allowed: 0..1"},
      {R"(prompt: "p" guidance_end: 2)", "guidance_end: got 2; allowed: 0..1"},
      {R"(prompt: "p" guidance_start: 0.75 guidance_end: 0.5)",
       "guidance_start: got 0.75; allowed: at most guidance_end, which is 0.5"},
      {R"(prompt: "p" seed: -1)",
       "seed: got -1; allowed: 0..9007199254740991, see GenerateRequest.seed: picture i uses seed + i"},
      {R"(prompt: "p" seed: 9007199254740992)",
       "seed: got 9007199254740992; allowed: 0..9007199254740991, see GenerateRequest.seed: picture i uses seed + i"},
      {R"(prompt: "p" seed: 9007199254740989 image_count: 4)",
       "seed: got 9007199254740989; allowed: 0..9007199254740988, see GenerateRequest.seed: picture i uses seed + i"},
      {R"(prompt: "p" image_count: 0)",
       "image_count: got 0; allowed: 1..4, see ServerLimits.max_image_count of GetServerInfo"},
      {R"(prompt: "p" image_count: 5)",
       "image_count: got 5; allowed: 1..4, see ServerLimits.max_image_count of GetServerInfo"},
      {R"(prompt: "p" output { quality: 90 })", "output.quality: got 90; allowed: unset, because PNG is lossless"},
      {R"(prompt: "p" output { format: IMAGE_FORMAT_JPEG quality: 0 })", "output.quality: got 0; allowed: 1..100"},
      {R"(prompt: "p" output { format: IMAGE_FORMAT_WEBP quality: 101 })", "output.quality: got 101; allowed: 1..100"},
      {R"(prompt: "p" preview { })",
       "preview.every_n_steps: got nothing; allowed: at least 1; leave `preview` unset for no previews"},
      {R"(prompt: "p" preview { every_n_steps: 0 })",
       "preview.every_n_steps: got 0; allowed: at least 1; leave `preview` unset for no previews"},
      {R"(prompt: "p" steps: 50 preview { every_n_steps: 1 })",
       "preview.every_n_steps: got 1, which makes 49 previews of a picture; allowed: at least 2 with 50 steps, for at "
       "most "
       "25, see ServerLimits.max_previews_per_image of GetServerInfo"},
      {R"(prompt: "p" preview { every_n_steps: 5 max_side: 513 })",
       "preview.max_side: got 513; allowed: 1..512, see ServerLimits.max_preview_side of GetServerInfo"},
      {R"(prompt: "p" preview { every_n_steps: 5 max_side: 0 })",
       "preview.max_side: got 0; allowed: 1..512, see ServerLimits.max_preview_side of GetServerInfo"},
  };
  for (const auto& row : rows) {
    const absl::Status status = Validate(row.request).status();
    EXPECT_EQ(ReasonOf(status), "FIELD_INVALID") << row.request;
    EXPECT_THAT(ViolationsOf(status), ElementsAre(row.violation)) << row.request;
  }
}

// Values just inside of every bound.
TEST_F(RequestValidatorTest, BoundsAreInside) {
  const std::string rows[] = {
      R"(prompt: "p" clip_skip: 2)",
      R"(prompt: "p" width: 32 height: 32)",
      R"(prompt: "p" width: 128 height: 64)",
      R"(prompt: "p" steps: 1)",
      R"(prompt: "p" steps: 50)",
      R"(model: "digits" steps: 1000)",
      R"(prompt: "p" guidance_scale: 0)",
      R"(prompt: "p" guidance_scale: 30)",
      R"(prompt: "p" guidance_rescale: 1)",
      R"(prompt: "p" guidance_start: 0.5 guidance_end: 0.5)",
      R"(prompt: "p" eta: 1)",
      R"(prompt: "p" seed: 9007199254740991)",
      R"(prompt: "p" seed: 9007199254740988 image_count: 4)",
      R"(prompt: "p" output { format: IMAGE_FORMAT_JPEG quality: 1 })",
      R"(prompt: "p" output { embed_parameters: true })",
      R"(prompt: "p" steps: 26 preview { every_n_steps: 1 })",
      R"(prompt: "p" preview { every_n_steps: 2147483647 max_side: 1 })",
      R"(model: "digits" class_index: 9)",
      R"(model: "digits" class_label: "nine")",
      R"(model: "digits")",
      R"(model: "noise")",
  };
  for (const std::string& row : rows) EXPECT_TRUE(Validate(row).ok()) << row << ": " << Validate(row).status();
}

TEST_F(RequestValidatorTest, PromptBytesAreCounted) {
  limits_.max_prompt_bytes = 10;
  v1::GenerateRequest request;
  request.set_prompt(std::string(10, 'p'));
  EXPECT_TRUE(Validate(request).ok());
  request.set_prompt(std::string(11, 'p'));
  request.set_negative_prompt(std::string(1'000'000, 'n'));
  EXPECT_THAT(ViolationsOf(Validate(request).status()),
              ElementsAre("prompt: got 11 bytes; allowed: valid UTF-8 without NUL, at most 10 bytes",
                          "negative_prompt: got 1000000 bytes; allowed: valid UTF-8 without NUL, at most 10 bytes"));
}

TEST_F(RequestValidatorTest, BadUtf8IsRefused) {
  v1::GenerateRequest request;
  request.set_prompt("ab\xFF");
  EXPECT_THAT(ViolationsOf(Validate(request).status()),
              ElementsAre("prompt: got a byte that is not UTF-8 at offset 2; allowed: valid UTF-8 without NUL, at most "
                          "8192 bytes"));
}

TEST_F(RequestValidatorTest, NumbersThatAreNoEnumValueAreRefused) {
  v1::GenerateRequest request = Wire(R"(prompt: "p" preview { every_n_steps: 5 })");
  request.set_sampler(static_cast<v1::Sampler>(23));
  request.set_sigma_schedule(static_cast<v1::SigmaSchedule>(99));
  request.set_timestep_spacing(static_cast<v1::TimestepSpacing>(-1));
  request.mutable_output()->set_format(static_cast<v1::ImageFormat>(4));
  request.mutable_preview()->set_format(static_cast<v1::ImageFormat>(1000));
  const std::vector<std::string> violations = ViolationsOf(Validate(request).status());
  ASSERT_EQ(violations.size(), 4u) << "the schedule has no meaning without a sampler";
  EXPECT_THAT(violations[0], HasSubstr("sampler: got 23; allowed: SAMPLER_DDPM, SAMPLER_DDIM, SAMPLER_EULER,"));
  EXPECT_THAT(violations[1], HasSubstr("timestep_spacing: got -1; allowed: TIMESTEP_SPACING_LINSPACE"));
  EXPECT_THAT(violations[2], HasSubstr("output.format: got 4; allowed: IMAGE_FORMAT_PNG"));
  EXPECT_THAT(violations[3], HasSubstr("preview.format: got 1000; allowed: IMAGE_FORMAT_PNG"));
  request.set_sampler(v1::SAMPLER_EULER);
  EXPECT_THAT(ViolationsOf(Validate(request).status())[0],
              HasSubstr("sigma_schedule: got 99; allowed: SIGMA_SCHEDULE_"));
}

TEST_F(RequestValidatorTest, AllMistakesAreToldAtOnce) {
  const absl::Status status = Validate(R"(
    negative_prompt: "\000" seed: -1 image_count: 0 width: 1 height: 1 steps: 0 guidance_scale: nan
    sampler: SAMPLER_DDPM
    class_index: 1 clip_skip: 9 guidance_rescale: 2 guidance_start: 2 guidance_end: 2 eta: 1
    sigma_schedule: SIGMA_SCHEDULE_LU output { quality: 3 } preview { max_side: 0 })")
                                  .status();
  std::vector<std::string> fields;
  for (const std::string& violation : ViolationsOf(status)) fields.push_back(violation.substr(0, violation.find(':')));
  EXPECT_THAT(fields,
              testing::UnorderedElementsAre("prompt", "negative_prompt", "seed", "image_count", "width", "height",
                                            "steps", "guidance_scale", "class_index", "clip_skip", "guidance_rescale",
                                            "guidance_start", "guidance_end", "eta", "sigma_schedule", "output.quality",
                                            "preview.max_side", "preview.every_n_steps"));
}

TEST_F(RequestValidatorTest, UnknownFieldsAreRefused) {
  v1::GenerateRequest request = Wire(R"(prompt: "p" output { } preview { every_n_steps: 5 })");
  request.GetReflection()->MutableUnknownFields(&request)->AddLengthDelimited(95)->assign("an init image");
  request.GetReflection()->MutableUnknownFields(&request)->AddVarint(95, 1);
  auto& output = *request.mutable_output();
  output.GetReflection()->MutableUnknownFields(&output)->AddVarint(9, 1);
  const std::string allowed = "got a value; allowed: unset: this version of the server has no such field";
  EXPECT_THAT(ViolationsOf(Validate(request).status()),
              ElementsAre("field 95: " + allowed, "output.field 9: " + allowed));
}

TEST_F(RequestValidatorTest, ManyUnknownFieldsAreFewLines) {
  v1::GenerateRequest request = Wire(R"(prompt: "p" steps: 0)");
  auto* const unknown = request.GetReflection()->MutableUnknownFields(&request);
  for (int i = 0; i < 300'000; ++i) unknown->AddVarint(100 + i, 1);
  const absl::Status status = Validate(request).status();
  EXPECT_EQ(ViolationsOf(status).size(), 1 + FieldViolations::kMaxUnknownListed);
  EXPECT_EQ(status.message().substr(0, 15), "300001 fields: ");
}

TEST_F(RequestValidatorTest, UnknownModelsListWhatExists) {
  const absl::Status status = Validate(R"(model: "sdxl" prompt: "p" steps: -1)").status();
  EXPECT_EQ(ReasonOf(status), "MODEL_NOT_FOUND");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "model: got \"sdxl\"; available: texty, digits, noise, see ListModels");
}

TEST_F(RequestValidatorTest, WarnsOfWhatIsCut) {
  const auto request =
      Validate(R"(prompt: "one two three four five six seven eight" negative_prompt: "a b c d e f g")");
  ASSERT_TRUE(request.ok());
  EXPECT_THAT((*request)->warnings,
              ElementsAre("prompt is longer than the 8 tokens that the model reads; cut: \"seven eight\"; "
                          "prompt_syntax PROMPT_SYNTAX_A1111 reads longer prompts",
                          "negative_prompt is longer than the 8 tokens that the model reads; cut: \"g\"; "
                          "prompt_syntax PROMPT_SYNTAX_A1111 reads longer prompts"));
  EXPECT_EQ((*request)->prompt_parts.front().tokens.ids[0].size(), 8u);
}

TEST_F(RequestValidatorTest, WarnsOfWhatHasNoEffect) {
  const struct {
    std::string request;
    std::vector<std::string> warnings;
  } rows[] = {
      {R"(negative_prompt: "n" guidance_scale: 1)",
       {"negative_prompt has no effect: no step is guided, because guidance_scale is at most 1"}},
      {R"(negative_prompt: "n" guidance_scale: 1.01)", {}},
      {R"(negative_prompt: "" guidance_scale: 1)", {}},
      {R"(negative_prompt: "n" guidance_start: 0.5 guidance_end: 0.5)",
       {"guidance_scale, negative_prompt have no effect: no step is guided, because no step lies between "
        "guidance_start and "
        "guidance_end"}},
      {R"(negative_prompt: "n" guidance_start: 0.5 guidance_end: 0.55)", {}},
      {R"(guidance_rescale: 0.5 guidance_end: 0.5 guidance_scale: 0)",
       {"guidance_rescale, guidance_end have no effect: no step is guided, because guidance_scale is at most 1"}},
      {R"(guidance_scale: 0.5)", {}},
  };
  for (const auto& row : rows) {
    const auto request = Validate(R"(prompt: "p" )" + row.request);
    ASSERT_TRUE(request.ok()) << row.request;
    EXPECT_EQ((*request)->warnings, row.warnings) << row.request;
  }
}

TEST_F(RequestValidatorTest, ServerLimitsNarrowTheModels) {
  limits_.max_steps = 10;
  limits_.max_side = 64;
  limits_.max_area = 4096;
  EXPECT_EQ(ViolationsOf(Validate(R"(prompt: "p" steps: 11)").status()).size(), 1u);
  EXPECT_EQ(ViolationsOf(Validate(R"(prompt: "p" steps: 10 width: 72)").status()).size(), 1u);
  EXPECT_TRUE(Validate(R"(prompt: "p" steps: 10)").ok());
}

TEST_F(RequestValidatorTest, WorkIsLimited) {
  // 64 x 64 pixels, 20 steps, 2 pictures, 2 rows.
  limits_.max_megapixel_steps = 0.32768;
  EXPECT_TRUE(Validate(R"(prompt: "p" image_count: 2)").ok());
  const absl::Status status = Validate(R"(prompt: "p" image_count: 2 steps: 21)").status();
  EXPECT_EQ(ReasonOf(status), "WORK_LIMIT");
  EXPECT_EQ(status.message(),
            "the request asks for 0.344064 megapixels x steps x pictures x rows; allowed: 0.32768, see "
            "ServerLimits.max_megapixel_steps of GetServerInfo");
  EXPECT_TRUE(Validate(R"(prompt: "p" image_count: 2 steps: 40 guidance_scale: 1)").ok()) << "one row";
}

TEST_F(RequestValidatorTest, WorkCountsTheEvaluationsOfTheSampler) {
  ModelInfo info = TextModel();
  info.samplers = {Sampler::kDdim, Sampler::kHeun, Sampler::kAnnealedLangevin};
  models_ = *ModelRegistry::Create({Share(info)}, "", &LoadFakeTokenizer);
  // 64 x 64 pixels, 20 steps, one row, one and a half evaluations per step.
  limits_.max_megapixel_steps = 1.5 * 20 * 4096e-6;
  const std::string plain = R"(prompt: "p" guidance_scale: 1 )";
  EXPECT_TRUE(Validate(plain).ok());
  EXPECT_EQ(ReasonOf(Validate(plain + "sampler: SAMPLER_HEUN").status()), "WORK_LIMIT") << "two per step";
  EXPECT_EQ(ReasonOf(Validate(plain + "sampler: SAMPLER_ANNEALED_LANGEVIN").status()), "WORK_LIMIT");
  EXPECT_TRUE(
      Validate(plain + "sampler: SAMPLER_ANNEALED_LANGEVIN sampler_options { langevin { inner_steps: 1 } }").ok());
}

TEST_F(RequestValidatorTest, UnaryAnswersMustFit) {
  const auto one = Validate(R"(prompt: "p")");
  const auto four = Validate(R"(prompt: "p" image_count: 4)");
  limits_.max_unary_response_bytes = 20'000;  // a picture is 64 * 64 * 3 = 12288 bytes and its overhead
  EXPECT_TRUE(CheckUnaryResponseFits(**one, limits_).ok());
  const absl::Status status = CheckUnaryResponseFits(**four, limits_);
  EXPECT_EQ(ReasonOf(status), "WORK_LIMIT");
  EXPECT_THAT(std::string(status.message()), HasSubstr("at most 20000: call Generate, which streams them"));
}

TEST_F(RequestValidatorTest, DefaultsThatBreakTheLimitsAreFound) {
  EXPECT_TRUE(FindMisfits(models_, limits_).empty());
  limits_.max_side = 48;
  const std::vector<RefusedModel> misfits = FindMisfits(models_, limits_);
  ASSERT_FALSE(misfits.empty());
  EXPECT_EQ(misfits[0].id, "texty");
  EXPECT_THAT(misfits[0].why, HasSubstr("model texty: its own defaults break the limits: "));
  EXPECT_THAT(misfits[0].why, HasSubstr("width: got 64; allowed: a multiple of 8 in 32..48"));
  EXPECT_THAT(misfits[0].why, HasSubstr("; mend its card's defaults, or raise `limits`"));
}

TEST(RandomSeedSourceTest, StaysBelowTwoToThe32AndVaries) {
  RandomSeedSource seeds;
  std::set<int64_t> drawn;
  for (int i = 0; i < 1000; ++i) {
    const int64_t seed = seeds.Next();
    ASSERT_GE(seed, 0);
    ASSERT_LT(seed, int64_t{1} << 32);
    drawn.insert(seed);
  }
  // Four thousand million seeds: a thousand draws with more than a few repeats come from a broken source.
  EXPECT_GT(drawn.size(), 990u);
}

}  // namespace
}  // namespace stepcast
