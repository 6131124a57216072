#pragma once
// A job's tensors and generator as bytes, to go on with elsewhere.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "sampling/program/noise_generator.h"

namespace stepcast::engine {

struct SavedJob {
  int stage = 0;
  bool begun = false;               // the stage: its pictures are drawn
  std::vector<int64_t> shape = {};  // [tensors, C, h, w]
  sampling::NoiseGenerator::State generator = {};
  std::vector<float> values = {};  // as many as the shape says
};

// Numbers are little-endian and float32; equal jobs have equal bytes. `job.values` is not read. REQUIRES: as many
// values as the shape says, of four dimensions.
std::string EncodeSaved(const SavedJob& job, absl::Span<const float> values);

// Errors: INVALID_ARGUMENT for bytes that EncodeSaved did not make.
absl::StatusOr<SavedJob> DecodeSaved(absl::string_view bytes);

}  // namespace stepcast::engine
