#include "model/lora/lora_match.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace stepcast::model {
namespace {

using Pair = std::pair<absl::string_view, absl::string_view>;

constexpr size_t kListed = 5;   // layers in one message
constexpr size_t kShown = 120;  // characters of each

constexpr Pair kEnds[] = {{"conv_in", "input_blocks.0.0"},
                          {"time_embedding.linear_1", "time_embed.0"},
                          {"time_embedding.linear_2", "time_embed.2"},
                          {"add_embedding.linear_1", "label_emb.0.0"},
                          {"add_embedding.linear_2", "label_emb.0.2"},
                          {"conv_out", "out.2"}};
constexpr Pair kResnet[] = {{"conv1", "in_layers.2"},
                            {"time_emb_proj", "emb_layers.1"},
                            {"conv2", "out_layers.3"},
                            {"conv_shortcut", "skip_connection"}};

template <size_t kSize>
std::string Exchanged(absl::string_view name, const Pair (&table)[kSize]) {
  for (const auto& [from, to] : table) {
    if (name == from) return std::string(to);
  }
  return "";
}

// Takes "12." off the front.
bool ConsumeNumber(absl::string_view& text, int64_t& number) {
  const size_t dot = text.find('.');
  if (dot == text.npos || !absl::SimpleAtoi(text.substr(0, dot), &number)) return false;
  text.remove_prefix(dot + 1);
  return true;
}

std::string Flat(absl::string_view name) { return absl::StrReplaceAll(name, {{".", "_"}}); }

std::string MidName(absl::string_view rest) {
  int64_t number = 0;
  if (absl::ConsumePrefix(&rest, "attentions.0.")) return absl::StrCat("middle_block.1.", rest);
  if (!absl::ConsumePrefix(&rest, "resnets.") || !ConsumeNumber(rest, number)) return "";
  const std::string inner = Exchanged(rest, kResnet);
  return inner.empty() ? "" : absl::StrCat("middle_block.", 2 * number, ".", inner);
}

// Resnets of each block on the way down.
int64_t LayersOf(const std::vector<LoraSite>& sites) {
  int64_t layers = 0;
  for (const LoraSite& site : sites) {
    absl::string_view rest = site.name;
    int64_t number = 0;
    if (absl::ConsumePrefix(&rest, "down_blocks.0.resnets.") && ConsumeNumber(rest, number)) {
      layers = std::max(layers, number + 1);
    }
  }
  return layers;
}

// The sites of one network by every name that a file may have for them.
class NetworkNames {
 public:
  explicit NetworkNames(const LoraNetwork& network) {
    const bool unet = network.component == "unet";
    const int64_t layers = unet ? LayersOf(network.sites) : 0;
    // On the way up the original layout counts an upsampler behind the attention, where there is one.
    std::set<std::string> attended;
    for (const LoraSite& site : network.sites) {
      const size_t at = site.name.find(".attentions.");
      if (at != site.name.npos) attended.insert(site.name.substr(0, at));
    }
    for (size_t i = 0; i < network.sites.size(); ++i) {
      const std::string& name = network.sites[i].name;
      Add(name, static_cast<int>(i));
      if (!unet) continue;
      std::string original = OriginalName(name, layers);
      if (original.empty()) continue;
      const bool upsampler = absl::StrContains(name, ".upsamplers.");
      if (upsampler && !attended.contains(name.substr(0, name.find(".upsamplers.")))) {
        original = absl::StrReplaceAll(original, {{".2.conv", ".1.conv"}});
      }
      Add(original, static_cast<int>(i));
    }
  }

  // -1: there is none.
  int Find(const LoraModule& module) const {
    const auto& names = module.flat ? flat_ : dotted_;
    const auto found = names.find(module.layer);
    return found == names.end() ? -1 : found->second;
  }

 private:
  void Add(const std::string& name, int site) {
    dotted_.emplace(name, site);
    // Two names that underscores make one are nobody's.
    const auto [at, fresh] = flat_.emplace(Flat(name), site);
    if (!fresh && at->second != site) at->second = -1;
  }

