#include "sampling/recipe/row_set.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace stepcast::sampling {
namespace {

// Weights that sum up to less than this share of their sizes have no useful mean: each prompt then counts the same.
constexpr float kCancels = 0.01f;

absl::Status Wrong(size_t row, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("row ", row, " of an evaluation ", what));
}

bool IsFinite(const Weight& weight) { return std::isfinite(weight.constant) && std::isfinite(weight.per_scale); }

bool Fits(const Window& window, int height, int width) {
  return window.whole() || (window.top >= 0 && window.left >= 0 && window.height > 0 && window.width > 0 &&
                            window.top <= height - window.height && window.left <= width - window.width);
}

bool Fits(const WeightMap& map, int height, int width) {
  return map.height == height && map.width == width &&
         map.values.size() == static_cast<size_t>(height) * static_cast<size_t>(width) &&
         std::all_of(map.values.begin(), map.values.end(), [](float value) { return std::isfinite(value); });
}

absl::Status CheckRow(const RowSet& set, size_t i, int conditionings, int height, int width) {
  const Row& row = set.rows[i];
  const Window& window = row.window;
  if (row.conditioning < 0 || row.conditioning >= conditionings) return Wrong(i, "shows nothing that is known");
  if (!Fits(window, height, width)) return Wrong(i, "lies outside the picture");
  const Window& first = set.rows.front().window;
  if (window.height != first.height || window.width != first.width) return Wrong(i, "has a size of its own");
  for (const Weight& weight : {row.guided, row.cond, row.uncond}) {
    if (!IsFinite(weight)) return Wrong(i, "has a weight that is not finite");
  }
  const int map_height = window.whole() ? height : window.height;
  const int map_width = window.whole() ? width : window.width;
  if (row.map != nullptr && !Fits(*row.map, map_height, map_width)) return Wrong(i, "has a map that does not fit it");
  return absl::OkStatus();
}

// Adds one to each cell that `row` reaches with its conditional weight.
void MarkReached(const Row& row, int height, int width, std::vector<bool>& reached) {
  if (row.cond.never()) return;
  const Window all{0, 0, height, width};
  const Window& window = row.window.whole() ? all : row.window;
  for (int y = 0; y < window.height; ++y) {
    for (int x = 0; x < window.width; ++x) {
      const size_t within = static_cast<size_t>(y) * static_cast<size_t>(window.width) + static_cast<size_t>(x);
      if (row.map != nullptr && row.map->values[within] == 0.0f) continue;
      reached[static_cast<size_t>(window.top + y) * static_cast<size_t>(width) + static_cast<size_t>(window.left + x)] =
          true;
    }
  }
}

}  // namespace

RowSet PlainRow(int cond) { return {.rows = {{.conditioning = cond}}}; }

RowSet PlainPair(int uncond, int cond) {
  return {.rows = {{.conditioning = uncond,
                    .guided = {.constant = 1.0f, .per_scale = -1.0f},
                    .cond = {},
                    .uncond = {.constant = 1.0f}},
                   {.conditioning = cond, .guided = {.per_scale = 1.0f}}}};
}

bool IsWhole(const std::vector<PromptRow>& prompts) { return prompts.size() == 1 && prompts.front().weight == 1.0f; }

float SumOfWeights(const std::vector<PromptRow>& prompts) {
  double sum = 0.0;
  for (const PromptRow& prompt : prompts) sum += prompt.weight;
  return static_cast<float>(sum);
}

std::vector<Row> RowsOfPrompts(const std::vector<PromptRow>& prompts, const Weight& guided) {
  float size = 0.0f;
  for (const PromptRow& prompt : prompts) size += std::abs(prompt.weight);
  const float sum = SumOfWeights(prompts);
  const bool cancels = std::abs(sum) <= kCancels * size;
  std::vector<Row> rows;
  for (const PromptRow& prompt : prompts) {
    rows.push_back({.conditioning = prompt.conditioning,
                    .guided = {guided.constant * prompt.weight, guided.per_scale * prompt.weight},
                    .cond = {.constant = cancels ? 1.0f / static_cast<float>(prompts.size()) : prompt.weight / sum}});
  }
  return rows;
}

RowSet UnguidedRows(int uncond, const std::vector<PromptRow>& prompts) {
  if (IsWhole(prompts)) return PlainRow(prompts.front().conditioning);
  RowSet set{.rows = RowsOfPrompts(prompts, {.constant = 1.0f})};
  const float rest = 1.0f - SumOfWeights(prompts);
  if (rest != 0.0f) {
    set.rows.insert(set.rows.begin(), {.conditioning = uncond, .guided = {.constant = rest}, .cond = {}});
  }
  return set;
}

RowSet GuidedRows(int uncond, const std::vector<PromptRow>& prompts) {
  if (IsWhole(prompts)) return PlainPair(uncond, prompts.front().conditioning);
  RowSet set{.rows = RowsOfPrompts(prompts, {.per_scale = 1.0f})};
  set.rows.insert(set.rows.begin(), {.conditioning = uncond,
                                     .guided = {.constant = 1.0f, .per_scale = -SumOfWeights(prompts)},
                                     .cond = {},
                                     .uncond = {.constant = 1.0f}});
  return set;
}

bool IsPlain(const RowSet& set) {
  static const RowSet& one = *new RowSet(PlainRow(0));
  static const RowSet& pair = *new RowSet(PlainPair(0, 0));
  const RowSet& plain = set.size() == 1 ? one : pair;
  return std::equal(set.rows.begin(), set.rows.end(), plain.rows.begin(), plain.rows.end(),
                    [](const Row& a, const Row& b) {
                      return a.window == b.window && a.guided == b.guided && a.cond == b.cond && a.uncond == b.uncond &&
                             a.map == b.map;
                    });
}

absl::Status CheckRowSet(const RowSet& set, int conditionings, int height, int width) {
  if (set.rows.empty() || set.size() > kMostRows) {
    return absl::InvalidArgumentError(
        absl::StrCat("an evaluation of ", set.size(), " rows; allowed are 1 to ", kMostRows));
  }
  for (size_t i = 0; i < set.rows.size(); ++i) {
    STEPCAST_RETURN_IF_ERROR(CheckRow(set, i, conditionings, height, width));
  }
  std::vector<bool> reached(static_cast<size_t>(height) * static_cast<size_t>(width), false);
  for (const Row& row : set.rows) MarkReached(row, height, width, reached);
  const auto gap = std::find(reached.begin(), reached.end(), false);
  if (gap == reached.end()) return absl::OkStatus();
  const auto cell = static_cast<int>(gap - reached.begin());
  return absl::InvalidArgumentError(
      absl::StrCat("no row of an evaluation reaches cell ", cell / width, ", ", cell % width, " of the picture"));
}

}  // namespace stepcast::sampling
