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

}  // namespace
}  // namespace stepcast::engine
