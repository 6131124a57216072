#include "model/loading/compute_dtypes.h"

#include <cstdlib>
#include <string>
#include <vector>

#include <ATen/Version.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/layers/native_bfloat16.h"

namespace stepcast::model {
namespace {

constexpr auto kAuto = c10::ScalarType::Undefined;
constexpr auto kFloat = c10::ScalarType::Float;
constexpr auto kHalf = c10::ScalarType::Half;
constexpr auto kBFloat16 = c10::ScalarType::BFloat16;

// `beside` lies beside the model, `said` is the configuration's.
std::vector<ModelCard> Cards(DtypeWish beside, DtypeWish said = {}) {
  std::vector<ModelCard> cards(2);
  cards[0].source = "model.json";
  cards[0].dtype = std::move(beside);
  cards[1].source = "the configuration";
  cards[1].dtype = std::move(said);
  return cards;
}

TEST(ComputeDtypes, TheConfigurationWinsOverTheCardAndTheCardOverTheServer) {
  const DtypeWish nothing;
  const DtypeWish fp16{.whole = Dtype::kFp16};
  const DtypeWish vae_fp32{.parts = {{"vae", Dtype::kFp32}}};
  const DtypeWish both{.whole = Dtype::kBf16, .parts = {{"vae", Dtype::kFp32}}};
  struct Case {
    const char* name;
    DtypeWish beside, said;
    c10::ScalarType unet, vae;
  };
  const Case cases[] = {
      {"nobody speaks", nothing, nothing, kBFloat16, kBFloat16},
      {"the card", fp16, nothing, kHalf, kHalf},
      {"a part of the card", vae_fp32, nothing, kBFloat16, kFloat},
      {"the configuration's whole over the card's part", vae_fp32, fp16, kHalf, kHalf},
      {"the configuration's part over the card's whole", fp16, vae_fp32, kHalf, kFloat},
      {"a part over the whole", both, nothing, kBFloat16, kFloat},
      {"auto is a word, too", fp16, {.whole = Dtype::kAuto}, kFloat, kFloat},
  };
  for (const Case& test : cases) {
    const std::vector<ModelCard> cards = Cards(test.beside, test.said);
    const ComputeDtypes dtypes(cards, kBFloat16, {kFloat});
    EXPECT_EQ(dtypes.For("unet", Precision::kAny, kHalf), test.unet) << test.name;
    EXPECT_EQ(dtypes.For("vae", Precision::kAny, kHalf), test.vae) << test.name;
    EXPECT_EQ(dtypes.For("vqvae", Precision::kAny, kHalf), test.vae) << test.name;
  }
}

TEST(ComputeDtypes, AutoIsTheTypeOfTheFilesWhereTheDeviceIsGoodAtIt) {
  const std::vector<ModelCard> cards = Cards({});
  const ComputeDtypes cuda(cards, kAuto, {kBFloat16, kHalf});
  EXPECT_EQ(cuda.For("unet", Precision::kAny, kHalf), kHalf);
  EXPECT_EQ(cuda.For("unet", Precision::kAny, kBFloat16), kBFloat16);
  EXPECT_EQ(cuda.For("unet", Precision::kAny, kFloat), kBFloat16);
  const ComputeDtypes cpu(cards, kAuto, {kBFloat16});
  EXPECT_EQ(cpu.For("unet", Precision::kAny, kHalf), kBFloat16);
  const ComputeDtypes old_cpu(cards, kAuto, {kFloat});
  EXPECT_EQ(old_cpu.For("unet", Precision::kAny, kHalf), kFloat);
}

TEST(ComputeDtypes, WhatOverflowsInHalfStaysInFloatUnlessItIsNamed) {
  struct Case {
    DtypeWish said;
    c10::ScalarType vae, classifier;
  };
  const Case cases[] = {
      {{.whole = Dtype::kAuto}, kFloat, kFloat},
      {{.whole = Dtype::kFp16}, kFloat, kFloat},
      {{.whole = Dtype::kBf16}, kBFloat16, kFloat},
      {{.parts = {{"vae", Dtype::kFp16}, {"classifier", Dtype::kBf16}}}, kHalf, kBFloat16},
      {{.parts = {{"vae", Dtype::kAuto}, {"classifier", Dtype::kAuto}}}, kFloat, kFloat},
  };
  for (const Case& test : cases) {
    const std::vector<ModelCard> cards = Cards({}, test.said);
    const ComputeDtypes dtypes(cards, kAuto, {kBFloat16, kHalf});
    EXPECT_EQ(dtypes.For("vae", Precision::kNotHalf, kHalf), test.vae);
    EXPECT_EQ(dtypes.For("classifier", Precision::kFull, kHalf), test.classifier);
  }
}

TEST(ComputeDtypes, APartThatIsNotThereIsNamed) {
  const std::vector<ModelCard> cards = Cards({.parts = {{"text_encoder_2", Dtype::kFp32}}});
  const ComputeDtypes dtypes(cards, kAuto, {kFloat});
  EXPECT_EQ(dtypes.CheckParts({"unet", "text_encoder_2"}), absl::OkStatus());
  EXPECT_EQ(dtypes.CheckParts({"unet", "vae"}).message(),
            "model.json: dtype.text_encoder_2: the model has no such part; allowed: unet, vae");
}

TEST(ComputeDtypes, ACardThatKeepsAPartFromTheServersWordIsTold) {
  const std::vector<ModelCard> beside = Cards({.whole = Dtype::kFp32});
  EXPECT_TRUE(ComputeDtypes(beside, kBFloat16, {kFloat}).CardOverrulesServer("unet"));
  EXPECT_FALSE(ComputeDtypes(beside, kFloat, {kFloat}).CardOverrulesServer("unet")) << "they agree";
  EXPECT_FALSE(ComputeDtypes(beside, kAuto, {kFloat}).CardOverrulesServer("unet")) << "the server said nothing";
  const std::vector<ModelCard> said = Cards({}, {.whole = Dtype::kFp32});
  EXPECT_FALSE(ComputeDtypes(said, kBFloat16, {kFloat}).CardOverrulesServer("unet")) << "the operator's own word";
}

// In a process of its own, because the libraries read their environment once.
void ExitWithAnswer(const char* variable, const char* value) {
  setenv(variable, value, 1);
  std::exit(HasNativeBfloat16() ? 1 : 0);
}

TEST(NativeBfloat16, IsNotUsedWhereTheEnvironmentForbidsIt) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_EXIT(ExitWithAnswer("ATEN_CPU_CAPABILITY", "avx2"), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(ExitWithAnswer("ONEDNN_MAX_CPU_ISA", "AVX512_CORE"), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(ExitWithAnswer("ONEDNN_MAX_CPU_ISA", "AVX2"), testing::ExitedWithCode(0), "");
}

TEST(NativeBfloat16, IsUsedWhereTheCpuHasIt) {
#if defined(__x86_64__)
  const bool has = __builtin_cpu_supports("avx512bf16") != 0 && at::get_cpu_capability().starts_with("AVX512");
  if (!has || std::getenv("ONEDNN_MAX_CPU_ISA") != nullptr) GTEST_SKIP() << "this CPU, or its environment, has not";
  EXPECT_TRUE(HasNativeBfloat16());
#else
  GTEST_SKIP() << "of x86-64";
#endif
}

}  // namespace
}  // namespace stepcast::model
