#pragma once
// What the models of the Stable Diffusion XL family are told of a picture beside its prompt (Podell et al. 2023, 2.2).

#include <optional>
#include <vector>

namespace stepcast {

enum class SizeConditioning {
  kNone,            // the model is told nothing
  kTarget,          // base models: original, crop, and the size aimed at
  kAestheticScore,  // refiners: original, crop, and how well liked the picture is
};

// In pixels.
struct NegativeSizes {
  int original_width = 0;
  int original_height = 0;
  int crop_left = 0;
  int crop_top = 0;
  int target_width = 0;
  int target_height = 0;

  friend bool operator==(const NegativeSizes&, const NegativeSizes&) = default;
};

// Sizes in pixels.
struct PictureSizes {
  int original_width = 0;
  int original_height = 0;
  int crop_left = 0;
  int crop_top = 0;
  int target_width = 0;                   // not read with kAestheticScore
  int target_height = 0;                  // likewise
  double aesthetic_score = 6.0;           // read with kAestheticScore
  double negative_aesthetic_score = 2.5;  // of the negative prompt
  // Beside the negative prompt, with kTarget; nullopt: the same as beside the prompt.
  std::optional<NegativeSizes> negative = std::nullopt;
};

// The numbers in the order in which the denoiser reads them: height before width, top before left.
inline std::vector<float> SizeIds(SizeConditioning kind, const PictureSizes& sizes, bool negative) {
  if (kind == SizeConditioning::kNone) return {};
  if (kind == SizeConditioning::kTarget && negative && sizes.negative.has_value()) {
    const NegativeSizes& other = *sizes.negative;
    return {static_cast<float>(other.original_height), static_cast<float>(other.original_width),
            static_cast<float>(other.crop_top),        static_cast<float>(other.crop_left),
            static_cast<float>(other.target_height),   static_cast<float>(other.target_width)};
  }
  // The reference tells a refiner of no crop beside the negative prompt.
  const bool cropped = kind == SizeConditioning::kTarget || !negative;
  std::vector<float> ids = {static_cast<float>(sizes.original_height), static_cast<float>(sizes.original_width),
                            static_cast<float>(cropped ? sizes.crop_top : 0),
                            static_cast<float>(cropped ? sizes.crop_left : 0)};
  if (kind == SizeConditioning::kTarget) {
    ids.push_back(static_cast<float>(sizes.target_height));
    ids.push_back(static_cast<float>(sizes.target_width));
  } else {
    ids.push_back(static_cast<float>(negative ? sizes.negative_aesthetic_score : sizes.aesthetic_score));
  }
  return ids;
}

// How many numbers SizeIds gives.
inline int SizeIdCount(SizeConditioning kind) {
  return static_cast<int>(SizeIds(kind, PictureSizes(), /*negative=*/false).size());
}

}  // namespace stepcast
