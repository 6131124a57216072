#include "engine/codecs/picture_encoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/error_reason.h"
#include "tests/engine/fake_bundle.h"
#include "tests/engine/picture_jobs.h"

namespace stepcast::engine {
namespace {

using ::testing::ElementsAre;

class PictureEncoderTest : public ::testing::Test {
 protected:
  PictureEncoderTest() : precise_(nullptr, guard_) { Build(4); }

  void Build(int most) {
    encoder_ = std::make_unique<PictureEncoder>(
        PictureEncoder::Parts{.device = *device_,
                              .cache = cache_,
                              .precise = precise_,
                              .guard = guard_,
                              .hints = [this](const std::string& id) -> absl::StatusOr<HintNetwork> {
                                if (id != "edges") return absl::NotFoundError(absl::StrCat("no ControlNet ", id));
                                return HintNetwork{.identity = "edges@1", .embed = [this](const at::Tensor& pictures) {
                                                     hints_.push_back(pictures.size(0));
                                                     return pictures.narrow(1, 0, 1) * 3.0;
                                                   }};
                              }},
        most);
  }

  // A job with one picture; the caller keeps nothing.
  DenoiseState* Job(sampling::PictureSource source) {
    auto recipe = std::make_shared<sampling::Recipe>(*MakeRecipe(CompilePicture(TestSchedule(), {})));
    sampling::Stage& stage = recipe->stages.front();
    if (source.use == sampling::PictureUse::kHint) {
      stage.control = {{.picture = 0, .network = source.network}};
    } else {
      stage.start = sampling::StageStart::kPicture;
      stage.start_picture = 0;
    }
    recipe->pictures = {std::move(source)};
    states_.push_back(std::make_unique<DenoiseState>(bundle_, std::move(recipe), 1));
    return states_.back().get();
  }
  DenoiseState* Job(int pattern, SharedMask erased = nullptr, int side = 32) {
    return Job({.picture = PatternPicture(pattern, side, side), .erased = std::move(erased)});
  }

  std::vector<absl::Status> Encode(const std::vector<DenoiseState*>& jobs, bool tiled = false) {
    std::vector<PictureWish> wishes;
    for (DenoiseState* job : jobs) wishes.push_back({.job = job, .picture = 0, .tiled = tiled});
    return encoder_->Encode(wishes);
  }

