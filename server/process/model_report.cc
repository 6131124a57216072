#include "server/process/model_report.h"

#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "core/model_memory.h"
#include "core/string_view.h"
#include "server/catalog/model_description.h"
#include "server/telemetry/logging.h"

namespace stepcast {
namespace {

// "859.5 M".
std::string Millions(int64_t count) { return absl::StrFormat("%.1f M", static_cast<double>(count) / 1e6); }

std::string FileNames(const std::vector<std::string>& files) {
  return absl::StrJoin(files, ", ", [](std::string* out, const std::string& file) {
    absl::StrAppend(out, std::filesystem::path(file).filename().string());
  });
}

void Line(std::string& text, absl::string_view name, absl::string_view value) {
  if (!value.empty()) absl::StrAppendFormat(&text, "%-14s %s\n", name, value);
}

std::string PaintsFrom(const ModelInfo& info) {
  switch (info.conditioning) {
    case ConditioningKind::kText:
      return info.tokenizer_dirs.size() == 2 ? "a prompt, read by two encoders" : "a prompt";
    case ConditioningKind::kClassLabel:
      return absl::StrCat("one of ", info.class_labels.size(), " classes");
    case ConditioningKind::kNone:
      break;
  }
  return "noise alone";
}

// The width of a column: its longest cell.
template <typename Rows, typename Cell>
int Width(const Rows& rows, Cell cell) {
  size_t width = 0;
  for (const auto& row : rows) width = std::max(width, cell(row).size());
  return static_cast<int>(width);
}

// Joins words, in lines that end before column 100 and begin where Line puts its values.
std::string Wrapped(const std::vector<std::string>& words) {
  constexpr size_t kIndent = 15, kColumns = 100;
  std::string text;
  size_t column = kIndent;
  for (const std::string& word : words) {
    if (!text.empty()) absl::StrAppend(&text, ",");
    if (!text.empty() && column + word.size() + 2 > kColumns) {
      absl::StrAppend(&text, "\n", std::string(kIndent, ' '));
      column = kIndent;
    } else if (!text.empty()) {
      absl::StrAppend(&text, " ");
    }
    absl::StrAppend(&text, word);
    column += word.size() + 2;
  }
  return text;
}

std::string Components(const ModelInfo& info) {
  const int names = Width(info.components, [](const ModelComponent& part) { return part.name; });
  const int classes = Width(info.components, [](const ModelComponent& part) { return part.class_name; });
  std::string text = "components\n";
  for (const ModelComponent& part : info.components) {
    absl::StrAppendFormat(&text, "  %-*s  %-*s  %10s  %s -> %s  %s\n", names, part.name, classes, part.class_name,
                          Millions(part.parameters), absl::StrJoin(part.stored_types, "+"), part.compute_type,
                          FileNames(part.files));
  }
  return text;
}

std::string Decisions(const ModelInfo& info) {
  const int names = Width(info.decisions, [](const ModelDecision& decision) { return decision.about; });
  const int values = Width(info.decisions, [](const ModelDecision& decision) { return decision.value; });
  std::string text = "decisions\n";
  for (const ModelDecision& decision : info.decisions) {
    absl::StrAppendFormat(&text, "  %-*s  %-*s  (%s)\n", names, decision.about, values, decision.value,
                          decision.source);
  }
  return info.decisions.empty() ? "" : text;
}

std::string Defaults(const ModelInfo& info) {
  const ModelDefaults& defaults = info.defaults;
  std::string text = absl::StrCat(ToAbsl(SamplerName(defaults.sampler)), ", ", defaults.steps, " steps");
  if (defaults.sigma_schedule != SigmaSchedule::kDefault)
    absl::StrAppend(&text, ", ", ToAbsl(SigmaScheduleName(defaults.sigma_schedule)));
  if (defaults.timestep_spacing.has_value())
    absl::StrAppend(&text, ", ", ToAbsl(TimestepSpacingName(*defaults.timestep_spacing)));
  if (!defaults.timesteps.empty()) absl::StrAppend(&text, ", timesteps ", absl::StrJoin(defaults.timesteps, " "));
  if (!defaults.sigmas.empty()) absl::StrAppend(&text, ", sigmas ", absl::StrJoin(defaults.sigmas, " "));
  if (info.conditioning != ConditioningKind::kNone) absl::StrAppend(&text, ", guidance ", defaults.guidance_scale);
  if (defaults.guidance_rescale > 0) absl::StrAppend(&text, ", rescale ", defaults.guidance_rescale);
  if (defaults.eta.has_value()) absl::StrAppend(&text, ", eta ", *defaults.eta);
  if (defaults.clip_skip > 0) absl::StrAppend(&text, ", clip_skip ", defaults.clip_skip);
  absl::StrAppend(&text, ", ", defaults.width, "x", defaults.height);
  return text;
}

// "needs 12 MiB at the default size; in tiles of 512 pixels above 1572864; previews by a network".
std::string DecodingOf(const ModelInfo& info) {
  const Decoding& decoding = info.decoding;
  const int width = info.defaults.width;
  const int height = info.defaults.height;
  constexpr int64_t kMib = 1 << 20;
  const int64_t bytes = DecodeBytes(decoding, width, height, TilesByDefault(decoding, width, height));
  std::string text = absl::StrCat("needs ", (bytes + kMib - 1) / kMib, " MiB at the default size; ");
  if (decoding.tile_side == 0 || decoding.tiling == VaeTiling::kOff) {
    absl::StrAppend(&text, "no tiles");
  } else {
    const int64_t tile_area = int64_t{decoding.tile_side} * decoding.tile_side;
    absl::StrAppend(&text, "in tiles of ", decoding.tile_side, " pixels above ",
                    decoding.tiling == VaeTiling::kOn ? tile_area : decoding.tiling_pixels);
  }
  constexpr const char* kPreviews[] = {"linear", "by a network", "none"};
  absl::StrAppend(&text, "; previews: ", kPreviews[static_cast<size_t>(decoding.preview)]);
  return text;
}

}  // namespace

std::string ModelReport(const RegisteredModel& model, const LimitsConfig& limits,
                        const std::vector<std::string>& warnings) {
  const ModelInfo& info = *model.info;
  std::string text;
  Line(text, "model", info.id);
  Line(text, "name", info.display_name == info.id ? "" : info.display_name);
  Line(text, "family", info.family);
  Line(text, "paints from", PaintsFrom(info));
  Line(text, "license", info.license);
  Line(text, "sha256", info.sha256);
  Line(text, "parameters", Millions(info.parameter_count));
  Line(text, "computes in", absl::StrCat(DescribeDtypes(info), " on ", info.device));
  Line(text, "memory", absl::StrFormat("%.1f MiB of weights", static_cast<double>(WeightBytes(info)) / (1 << 20)));
  absl::StrAppend(&text, Components(info), Decisions(info));
  Line(text, "defaults", Defaults(info));
  const ModelLimits narrow = NarrowLimits(info, limits);
  Line(text, "sizes", absl::StrCat(narrow.min_side, " to ", narrow.max_side, ", multiples of ", narrow.size_multiple));
  Line(text, "decoding", DecodingOf(info));
  std::vector<std::string> samplers;
  for (const SamplerSupport& support : model.samplers) samplers.emplace_back(SamplerName(support.sampler));
  Line(text, "samplers", Wrapped(samplers));
  for (const std::string& warning : warnings) absl::StrAppend(&text, "warning: ", warning, "\n");
  absl::StrAppend(&text, "the model can be served\n");
  return text;
}

std::string ControlNetReport(const ControlNetInfo& net, const std::vector<std::string>& warnings) {
  std::string text;
  Line(text, "ControlNet", net.id);
  Line(text, "class", net.class_name);
  Line(text, "for", net.family.empty() ? "a model of its own shape" : net.family);
  if (net.union_types > 0) Line(text, "knows", absl::StrCat(net.union_types, " kinds of picture (control_type)"));
  Line(text, "sha256", net.sha256);
  Line(text, "parameters", Millions(net.parameters));
  Line(text, "stored as", absl::StrJoin(net.stored_types, ", "));
  Line(text, "computes in", net.dtype);
  Line(text, "memory", absl::StrFormat("%.1f MiB of weights", static_cast<double>(net.bytes) / (1 << 20)));
  Line(text, "levels", absl::StrCat(absl::StrJoin(net.shape.channels, ", "), " channels"));
  Line(text, "reads text of", absl::StrCat(net.shape.text_width, " channels"));
  for (const std::string& warning : warnings) absl::StrAppend(&text, "warning: ", warning, "\n");
  absl::StrAppend(&text, "the ControlNet can be used: name it under control_nets\n");
  return text;
}

void LogModel(const ModelInfo& info) {
  for (const ModelDecision& decision : info.decisions) {
    Log(LogLevel::kInfo, "decision",
        {{"model", info.id}, {"about", decision.about}, {"value", decision.value}, {"source", decision.source}});
  }
}

void LogControlNet(const ControlNetInfo& net) {
  Log(LogLevel::kInfo, "ControlNet",
      {{"id", net.id}, {"class", net.class_name}, {"family", net.family}, {"dtype", net.dtype}, {"bytes", net.bytes}});
}

}  // namespace stepcast
