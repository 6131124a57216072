#pragma once
// From the files that a request brought to the pictures that its jobs need: decoded, upright, masked, cut and resized.

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "core/generation_request.h"
#include "server/request/pictures/picture_files.h"

namespace stepcast {

// Decodes `files`, one after the other, into a copy of `request`; each file is dropped once it is decoded. Takes up to
// a second of CPU time per picture: never on a gRPC thread. `wanted` is asked between pictures.
//
// Errors, made by MakeError: IMAGE_UNDECODABLE; FIELD_INVALID for a mask that repaints nothing where only_masked is
// asked, or a picture that sent_pictures says to be another. CANCELLED as soon as `wanted` says no. INTERNAL without
// memory. REQUIRES: ValidateRequest made `request` with `files`.
absl::StatusOr<SharedRequest> ReadPictures(const GenerationRequest& request, PictureFiles files,
                                           const InputPictureLimits& limits, absl::FunctionRef<bool()> wanted);

// `request` with the pictures that `read` has: the same request, read before its model was read anew.
// Errors, made by MakeError: MODEL_LOADING where they do not fit any more, and are to be sent again.
absl::StatusOr<SharedRequest> WithPicturesOf(const GenerationRequest& request, const GenerationRequest& read);

// Most bytes that the pictures of `request` take once they are read.
int64_t KeptBytes(const GenerationRequest& request, const PictureFiles& files);

}  // namespace stepcast
