#pragma once
// The request that a picture carries (`output.embed_parameters`). Files are not trusted.

#include <optional>
#include <string>
#include <string_view>

namespace stepcast::cli {

// Whether `bytes` begin as a PNG, JPEG or WebP.
bool IsPicture(std::string_view bytes);

// The GenerateRequest in JSON that the picture holds: the PNG text "stepcast", or the last key of EXIF's UserComment.
// nullopt when there is none; `problem` then says why. REQUIRES: IsPicture(bytes).
std::optional<std::string> EmbeddedRequest(std::string_view bytes, std::string& problem);

// The text of EXIF's UserComment in a TIFF structure, as UTF-8; nullopt when there is none.
std::optional<std::string> ExifComment(std::string_view tiff);

}  // namespace stepcast::cli
