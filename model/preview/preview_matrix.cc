#include "model/preview/preview_matrix.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "model/files/json_config.h"

namespace stepcast::model {
namespace {

absl::StatusOr<std::array<double, 3>> ReadRgb(const nlohmann::json& value, const std::string& where) {
  std::array<double, 3> rgb;
  bool good = value.is_array() && value.size() == 3;
  for (size_t i = 0; good && i < 3; ++i) {
    good = value[i].is_number() && std::isfinite(value[i].get<double>());
    if (good) rgb[i] = value[i].get<double>();
  }
  if (!good) return absl::InvalidArgumentError(absl::StrCat(where, " must be three finite numbers (red, green, blue)"));
  return rgb;
}

}  // namespace

absl::StatusOr<PreviewMatrix> ReadPreviewMatrix(const std::string& path, int64_t latent_channels) {
  STEPCAST_ASSIGN_OR_RETURN(JsonConfig json, JsonConfig::Read(path));
  const int64_t channels = json.Int("latent_channels", latent_channels, 1, 256);
  if (channels != latent_channels) {
    json.Problem("latent_channels", absl::StrCat("is ", channels, ", the model has ", latent_channels));
  }
  const nlohmann::json* matrix = json.Find("matrix");
  const nlohmann::json* bias = json.Find("bias");
  if (matrix == nullptr || !matrix->is_array() || matrix->size() != static_cast<size_t>(latent_channels)) {
    json.Problem("matrix", absl::StrCat("must have one row per latent channel (", latent_channels, ")"));
  }
  STEPCAST_RETURN_IF_ERROR(json.Finish());
  PreviewMatrix preview;
  for (const nlohmann::json& row : *matrix) {
    STEPCAST_ASSIGN_OR_RETURN(const auto rgb, ReadRgb(row, absl::StrCat(path, ": a row of matrix")));
    preview.rows.push_back(rgb);
  }
  if (bias != nullptr) {
    STEPCAST_ASSIGN_OR_RETURN(preview.bias, ReadRgb(*bias, absl::StrCat(path, ": bias")));
  }
  return preview;
}

PreviewMatrix FallbackPreviewMatrix(int64_t latent_channels, bool sdxl) {
  // As ComfyUI publishes them.
  if (latent_channels == 4 && sdxl) {
    return {
        {{0.3651, 0.4232, 0.4341}, {-0.2533, -0.0042, 0.1068}, {0.1076, 0.1111, -0.0362}, {-0.3165, -0.2492, -0.2188}},
        {0.1084, -0.0175, -0.0011}};
  }
  if (latent_channels == 4) {
    return {
        {{0.3512, 0.2297, 0.3227}, {0.3250, 0.4974, 0.2350}, {-0.2829, 0.1762, 0.2721}, {-0.2120, -0.2616, -0.7177}},
        {0, 0, 0}};
  }
  const double mean = 1.0 / static_cast<double>(latent_channels);
  return {std::vector<std::array<double, 3>>(static_cast<size_t>(latent_channels), {mean, mean, mean}), {0, 0, 0}};
}

}  // namespace stepcast::model
