#include "engine/device/cuda/cuda_device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace stepcast::engine {
namespace {

TEST(CudaDeviceTest, ADeviceThatDoesNotExistIsOneClearError) {
  const int count = CudaDeviceCount();
  ASSERT_GE(count, 0);
  const auto device = OpenCudaDevice(count);
  EXPECT_EQ(device.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(device.status().message()), ::testing::StartsWith("device cuda:" + std::to_string(count)));
}

TEST(CudaDeviceTest, WithoutADeviceTheDriverIsNamedAsTheCause) {
  using ::testing::HasSubstr;
  EXPECT_THAT(WhyNoCudaDevice(13000, 0), HasSubstr("no NVIDIA driver is installed"));
  EXPECT_THAT(WhyNoCudaDevice(13000, 12040), HasSubstr("too old: it serves CUDA 12.4, this build needs 13.0"));
  // Minor versions are compatible.
  EXPECT_THAT(WhyNoCudaDevice(13020, 13000), HasSubstr("serves CUDA 13.0, but shows no device"));
  EXPECT_THAT(WhyNoCudaDevice(13000, 14010), HasSubstr("serves CUDA 14.1, but shows no device"));
}

}  // namespace
}  // namespace stepcast::engine
