#pragma once
// What people say of a model beside its files: its card, or its entry in the server's configuration.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/decoding.h"
#include "core/dtype.h"
#include "core/sampling_enums.h"

namespace stepcast {

// What a request gets for each field it leaves unset. An empty optional or list: nothing is said.
struct CardDefaults {
  std::optional<Sampler> sampler = std::nullopt;
  std::optional<SigmaSchedule> sigma_schedule = std::nullopt;
  std::optional<TimestepSpacing> timestep_spacing = std::nullopt;
  std::optional<int> steps = std::nullopt;
  std::vector<double> timesteps = {};
  std::vector<double> sigmas = {};
  std::optional<double> guidance_scale = std::nullopt;
  std::optional<double> guidance_rescale = std::nullopt;
  std::optional<double> eta = std::nullopt;
  std::optional<int> clip_skip = std::nullopt;
  std::optional<std::string> negative_prompt = std::nullopt;
  std::optional<int> width = std::nullopt;   // pixels
  std::optional<int> height = std::nullopt;  // pixels
};

struct ModelCard {
  std::string source;  // where it was read, for messages: "emoji/model.json", "the configuration"
  std::optional<std::string> display_name = std::nullopt;
  std::optional<std::string> description = std::nullopt;
  std::optional<std::string> license = std::nullopt;
  std::optional<std::string> attribution = std::nullopt;
  std::optional<PredictionType> prediction_type = std::nullopt;
  std::optional<bool> zero_terminal_snr = std::nullopt;
  DtypeWish dtype = {};
  std::string vae = {};  // the path of another autoencoder, a file or a folder; "": the model's own
  // "linear", "none", or the path of a small decoder, a file or a folder; "": linear.
  std::string preview = {};
  std::optional<VaeTiling> vae_tiling = std::nullopt;
  std::optional<int64_t> vae_tiling_pixels = std::nullopt;
  CardDefaults defaults = {};
};

// Whether `preview` is a path.
inline bool NamesPreviewFile(const ModelCard& card) {
  return !card.preview.empty() && card.preview != "linear" && card.preview != "none";
}

}  // namespace stepcast