  FakeScript script_;
  std::shared_ptr<const model::ModelBundle> bundle_ = MakeFakeBundle("fake", &script_);
  std::unique_ptr<ComputeDevice> device_ = *OpenDevice("cpu", 1);
  TorchGuard guard_;
  PreciseCodecs precise_;
  PictureCache cache_{1 << 20};
  std::unique_ptr<PictureEncoder> encoder_;
  std::vector<std::unique_ptr<DenoiseState>> states_;
  std::vector<int64_t> hints_;
};

TEST_F(PictureEncoderTest, DistinctPicturesAreEncodedOnceAndTogether) {
  const std::vector<DenoiseState*> jobs = {Job(1), Job(2), Job(1), Job(3)};
  for (DenoiseState* job : jobs) EXPECT_FALSE(*encoder_->Start({job, 0, false}));
  for (const absl::Status& status : Encode(jobs)) EXPECT_TRUE(status.ok()) << status;
  EXPECT_THAT(script_.picture_sizes, ElementsAre(3));
  EXPECT_EQ(jobs[0]->picture(0), jobs[2]->picture(0));
  EXPECT_FALSE(at::equal(jobs[0]->picture(0)->mean, jobs[1]->picture(0)->mean));
  EXPECT_EQ(jobs[0]->picture(0)->mean.sizes().vec(), (std::vector<int64_t>{4, 8, 8}));
  DenoiseState* const late = Job(2);
  EXPECT_TRUE(*encoder_->Start({late, 0, false})) << "it is in the cache";
  EXPECT_EQ(late->picture(0), jobs[1]->picture(0));
}

TEST_F(PictureEncoderTest, PixelsAreThoseOfDiffusersAndErasedOnesAreNothing) {
  DenoiseState* const plain = Job(1);
  DenoiseState* const masked = Job(1, PatternMask(32, 32, /*grey=*/false));
  Encode({plain, masked});
  const InputPicture picture = PatternPicture(1, 32, 32);
  const Image& image = *picture.image;
  float sum = 0.0f;
  for (int y = 0; y < 4; ++y) {
    for (int x = 0; x < 4; ++x) sum += 2.0f * (static_cast<float>(image.pixels[3 * (32 * y + x)]) / 255.0f) - 1.0f;
  }
  EXPECT_NEAR(plain->picture(0)->mean[0][0][0].item<float>(), sum / 16.0f, 1e-6f);
  EXPECT_NEAR(masked->picture(0)->mean[0][0][0].item<float>(), sum / 16.0f, 1e-6f) << "left of the middle";
  EXPECT_NE(masked->picture(0)->mean[0][0][4].item<float>(), 0.0f) << "120 is below a half";
  EXPECT_EQ(masked->picture(0)->mean[0][0][7].item<float>(), 0.0f);
}

TEST_F(PictureEncoderTest, OtherSizesMasksAndTilesAreOtherPictures) {
  Encode({Job(1), Job(1, PatternMask(32, 32, false)), Job(1, nullptr, 16)});
  EXPECT_THAT(script_.picture_sizes, ElementsAre(2, 1)) << "one size per forward";
  Encode({Job(1)}, /*tiled=*/true);
  EXPECT_THAT(script_.picture_sizes, ElementsAre(2, 1, 1));
  Encode({Job(1, PatternMask(32, 32, false))});
  EXPECT_THAT(script_.picture_sizes, ElementsAre(2, 1, 1)) << "an equal mask is the same";
}

TEST_F(PictureEncoderTest, StrictModeTakesThemOneByOne) {
  Build(1);
  Encode({Job(1), Job(2)});
  EXPECT_THAT(script_.picture_sizes, ElementsAre(1, 1));
}

TEST_F(PictureEncoderTest, WantOfMemoryHalvesTheBatch) {
  script_.max_pictures = 2;
  for (const absl::Status& status : Encode({Job(1), Job(2), Job(3), Job(4)})) EXPECT_TRUE(status.ok()) << status;
  EXPECT_THAT(script_.picture_sizes, ElementsAre(4, 2, 2));
  script_.max_pictures = 0;
  EXPECT_TRUE(absl::IsResourceExhausted(Encode({Job(5)}).front()));
}

TEST_F(PictureEncoderTest, NonsenseFailsItsJobs) {
  script_.encoder_overflows = true;
  DenoiseState* const job = Job(1);
  const absl::Status status = Encode({job}).front();
  EXPECT_EQ(ErrorReason(status), "NUMERIC_FAULT") << status;
  EXPECT_EQ(job->picture(0), nullptr);
  EXPECT_EQ(cache_.bytes(), 0);
}

TEST_F(PictureEncoderTest, HintsGoToTheirNetwork) {
  const sampling::PictureSource hint{
      .picture = PatternPicture(1, 32, 32), .use = sampling::PictureUse::kHint, .network = "edges"};
  DenoiseState* const job = Job(hint);
  for (const absl::Status& status : Encode({job, Job(hint), Job(1)})) EXPECT_TRUE(status.ok()) << status;
  EXPECT_THAT(hints_, ElementsAre(1));
  EXPECT_NEAR(job->picture(0)->mean[0][0][0].item<float>(), 3.0f * 31.0f / 255.0f, 1e-6f) << "pixels in 0..1";
  EXPECT_THAT(script_.picture_sizes, ElementsAre(1));
  sampling::PictureSource unknown = hint;
  unknown.network = "depth";
  EXPECT_TRUE(absl::IsNotFound(Encode({Job(unknown)}).front()));
  EXPECT_TRUE(absl::IsNotFound(encoder_->Start({Job(unknown), 0, false}).status()));
}

TEST(PictureCacheTest, IsBoundedByBytesAndForgetsTheOldest) {
  PictureCache cache(100);
  const auto insert = [&](const std::string& name, int64_t floats) {
    return cache.Insert({.network = "n", .sha256 = name}, {.mean = at::zeros({floats}), .deviation = {}});
  };
  insert("a", 10);
  insert("b", 10);
  EXPECT_NE(cache.Find({.network = "n", .sha256 = "a"}), nullptr);
  insert("c", 10);
  EXPECT_EQ(cache.Find({.network = "n", .sha256 = "b"}), nullptr) << "the least recently used";
  EXPECT_NE(cache.Find({.network = "n", .sha256 = "a"}), nullptr);
  EXPECT_EQ(cache.bytes(), 80);
  EXPECT_NE(insert("large", 1000), nullptr) << "made, but not kept";
  EXPECT_EQ(cache.bytes(), 80);
  EXPECT_EQ(cache.Find({.network = "m", .sha256 = "a"}), nullptr);
  cache.Insert({.network = "n", .sha256 = ""}, {.mean = at::zeros({1}), .deviation = {}});
  EXPECT_EQ(cache.Find({.network = "n", .sha256 = ""}), nullptr) << "of unknown digest";
}

}  // namespace
}  // namespace stepcast::engine
