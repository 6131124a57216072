#include "engine/device/torch_guard.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <c10/util/Exception.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/error_reason.h"

namespace stepcast::engine {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class TorchGuardTest : public ::testing::Test {
 protected:
  std::vector<std::string> log_;
  TorchGuard guard_{[this](std::string_view text) { log_.emplace_back(text); }};
};

TEST_F(TorchGuardTest, ReturnsOkAndLogsNothingWhenNothingIsThrown) {
  bool ran = false;
  EXPECT_TRUE(guard_.Run("denoise", [&] { ran = true; }).ok());
  EXPECT_TRUE(ran);
  EXPECT_TRUE(log_.empty());
}

TEST_F(TorchGuardTest, ShapeErrorIsInternalWithAnIdAndItsTextGoesToTheLogOnly) {
  const absl::Status status = guard_.Run("denoise", [] { at::ones({2, 3}).add_(at::ones({4, 5})); });
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(ErrorReason(status), "ENGINE_ERROR");
  const std::string message(status.message());
  EXPECT_THAT(message, AllOf(HasSubstr("denoise"), HasSubstr("error id "), Not(HasSubstr("size of tensor"))));
  ASSERT_EQ(log_.size(), 1u);
  const std::string id = message.substr(message.find("error id ") + 9, 16);
  EXPECT_THAT(log_[0], AllOf(HasSubstr(id), HasSubstr("size of tensor")));
  EXPECT_FALSE(IsOutOfMemory(status));
}

TEST_F(TorchGuardTest, EveryKindOfExceptionBecomesItsStatus) {
  struct Case {
    const char* name;
    void (*body)();
    absl::StatusCode code;
    const char* reason;
  };
  const Case cases[] = {
      {"device memory", [] { TORCH_CHECK_WITH(OutOfMemoryError, false, "CUDA out of memory"); },
       absl::StatusCode::kResourceExhausted, "DEVICE_MEMORY"},
      // More than any address space, so that the real allocator refuses.
      {"host allocator", [] { at::empty({int64_t{1} << 58}); }, absl::StatusCode::kResourceExhausted, "DEVICE_MEMORY"},
      {"bad_alloc", [] { throw std::bad_alloc(); }, absl::StatusCode::kResourceExhausted, "DEVICE_MEMORY"},
      {"library text", [] { throw std::runtime_error("CUDNN_STATUS_ALLOC_FAILED"); },
       absl::StatusCode::kResourceExhausted, "DEVICE_MEMORY"},
      {"device lost", [] { TORCH_CHECK(false, "CUDA error: an illegal memory access was encountered"); },
       absl::StatusCode::kUnavailable, "DEVICE_LOST"},
      {"std::exception", [] { throw std::out_of_range("x"); }, absl::StatusCode::kInternal, "ENGINE_ERROR"},
      {"no exception class", [] { throw 7; }, absl::StatusCode::kInternal, "ENGINE_ERROR"},
  };
  for (const Case& test : cases) {
    const absl::Status status = guard_.Run("x", test.body);
    EXPECT_EQ(status.code(), test.code) << test.name << ": " << status;
    EXPECT_EQ(ErrorReason(status), test.reason) << test.name;
    EXPECT_EQ(IsOutOfMemory(status), test.code == absl::StatusCode::kResourceExhausted) << test.name;
  }
}

TEST_F(TorchGuardTest, ExceptionIsGoneWhenRunReturns) {
  struct Pinning : std::runtime_error {
    explicit Pinning(std::shared_ptr<int> p) : std::runtime_error("pins"), pinned(std::move(p)) {}
    std::shared_ptr<int> pinned;
  };
  auto tensor = std::make_shared<int>(1);
  EXPECT_FALSE(guard_.Run("x", [&] { throw Pinning(tensor); }).ok());
  EXPECT_EQ(tensor.use_count(), 1);
}

TEST(TorchGuardWithoutLogTest, StillReportsAStatus) {
  EXPECT_EQ(TorchGuard().Run("x", [] { throw 7; }).code(), absl::StatusCode::kInternal);
}

TEST(IsOutOfMemoryTest, OtherExhaustionsAreNotMemory) {
  EXPECT_FALSE(IsOutOfMemory(WithReason(absl::ResourceExhaustedError("queue"), "QUEUE_FULL")));
  EXPECT_FALSE(IsOutOfMemory(absl::OkStatus()));
}

}  // namespace
}  // namespace stepcast::engine
