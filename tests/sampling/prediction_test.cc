#include "sampling/schedule/prediction.h"

#include <gtest/gtest.h>

#include <cmath>

namespace stepcast::sampling {
namespace {

constexpr double kPicture = 0.7;
constexpr double kNoise = -1.3;

double Apply(PredictionForm form, double latents, double output) {
  return form.from_latents * latents + form.from_output * output;
}

// What a perfect denoiser of each kind says of latents = alpha * picture + sigma * noise.
double PerfectOutput(PredictionType type, double alpha, double sigma) {
  switch (type) {
    case PredictionType::kEpsilon:
      return kNoise;
    case PredictionType::kVPrediction:
      return alpha * kNoise - sigma * kPicture;
    case PredictionType::kSample:
      break;
  }
  return kPicture;
}

TEST(PredictionTest, PerfectDenoisersGiveBackPictureAndNoise) {
  for (const PredictionType type : {PredictionType::kEpsilon, PredictionType::kVPrediction, PredictionType::kSample}) {
    SCOPED_TRACE(std::string(PredictionTypeName(type)));
    for (const double alpha_cumprod : {0.9999, 0.5, 0.004}) {
      const double alpha = std::sqrt(alpha_cumprod);
      const double sigma = std::sqrt(1.0 - alpha_cumprod);
      const double latents = alpha * kPicture + sigma * kNoise;
      const double output = PerfectOutput(type, alpha, sigma);
      EXPECT_NEAR(Apply(PredictX0(type, alpha, sigma), latents, output), kPicture, 1e-12);
      EXPECT_NEAR(Apply(PredictNoise(type, alpha, sigma), latents, output), kNoise, 1e-10);
      // The same latents in sigma space are latents / alpha.
      EXPECT_NEAR(Apply(PredictX0InSigmaSpace(type, sigma / alpha), latents / alpha, output), kPicture, 1e-12);
    }
  }
}

}  // namespace
}  // namespace stepcast::sampling
