#include "model/single_file/checkpoint.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/status_macros.h"
#include "model/single_file/name_rules.h"

namespace stepcast::model {
namespace {

constexpr int64_t kWholeTowerOfSecond = 24;  // layers of the published OpenCLIP ViT-H
constexpr size_t kNamed = 5;                 // tensors in one warning

// Stable Diffusion 2 reads the last layer but one. Its files hold the whole tower, to be told by its last layer or its
// projection; files that were written back from diffusers hold what is read.
bool DropsLastLayer(CheckpointFamily family, const TextLayout& text) {
  return family == CheckpointFamily::kStableDiffusion2 && text.layers > 1 &&
         (text.layers == kWholeTowerOfSecond || text.projection > 0) && text.layers != kWholeTowerOfSecond - 1;
}

// Warns of tensors that belong to no part.
void NoteStrangers(const TensorListing& tensors, Checkpoint& checkpoint) {
  std::vector<std::string> prefixes = {std::string(kUNetPrefix), kVaePrefix};
  for (const CheckpointText& text : checkpoint.texts) prefixes.push_back(text.place.prefix);
  std::vector<std::string> strangers;
  size_t count = 0;
  for (const auto& [name, entry] : tensors.tensors()) {
    const bool owned = std::any_of(prefixes.begin(), prefixes.end(),
                                   [text = name](const std::string& prefix) { return absl::StartsWith(text, prefix); });
    if (owned || IsNeedless(name)) continue;
    if (count++ < kNamed) strangers.push_back(absl::CHexEscape(name.substr(0, 80)));
  }
  if (count == 0) return;
  checkpoint.warnings.push_back(absl::StrCat(count, " tensors that belong to no part of the model are passed over: ",
                                             absl::StrJoin(strangers, ", "), count > kNamed ? ", ..." : ""));
}

absl::Status ReadTexts(const TensorListing& tensors, const std::vector<TextPlace>& places, Checkpoint& checkpoint) {
  for (const TextPlace& place : places) {
    STEPCAST_ASSIGN_OR_RETURN(TextLayout text, ReadTextLayout(tensors, place));
    if (DropsLastLayer(checkpoint.family, text)) {
      --text.layers;
      checkpoint.decisions.push_back({"text_layers", absl::StrCat(text.layers),
                                      absl::StrCat("the last but one of the ", text.layers + 1, " in the file")});
    }
    checkpoint.texts.push_back({place, text});
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Checkpoint> DetectCheckpoint(const TensorListing& tensors, const PredictionEvidence& evidence) {
  Checkpoint checkpoint;
  STEPCAST_ASSIGN_OR_RETURN(const FamilyFound found, DetectFamily(tensors));
  checkpoint.family = found.family;
  checkpoint.decisions.push_back({"family", FamilyName(found.family), found.source});
  STEPCAST_ASSIGN_OR_RETURN(checkpoint.unet, ReadUNetLayout(tensors));
  if (checkpoint.unet.mid_depth <= 0) {
    return absl::InvalidArgumentError(
        "this is a U-Net without attention in its middle, a distilled one, which is not supported");
  }
  if (checkpoint.unet.depths != checkpoint.unet.up_depths) {
    return absl::InvalidArgumentError(
        "this is a U-Net with other attention on its way up than on its way down, a distilled "
        "one, which is not supported");
  }
  STEPCAST_RETURN_IF_ERROR(ReadTexts(tensors, found.texts, checkpoint));
  if (tensors.HasPrefix(kVaePrefix)) {
    STEPCAST_ASSIGN_OR_RETURN(checkpoint.vae, ReadVaeLayout(tensors, kVaePrefix));
  }
  checkpoint.prediction = DetectPrediction(tensors, found.family, evidence);
  std::copy(checkpoint.prediction.decisions.begin(), checkpoint.prediction.decisions.end(),
            std::back_inserter(checkpoint.decisions));
  checkpoint.warnings = checkpoint.prediction.warnings;
  NoteStrangers(tensors, checkpoint);
  return checkpoint;
}

}  // namespace stepcast::model
