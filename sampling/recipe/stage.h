#pragma once
// One pass of one model over latents of one size, as plain values. What tells image-to-image, inpainting and their like
// apart is what a stage says here, and no code that knows their names.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/input_picture.h"
#include "core/model_info.h"
#include "sampling/program/sampling_program.h"
#include "sampling/recipe/row_set.h"

namespace stepcast::sampling {

// What a network makes of a picture.
enum class PictureUse : uint8_t {
  kSample,  // a draw of the autoencoder's posterior, scaled as latents are, with the job's own generator
  kMode,    // the posterior's mode, not scaled, as instruct-pix2pix takes it
  kHint,    // what the hint embedding of ControlNet `network` makes of it
};

// A picture that a recipe needs in the form of tensors.
struct PictureSource {
  InputPicture picture = {};
  PictureUse use = PictureUse::kSample;
  std::string network = {};  // of kHint: id of the ControlNet
  SharedMask erased = {};    // pixels of 128 and more are 0 in [-1, 1]; null: none
};

// What a stage begins with.
enum class StageStart : uint8_t {
  kNoise,    // noise alone
  kPicture,  // Stage::start_picture
  kLatents,  // what the stage before has come to, and, where the program's start has a share of noise, the first
             // normals of a fresh generator with the picture's seed
};

// How latents of one size become latents of another. As torch's interpolate with align_corners off.
enum class LatentResize : uint8_t {
  kNone,
  kNearest,
  kNearestExact,
  kBilinear,
  kBilinearAntialias,
  kBicubic,
  kBicubicAntialias,
};

// Some of the channels that follow the latents in the denoiser's input: a map, a picture, or zeros.
struct InputPart {
  SharedWeightMap map = nullptr;  // one channel, of the latents' size
  int picture = -1;               // index into Recipe::pictures
  int zeros = 0;                  // channels
};
using InputParts = std::vector<InputPart>;  // side by side

// Cells that are kept as a picture has them.
struct Blend {
  SharedWeightMap mask;  // of the latents' size: 1 is repainted, 0 kept
  int picture = 0;       // index into Recipe::pictures, of kSample
  BlendDomain domain = BlendDomain::kLatents;
  // A cell is kept until its value has reached 1 - i / n, i evaluations of n being done, then free; 0 is kept to the
  // end.
  bool differential = false;
};

// A ControlNet beside the denoiser, in evaluations first_evaluation .. end_evaluation - 1.
struct StageControl {
  int picture = 0;           // index into Recipe::pictures, of kHint
  std::string network = {};  // id of the ControlNet
  float scale = 1.0f;
  int first_evaluation = 0;
  int end_evaluation = 0;
  std::optional<int> control_type = std::nullopt;
  bool guess_mode = false;
};

// A LoRA in the denoiser, for all rows of the stage.
struct StageLora {
  std::string key = {};  // LoraKey
  float scale = 1.0f;
  double cost = 0.0;  // what a row costs more, as a share of it

  friend bool operator==(const StageLora&, const StageLora&) = default;
};

struct Stage {
  SharedModelInfo model;
  SharedProgram program;
  std::vector<RowSet> row_sets;  // by RowSetOf(evaluation)
  int latent_height = 0;
  int latent_width = 0;
  StageStart start = StageStart::kNoise;
  LatentResize resize = LatentResize::kNone;  // of kLatents: where the sizes differ
  int start_picture = -1;                     // of kPicture: index into Recipe::pictures, of kSample
  // Of kPicture: the share of each cell of it that begins as the stage's first normals instead; null: none.
  SharedWeightMap noise_fill = nullptr;
  std::vector<InputParts> inputs = {};  // by Row::inputs; empty where the denoiser reads latents alone
  std::optional<Blend> blend = std::nullopt;
  std::vector<StageControl> control = {};
  std::vector<StageLora> loras = {};
  // Draws of the latents' shape that follow the initial noise and that nobody reads, of autoencoders with a posterior:
  // diffusers encodes a picture there that this recipe does without.
  int spare_draws = 0;

  const RowSet& RowsOf(const Evaluation& evaluation) const {
    return row_sets[static_cast<size_t>(RowSetOf(evaluation))];
  }
};

}  // namespace stepcast::sampling