  std::map<std::string, int> dotted_;
  std::map<std::string, int> flat_;
};

// Whether the layer's tensors have the shape that the site asks for; 1x1 kernels may be left out or not.
bool Fits(const LoraModule& module, const LoraSite& site) {
  const std::vector<int64_t>& down = module.down.shape;
  int64_t kernel = down.size() == 4 ? down[2] : 1;
  if (module.mid.has_value()) kernel = module.mid->shape[2];
  return down[1] == site.in && module.up.shape[0] == site.out && kernel == std::max<int64_t>(site.kernel, 1);
}

std::string Listed(const std::vector<std::string>& names) {
  const size_t shown = std::min(names.size(), kListed);
  std::string text = absl::StrJoin(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shown), ", ");
  if (shown < names.size()) absl::StrAppend(&text, " and ", names.size() - shown, " more");
  return text;
}

std::string ShapeText(const LoraModule& module) {
  return absl::StrCat(absl::StrJoin(module.down.shape, "x"), " and ", absl::StrJoin(module.up.shape, "x"));
}

}  // namespace

std::string OriginalName(const std::string& name, int64_t layers) {
  const std::string simple = Exchanged(name, kEnds);
  if (!simple.empty()) return simple;
  absl::string_view rest = name;
  if (absl::ConsumePrefix(&rest, "mid_block.")) return MidName(rest);
  const bool down = absl::StartsWith(rest, "down_blocks.");
  int64_t level = 0, number = 0;
  if (!absl::ConsumePrefix(&rest, down ? "down_blocks." : "up_blocks.") || !ConsumeNumber(rest, level)) return "";
  const std::string path = down ? "input_blocks." : "output_blocks.";
  const auto block = [&](int64_t layer) {
    return absl::StrCat(path, level * (layers + 1) + layer + (down ? 1 : 0), ".");
  };
  if (rest == "downsamplers.0.conv") return absl::StrCat(block(layers), "0.op");
  if (rest == "upsamplers.0.conv") return absl::StrCat(block(layers), "2.conv");
  const bool resnet = absl::ConsumePrefix(&rest, "resnets.");
  if (!resnet && !absl::ConsumePrefix(&rest, "attentions.")) return "";
  if (!ConsumeNumber(rest, number)) return "";
  if (!resnet) return absl::StrCat(block(number), "1.", rest);
  const std::string inner = Exchanged(rest, kResnet);
  return inner.empty() ? "" : absl::StrCat(block(number), "0.", inner);
}

absl::StatusOr<std::vector<LoraMatch>> MatchLora(const LoraFile& file, const LoraTargets& targets) {
  std::vector<NetworkNames> names;
  for (const LoraNetwork& network : targets) names.emplace_back(network);
  std::vector<LoraMatch> matches;
  std::vector<std::string> unknown, misshaped, doubled;
  std::set<std::pair<size_t, int>> taken;
  for (const LoraModule& module : file.modules) {
    const std::string shown = absl::CHexEscape(module.key.substr(0, kShown));
    const auto network = std::find_if(targets.begin(), targets.end(),
                                      [&](const LoraNetwork& each) { return each.component == module.component; });
    const auto number = static_cast<size_t>(network - targets.begin());
    const int site = network == targets.end() ? -1 : names[number].Find(module);
    if (site < 0) {
      unknown.push_back(shown);
    } else if (const LoraSite& layer = network->sites[static_cast<size_t>(site)]; !Fits(module, layer)) {
      const std::string kernel = layer.kernel > 1 ? absl::StrCat(" with a kernel of ", layer.kernel) : "";
      misshaped.push_back(
          absl::StrCat(shown, " (", ShapeText(module), " for a layer from ", layer.in, " to ", layer.out, kernel, ")"));
    } else if (!taken.emplace(number, site).second) {
      doubled.push_back(shown);
    } else {
      matches.push_back({.network = number, .site = site, .module = &module});
    }
  }
  std::vector<std::string> why;
  if (!unknown.empty()) {
    why.push_back(absl::StrCat(unknown.size(), " of its ", file.modules.size(),
                               " layers are none of the model's: ", Listed(unknown)));
  }
  if (!misshaped.empty()) {
    why.push_back(absl::StrCat(misshaped.size(), " have another shape there: ", Listed(misshaped)));
  }
  if (!doubled.empty()) why.push_back(absl::StrCat(doubled.size(), " are named twice: ", Listed(doubled)));
  if (!why.empty()) return absl::InvalidArgumentError(absl::StrJoin(why, "; "));
  return matches;
}

}  // namespace stepcast::model
