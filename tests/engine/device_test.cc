#include "engine/device/device.h"

#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "engine/device/cuda/cuda_device.h"
#include "engine/device/upload.h"

namespace stepcast::engine {
namespace {

using ::testing::HasSubstr;

TEST(OpenDeviceTest, OpensTheCpuAndUploadsWithoutACopy) {
  auto device = OpenDevice("cpu", 1);
  ASSERT_TRUE(device.ok()) << device.status();
  EXPECT_EQ((*device)->name(), "cpu");
  const at::Tensor host = (*device)->HostBuffer({2, 3}, c10::ScalarType::Float);
  EXPECT_EQ((*device)->Upload(host).data_ptr(), host.data_ptr());
  EXPECT_EQ((*device)->MemoryReport(), "");
  (*device)->Synchronize();
  (*device)->ReleaseCachedMemory();
}

TEST(OpenDeviceTest, BindThreadSetsTheThreadCountOfTheCallingThread) {
  auto device = OpenDevice("cpu", 3);
  ASSERT_TRUE(device.ok()) << device.status();
  int threads = 0;
  std::thread([&] {
    (*device)->BindThread();
    threads = at::get_num_threads();
  }).join();
  EXPECT_EQ(threads, 3);
}

TEST(OpenDeviceTest, RefusesWhatIsNoDevice) {
  for (const char* name : {"", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:123", "CPU", "cuda:1 "}) {
    const auto device = OpenDevice(name, 0);
    EXPECT_EQ(device.status().code(), absl::StatusCode::kInvalidArgument) << name;
    EXPECT_THAT(std::string(device.status().message()), HasSubstr("auto, cpu, cuda:N")) << name;
  }
  EXPECT_EQ(OpenDevice("cpu", -1).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(OpenDeviceTest, CudaWithoutADeviceIsOneClearError) {
  if (CudaDeviceCount() > 0) GTEST_SKIP() << "this machine has a CUDA device";
  const auto device = OpenDevice("cuda:1", 0);
  EXPECT_EQ(device.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(device.status().message()), HasSubstr("cuda:1"));
  const auto automatic = OpenDevice("auto", 0);
  ASSERT_TRUE(automatic.ok());
  EXPECT_EQ((*automatic)->name(), "cpu");
}

TEST(ParseDtypeTest, Table) {
  EXPECT_EQ(*ParseDtype("auto"), c10::ScalarType::Undefined);
  EXPECT_EQ(*ParseDtype("fp32"), c10::ScalarType::Float);
  EXPECT_EQ(*ParseDtype("bf16"), c10::ScalarType::BFloat16);
  EXPECT_EQ(*ParseDtype("fp16"), c10::ScalarType::Half);
  EXPECT_EQ(ParseDtype("int8").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(UploadTest, KeepsValuesAndTypes) {
  const auto device = OpenDevice("cpu", 1);
  ASSERT_TRUE(device.ok());
  const at::Tensor floats = UploadFloats(**device, {1.5f, -2.0f});
  EXPECT_EQ(floats.scalar_type(), c10::ScalarType::Float);
  EXPECT_EQ(floats.data_ptr<float>()[1], -2.0f);
  const at::Tensor indices = UploadIndices(**device, {7, 0, 3});
  EXPECT_EQ(indices.scalar_type(), c10::ScalarType::Long);
  EXPECT_EQ(indices.data_ptr<int64_t>()[2], 3);
  EXPECT_EQ(UploadFloats(**device, {}).numel(), 0);
}

}  // namespace
}  // namespace stepcast::engine
