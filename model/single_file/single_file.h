#pragma once
// Opens a checkpoint in one file as the folder that its family expects.

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "core/sampling_types.h"
#include "model/files/model_index.h"

namespace stepcast::model {

// What an operator says of a file, which wins over what the file says.
struct SingleFileOptions {
  std::optional<PredictionType> prediction_type;
  std::optional<bool> zero_terminal_snr;
  std::string source;    // where that was read
  bool has_vae = false;  // another autoencoder is named; the file's is not needed
};

// Maps `path` and describes its parts; no weight is read yet. The index shares the mapping.
// Errors: as SafetensorsFile::Open; FAILED_PRECONDITION for pickles and other formats, with the way out;
// INVALID_ARGUMENT saying what the file is, where it is no checkpoint that can be painted with.
absl::StatusOr<ModelIndex> OpenSingleFile(const std::string& path, const SingleFileOptions& options);

// An autoencoder in a file of its own, with the names of the original layout or of diffusers. `like` is what takes the
// place of a config: that of the autoencoder it replaces, whose scaling factor and upcast it keeps.
// Errors: as OpenSingleFile.
absl::StatusOr<ComponentSource> OpenVaeFile(const std::string& path, const nlohmann::json& like);

}  // namespace stepcast::model
