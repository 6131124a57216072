#include "core/dtype.h"

#include "core/model_info.h"
#include "gtest/gtest.h"

namespace stepcast {
namespace {

TEST(DtypeTest, NamesGoBothWays) {
  for (const Dtype dtype : {Dtype::kAuto, Dtype::kFp32, Dtype::kBf16, Dtype::kFp16}) {
    EXPECT_EQ(DtypeFromName(DtypeName(dtype)), dtype);
    EXPECT_NE(std::string_view(kDtypeNames).find(DtypeName(dtype)), std::string_view::npos);
  }
  for (const char* name : {"", "FP16", "float16", "int8", "fp16 "}) EXPECT_EQ(DtypeFromName(name), std::nullopt);
  EXPECT_EQ(DtypePartNames(), "unet, vae, text_encoder, text_encoder_2, classifier");
}

TEST(DtypeTest, PartsThatDifferFromTheDenoiserAreNamed) {
  ModelInfo info;
  info.dtype = "bf16";
  EXPECT_EQ(DescribeDtypes(info), "bf16");
  info.components.resize(2);
  info.components[0].name = "unet";
  info.components[0].compute_type = "bf16";
  info.components[1].name = "vae";
  info.components[1].compute_type = "fp32";
  EXPECT_EQ(DescribeDtypes(info), "bf16, vae fp32");
}

}  // namespace
}  // namespace stepcast
