#pragma once
// The settings of one picture as its file carries them (`output.embed_parameters`).

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "core/generation_request.h"

namespace stepcast {

struct PictureParameters {
  // In the words of other tools: prompt, then "Negative prompt: ...", then one line of settings: "Steps: 20, Sampler:
  // Euler a, Schedule type: Karras, CFG scale: 7.5, Seed: 7, Size: 512x512, Model hash: ..., Model: emoji, ...". Values
  // with a comma, colon or newline are quoted as JSON; numbers are the shortest that read back the same.
  std::string infotext;
  // A GenerateRequest in proto3 JSON that asks for this picture alone, with the same bytes: Accepted.request with the
  // picture's own seed, without previews.
  std::string request_json;

  // Both in one text, for files with one place: the settings end with the key "Stepcast request", JSON quoted as JSON.
  std::string Joined() const;
};

// REQUIRES: 0 <= image_index < request.image_count.
PictureParameters ParametersOf(const GenerationRequest& request, int image_index);

// Whether the parameters of `request` fit its file format, if it wants them. Errors: FIELD_INVALID, made by MakeError.
absl::Status CheckParametersFit(const GenerationRequest& request);

// A generous bound of what the parameters add to a file; 0 when `request` does not want them. Bytes.
int64_t ParametersBytes(const GenerationRequest& request);

}  // namespace stepcast
