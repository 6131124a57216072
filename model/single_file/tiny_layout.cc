#include "model/single_file/tiny_layout.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace stepcast::model {
namespace {

constexpr size_t kMostSizes = 8;
constexpr int64_t kMostBlocks = 64;

struct Place {
  const char* prefix;
  int64_t first;
};
constexpr Place kPlaces[] = {{"decoder.layers.", 0}, {"taesd_decoder.", 1}, {"decoder.", 1}, {"", 1}};

std::string Layer(const TinyLayout& layout, int64_t number) {
  return absl::StrCat(layout.prefix, number + layout.first, ".");
}

// Counts blocks and doublings from the layer behind the first activation on. False where they do not end in colours.
bool WalkSizes(const TensorListing& tensors, TinyLayout& layout) {
  int64_t number = 2;
  while (layout.blocks.size() < kMostSizes) {
    int64_t blocks = 0;
    while (blocks < kMostBlocks && tensors.Has(absl::StrCat(Layer(layout, number), "conv.0.weight"))) {
      ++blocks;
      ++number;
    }
    layout.blocks.push_back(blocks);
    const std::string last = absl::StrCat(Layer(layout, number), "weight");
    if (tensors.Has(last)) return tensors.Dim(last, 0) == 3;
    if (!tensors.Has(absl::StrCat(Layer(layout, number + 1), "weight"))) return false;
    number += 2;  // the doubling has no weights
  }
  return false;
}

}  // namespace

std::optional<TinyLayout> FindTinyDecoder(const TensorListing& tensors) {
  for (const Place& place : kPlaces) {
    TinyLayout layout;
    layout.prefix = place.prefix;
    layout.first = place.first;
    const std::string conv_in = absl::StrCat(Layer(layout, 0), "weight");
    layout.width = tensors.Dim(conv_in, 0);
    layout.latent_channels = tensors.Dim(conv_in, 1);
    if (layout.width == 0 || tensors.Dim(conv_in, 3) != 3) continue;
    if (WalkSizes(tensors, layout)) return layout;
  }
  return std::nullopt;
}

bool IsTinyEncoder(const TensorListing& tensors) {
  return tensors.Dim("0.weight", 1) == 3 && tensors.Has("1.conv.0.weight") && tensors.Has("1.conv.4.weight");
}

nlohmann::json TinyConfigJson(const TinyLayout& layout) {
  return {{"_class_name", "AutoencoderTiny"},
          {"latent_channels", layout.latent_channels},
          {"num_decoder_blocks", layout.blocks},
          {"decoder_block_out_channels", std::vector<int64_t>(layout.blocks.size(), layout.width)}};
}

ViewRule TinyNames(const TinyLayout& layout) {
  return [layout](const TensorEntry& entry) -> std::vector<TensorView> {
    absl::string_view name = TensorListing::Unwrapped(entry.name);
    int64_t number = 0;
    const bool ours = absl::ConsumePrefix(&name, layout.prefix);
    const size_t dot = name.find('.');
    if (!ours || dot == name.npos || !absl::SimpleAtoi(name.substr(0, dot), &number) || number < layout.first)
      return {};
    return {{.name = absl::StrCat("decoder.layers.", number - layout.first, name.substr(dot))}};
  };
}

}  // namespace stepcast::model
