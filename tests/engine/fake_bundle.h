#pragma once
// A model without weights: every part is a short formula, row by row, so that what the engine does around the
// model can be checked against plain arithmetic.

#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/model_info.h"
#include "engine/shelves/model_shelf.h"
#include "model/model_bundle.h"

namespace stepcast::engine {

inline constexpr int kFakeVocabulary = 100;
inline constexpr int32_t kNanToken = 98;    // a prompt with it gets an embedding of NaN
inline constexpr int kFakeTilePixels = 32;  // side of a tile, where a model's info says that there are any
inline constexpr int32_t kThrowToken = 97;  // a forward with it throws

// What a test sets and reads. Shared by the parts of one bundle.
struct FakeScript {
  int64_t max_rows = 1 << 20;                  // a denoiser forward of more rows runs out of memory
  std::optional<float> pooled = std::nullopt;  // fills a pooled embedding
  int64_t max_images = 1 << 20;                // likewise the decoder
  bool denoiser_throws = false;
  float rows_meet = 0.0f;     // how much of the first row's first number every prediction gets
  int64_t meeting_width = 0;  // in forwards of so many cells alone; 0: in all
  float throws_above = 1e9f;  // a forward throws that has a row whose prompt embedding has a larger mean
  float poison_above = 1e9f;  // rows whose prompt embedding has a larger mean come out as NaN

  std::vector<int64_t> encode_sizes;                         // prompts of each encoder forward
  std::vector<int64_t> forward_rows;                         // rows of each denoiser forward, failed ones too
  std::vector<std::vector<float>> timesteps;                 // of each denoiser forward
  std::vector<const void*> conditioning_data;                // where the embeddings of each denoiser forward were
  std::vector<std::vector<float>> guidance_scales;           // of the forwards that were told any
  c10::ScalarType input_dtype = c10::ScalarType::Undefined;  // of the last denoiser forward
  std::vector<int64_t> decode_sizes;                         // pictures of each decoder forward
  std::vector<int64_t> tiled_sizes;                          // of those in tiles
  std::vector<int64_t> picture_sizes;                        // pictures of each forward of the picture encoder
  int64_t max_pictures = 1 << 20;                            // likewise the picture encoder
  bool encoder_overflows = false;                            // codes are infinite
  std::vector<int64_t> preview_sizes;                        // pictures of each forward of the preview decoder
  std::optional<float> previews = std::nullopt;              // what all previews show instead
};

// 4 latent channels, 4 pixels per cell, float32 on the CPU. `dtype` is the compute dtype.
std::shared_ptr<const model::ModelBundle> MakeFakeBundle(const std::string& id, FakeScript* script,
                                                         c10::ScalarType dtype = c10::ScalarType::Float);

// The same with an info of its own.
std::shared_ptr<const model::ModelBundle> MakeFakeBundle(SharedModelInfo info, FakeScript* script);

// A shelf with all of `bundles`.
inline std::shared_ptr<ModelShelf> ShelfOf(std::vector<SharedBundle> bundles) {
  auto shelf = std::make_shared<ModelShelf>();
  for (SharedBundle& bundle : bundles) shelf->Put(std::move(bundle));
  return shelf;
}

// What the fake denoiser predicts for `input` [C, h, w] float32.
at::Tensor FakePrediction(const at::Tensor& input, float timestep, const std::vector<int32_t>& prompt);

}  // namespace stepcast::engine
