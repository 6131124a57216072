// What only a card can show: the bundled model on the first CUDA device. Skipped where there is none;
// bench/device_check.sh runs it where there is.

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "engine/device/cuda/cuda_device.h"
#include "engine/start/engine_factory.h"
#include "tests/engine/crowd.h"

namespace stepcast::engine {
namespace {

constexpr int kJobs = 12;

class CudaPicturesTest : public testing::Test {
 protected:
  void SetUp() override {
    if (CudaDeviceCount() == 0) GTEST_SKIP() << "no CUDA device that this build can use";
    std::mt19937 random(12);
    LoadedEngine engine = Load("cpu", "fp32", 0);
    ASSERT_EQ(engine.devices.size(), 1u);
    const auto tokenizer = ClipTokenizer::Load(engine.models.front()->tokenizer_dirs.front());
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    traffic_ = RandomTraffic(kJobs, *engine.models.front(), **tokenizer, random);
    for (Visitor& visitor : traffic_) visitor.cancels_at = -1;
  }

  static LoadedEngine Load(const std::string& device, const std::string& dtype, int strict_rows) {
    static NullEngineMetrics metrics;
    EngineOptions options;
    options.models = {{.id = "emoji", .path = STEPCAST_SOURCE_DIR "/models/emoji"}};
    options.device = device;
    options.dtype = dtype;
    options.strict_rows = strict_rows;
    options.warm_up = false;
    absl::StatusOr<LoadedEngine> engine = CreateEngine(options, metrics);
    if (!engine.ok()) {
      ADD_FAILURE() << engine.status();
      return {};
    }
    return *std::move(engine);
  }

  // All jobs together; `digests`, if given, receives each one's slots after every step.
  std::vector<SharedImage> PaintTogether(LoadedEngine& engine,
                                         std::vector<std::vector<std::string>>* digests = nullptr) const {
    std::vector<const Visitor*> visitors;
    for (const Visitor& visitor : traffic_) visitors.push_back(&visitor);
    House house(*engine.devices.front().executor, engine.models.front());
    house.Run(visitors);
    std::vector<SharedImage> pictures;
    for (size_t i = 0; i < traffic_.size(); ++i) {
      EXPECT_TRUE(house.StatusOf(i).ok()) << house.StatusOf(i);
      pictures.push_back(house.ImageOf(i));
      if (digests != nullptr) digests->push_back(house.DigestsOf(i));
    }
    return pictures;
  }

  // Each job in a house of its own.
  std::vector<SharedImage> PaintAlone(LoadedEngine& engine,
                                      std::vector<std::vector<std::string>>* digests = nullptr) const {
    std::vector<SharedImage> pictures;
    for (const Visitor& visitor : traffic_) {
      const Visitor alone = {.picture = visitor.picture};
      House house(*engine.devices.front().executor, engine.models.front());
      house.Run({&alone});
      pictures.push_back(house.ImageOf(0));
      if (digests != nullptr) digests->push_back(house.DigestsOf(0));
    }
    return pictures;
  }

  std::vector<Visitor> traffic_;
};

// Peak signal to noise ratio in dB; 0 for pictures that cannot be compared.
double Psnr(const SharedImage& a, const SharedImage& b) {
  if (a == nullptr || b == nullptr || a->pixels.size() != b->pixels.size() || a->pixels.empty()) return 0.0;
  double squares = 0.0;
  for (size_t i = 0; i < a->pixels.size(); ++i) {
    const double difference = int{a->pixels[i]} - int{b->pixels[i]};
    squares += difference * difference;
  }
  if (squares == 0.0) return 99.0;
  return 20.0 * std::log10(255.0 / std::sqrt(squares / static_cast<double>(a->pixels.size())));
}

// cuDNN may convolve in TF32, ten bits of mantissa: 35 dB is a mean error of 4 of 255, far below another picture's
// (about 10 dB) and what reduced precision is known to cost.
TEST_F(CudaPicturesTest, PaintsThePicturesOfTheCpu) {
  LoadedEngine cpu = Load("cpu", "fp32", 0);
  LoadedEngine cuda = Load("cuda:0", "fp32", 0);
  ASSERT_TRUE(cpu.devices.size() == 1 && cuda.devices.size() == 1);
  const std::vector<SharedImage> expected = PaintTogether(cpu);
  const std::vector<SharedImage> painted = PaintTogether(cuda);
  for (size_t i = 0; i < painted.size(); ++i) EXPECT_GE(Psnr(painted[i], expected[i]), 35.0) << "job " << i;
}

// Free mode: other kernels for other row counts. docs/scheduling.md promises 45 dB in reduced precision.
TEST_F(CudaPicturesTest, NeighboursChangeNothingThatOneSees) {
  for (const std::string dtype : {"fp32", "bf16", "fp16"}) {
    LoadedEngine cuda = Load("cuda:0", dtype, 0);
    ASSERT_EQ(cuda.devices.size(), 1u);
    const std::vector<SharedImage> together = PaintTogether(cuda);
    const std::vector<SharedImage> alone = PaintAlone(cuda);
    for (size_t i = 0; i < alone.size(); ++i) EXPECT_GE(Psnr(together[i], alone[i]), 45.0) << dtype << " job " << i;
  }
}

TEST_F(CudaPicturesTest, StrictModeKeepsEveryBit) {
  LoadedEngine cuda = Load("cuda:0", "bf16", 8);
  ASSERT_EQ(cuda.devices.size(), 1u);
  std::vector<std::vector<std::string>> together;
  std::vector<std::vector<std::string>> alone;
  PaintTogether(cuda, &together);
  PaintAlone(cuda, &alone);
  EXPECT_EQ(together, alone);
}

}  // namespace
}  // namespace stepcast::engine
