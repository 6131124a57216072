#include "sampling/schedule/prediction.h"

#include <cmath>

namespace stepcast::sampling {

PredictionForm PredictX0(PredictionType type, double alpha, double sigma) {
  switch (type) {
    case PredictionType::kEpsilon:
      return {1.0 / alpha, -sigma / alpha};
    case PredictionType::kVPrediction:
      return {alpha, -sigma};
    case PredictionType::kSample:
      break;
  }
  return {0.0, 1.0};
}

PredictionForm PredictNoise(PredictionType type, double alpha, double sigma) {
  switch (type) {
    case PredictionType::kEpsilon:
      return {0.0, 1.0};
    case PredictionType::kVPrediction:
      return {sigma, alpha};
    case PredictionType::kSample:
      break;
  }
  return {1.0 / sigma, -alpha / sigma};
}

PredictionForm PredictX0InSigmaSpace(PredictionType type, double sigma) {
  switch (type) {
    case PredictionType::kEpsilon:
      return {1.0, -sigma};
    case PredictionType::kVPrediction:
      return {1.0 / (sigma * sigma + 1.0), -sigma / std::sqrt(sigma * sigma + 1.0)};
    case PredictionType::kSample:
      break;
  }
  return {0.0, 1.0};
}

}  // namespace stepcast::sampling
