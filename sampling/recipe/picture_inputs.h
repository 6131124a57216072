#pragma once
// What a request's pictures mean for a stage: its start, what its denoiser reads, what is kept, what controls it.

#include <optional>
#include <vector>

#include "core/generation_request.h"
#include "sampling/recipe/recipe.h"

namespace stepcast::sampling {

// The strength that SamplerSpec takes for `request`; nullopt: all steps from pure noise. That is what a request without
// a picture gets, a model that only looks at the picture, and, as in diffusers, one that repaints at strength 1.
std::optional<double> StrengthOf(const GenerationRequest& request);

// The guidance_scale that SamplerSpec takes for `request`: as in diffusers, a model of ImageInput::kPicture is not
// guided at all where image_guidance_scale is below 1.
double GuidanceOf(const GenerationRequest& request);

// The input parts that rows of a model of ImageInput::kPicture see (Stage::inputs, Row::inputs).
inline constexpr int kShowsPicture = 0;
inline constexpr int kShowsNoPicture = 1;

// The rows of instruct-pix2pix (arXiv:2211.09800, eq. 3) at image guidance s_i: u without picture, u with it, c with
// it,
//   u + s_i (picture - u) + s (c - picture),
// where several prompts are sum of w_i * (c_i - picture).
RowSet PictureGuidance(int uncond, const std::vector<PromptRow>& prompts, double image_guidance_scale);

// Adds the pictures of `request` to the one stage of its recipe, and what the stage does with them.
// REQUIRES: the stage has its model, size and program.
void AddPictures(const GenerationRequest& request, Recipe& recipe);

}  // namespace stepcast::sampling
