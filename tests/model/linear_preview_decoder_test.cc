#include "model/preview/linear_preview_decoder.h"

#include <string>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/randn.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include "tests/model/replay.h"
#include "tests/model/safetensors_writer.h"

namespace stepcast::model {
namespace {

TEST(LinearPreviewDecoder, AppliesItsMatrix) {
  const c10::InferenceMode no_autograd;
  const PreviewMatrix matrix = {{{1, 0, 0}, {0, 2, 0}, {0, 0, 3}, {1, 1, 1}}, {0.5, 0, -0.5}};
  const LinearPreviewDecoder decoder(matrix, c10::DeviceType::CPU);
  const at::Tensor x0 = at::randn({2, 4, 3, 5});
  const at::Tensor rgb = decoder.Decode(x0);
  ASSERT_EQ(rgb.sizes().vec(), (std::vector<int64_t>{2, 3, 3, 5}));
  EXPECT_LT(Compare(rgb.select(1, 0), x0.select(1, 0) + x0.select(1, 3) + 0.5).max, 1e-6);
  EXPECT_LT(Compare(rgb.select(1, 2), x0.select(1, 2) * 3 + x0.select(1, 3) - 0.5).max, 1e-6);
}

TEST(ReadPreviewMatrix, ChecksTheFile) {
  const std::string path = FreshFolder("preview") + "/preview.json";
  EXPECT_EQ(ReadPreviewMatrix(path, 4).status().code(), absl::StatusCode::kNotFound);
  WriteFile(path, R"({"latent_channels": 2, "matrix": [[1, 2, 3], [4, 5, 6]], "bias": [0.5, 0, 1]})");
  const auto matrix = ReadPreviewMatrix(path, 2);
  ASSERT_TRUE(matrix.ok()) << matrix.status();
  EXPECT_EQ(matrix->rows[1][2], 6);
  EXPECT_EQ(matrix->bias[0], 0.5);
  EXPECT_FALSE(ReadPreviewMatrix(path, 4).ok()) << "made for another latent space";
  for (const char* bad :
       {R"({"matrix": [[1, 2, 3]]})", R"({"matrix": [[1, 2, 3], [4, 5]]})", R"({"matrix": [[1, 2, 3], [4, 5, "x"]]})",
        R"({"bias": [0, 0, 0]})", R"({"matrix": [[1, 2, 3], [4, 5, 6]], "bias": 1})"}) {
    WriteFile(path, bad);
    EXPECT_EQ(ReadPreviewMatrix(path, 2).status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

TEST(FallbackPreviewMatrix, ExistsForEveryLatentSpace) {
  EXPECT_NEAR(FallbackPreviewMatrix(4, false).rows[0][0], 0.3512, 1e-9);
  EXPECT_NEAR(FallbackPreviewMatrix(4, true).bias[0], 0.1084, 1e-9);
  EXPECT_EQ(FallbackPreviewMatrix(16, false).rows.size(), 16U);
  EXPECT_EQ(FallbackPreviewMatrix(16, false).rows[3][1], 1.0 / 16);
}

}  // namespace
}  // namespace stepcast::model
