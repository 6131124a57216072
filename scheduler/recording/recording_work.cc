#include "scheduler/recording/recording_work.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "core/status_macros.h"
#include "core/string_view.h"
#include "scheduler/recording/recording_text.h"

namespace stepcast::recording {
namespace {

constexpr int64_t kMostEvaluations = 1'000'000;  // of one job; keeps a damaged file from filling the memory
constexpr int kMostRows = 4096;
constexpr size_t kWordsOfItem = 8;

absl::Status Bad(std::string_view word, absl::string_view allowed) {
  return absl::InvalidArgumentError(absl::StrCat("'", ToAbsl(word.substr(0, 40)), "' is no ", allowed));
}

// "2" or "2+1": rows, and what is paid for beside them.
std::pair<std::string_view, std::string_view> SplitRows(std::string_view word) {
  const size_t plus = word.find('+');
  if (plus == word.npos) return {word, "0"};
  return {word.substr(0, plus), word.substr(plus + 1)};
}

absl::StatusOr<WorkItem> ParseItem(const std::vector<std::string_view>& words, size_t first, int64_t steps) {
  WorkItem item;
  STEPCAST_ASSIGN_OR_RETURN(item.key, ParseKey(words, first));
  const bool denoises = item.key.phase == Phase::kDenoise;
  const std::pair<std::string_view, std::string_view> paid = SplitRows(words[first + 4]);
  STEPCAST_ASSIGN_OR_RETURN(const int64_t rows, ParseInt(paid.first, 1, denoises ? kMostRows : 1));
  STEPCAST_ASSIGN_OR_RETURN(const int64_t beside, ParseInt(paid.second, 0, kMostRows));
  const bool encodes = IsEncode(item.key.phase);
  STEPCAST_ASSIGN_OR_RETURN(const int64_t count, ParseInt(words[first + 5], 1, encodes ? 1 : kMostEvaluations));
  STEPCAST_ASSIGN_OR_RETURN(const int64_t step, ParseInt(words[first + 6], 0, denoises ? steps - 1 : 0));
  STEPCAST_ASSIGN_OR_RETURN(const int64_t per_step, ParseInt(words[first + 7], 1, kMostEvaluations));
  item.rows = static_cast<int>(rows);
  item.beside = static_cast<int>(beside);
  item.count = static_cast<int>(count);
  item.step = static_cast<int>(step);
  item.per_step = static_cast<int>(per_step);
  if (denoises && item.StepOf(item.count - 1) >= steps) {
    return Bad(words[first + 5], absl::StrCat("number of evaluations within ", steps, " steps"));
  }
  if (item.key.phase == Phase::kPreview) return Bad(words[first], "phase that has ticks of its own");
  return item;
}

}  // namespace

void AppendWork(std::string& line, const WorkList& work) {
  absl::StrAppend(&line, work.steps());
  for (const WorkItem& item : work.items()) {
    line += ' ';
    AppendKey(line, item.key);
    absl::StrAppend(&line, " ", item.rows, item.beside > 0 ? absl::StrCat("+", item.beside) : "", " ", item.count, " ",
                    item.step, " ", item.per_step);
  }
}

void AppendItems(std::string& line, const std::vector<int>& items) {
  line += items.empty() ? "-" : absl::StrJoin(items, ",");
}

void AppendParts(std::string& line, const std::vector<RowPart>& parts) {
  for (size_t i = 0; i < parts.size(); ++i) {
    absl::StrAppend(&line, i == 0 ? "" : ",", parts[i].job.value, ":", parts[i].first_row, "+", parts[i].rows);
  }
}

absl::StatusOr<std::vector<RowPart>> ParseParts(std::string_view word) {
  std::vector<RowPart> parts;
  for (const absl::string_view text : absl::StrSplit(ToAbsl(word), ',')) {
    const std::vector<absl::string_view> numbers = absl::StrSplit(text, absl::ByAnyChar(":+"));
    if (numbers.size() != 3) return Bad(ToStd(text), "<job>:<first row>+<rows>");
    RowPart& part = parts.emplace_back();
    STEPCAST_ASSIGN_OR_RETURN(part.job.value, ParseInt(ToStd(numbers[0]), 1, int64_t{1} << 60));
    STEPCAST_ASSIGN_OR_RETURN(const int64_t first, ParseInt(ToStd(numbers[1]), 0, kMostRows));
    STEPCAST_ASSIGN_OR_RETURN(const int64_t rows, ParseInt(ToStd(numbers[2]), 1, kMostRows));
    part.first_row = static_cast<int>(first);
    part.rows = static_cast<int>(rows);
  }
  return parts;
}

absl::StatusOr<SharedWorkList> ParseWork(const std::vector<std::string_view>& words, size_t first) {
  if (words.size() < first + 1 + kWordsOfItem || (words.size() - first - 1) % kWordsOfItem != 0) {
    return absl::InvalidArgumentError(
        "work is <steps> {<phase> <model> <height> <width> <rows> <count> <step> <per_step>}...");
  }
  STEPCAST_ASSIGN_OR_RETURN(const int64_t steps, ParseInt(words[first], 1, kMostEvaluations));
  std::vector<WorkItem> items;
  int64_t ticks = 0;
  for (size_t at = first + 1; at < words.size(); at += kWordsOfItem) {
    STEPCAST_ASSIGN_OR_RETURN(items.emplace_back(), ParseItem(words, at, steps));
    ticks += items.back().count;
  }
  if (ticks > kMostEvaluations) {
    return absl::InvalidArgumentError(absl::StrCat("work of ", ticks, " ticks; allowed: ", kMostEvaluations));
  }
  if (items.back().key.phase != Phase::kDecode && items.back().key.phase != Phase::kUpscale) {
    return Bad(words[words.size() - kWordsOfItem], "last phase: decode, upscale");
  }
  return std::make_shared<const WorkList>(std::move(items), static_cast<int>(steps));
}

absl::StatusOr<std::vector<int>> ParseItems(std::string_view word) {
  std::vector<int> items;
  if (word == "-") return items;
  for (const absl::string_view part : absl::StrSplit(ToAbsl(word), ',')) {
    STEPCAST_ASSIGN_OR_RETURN(const int64_t item, ParseInt(ToStd(part), items.empty() ? 0 : items.back() + 1, 1 << 20));
    items.push_back(static_cast<int>(item));
  }
  return items;
}

absl::Status CheckEncodes(const std::vector<int>& items, const WorkList& work) {
  for (const int item : items) {
    const auto at = static_cast<size_t>(item);
    if (at < work.items().size() && IsEncode(work.items()[at].key.phase)) continue;
    return absl::InvalidArgumentError(absl::StrCat("item ", item, " of the work is no encode"));
  }
  return absl::OkStatus();
}

std::vector<int> EncodesOf(const WorkList& work) {
  std::vector<int> encodes;
  for (size_t i = 0; i < work.items().size(); ++i) {
    if (IsEncode(work.items()[i].key.phase)) encodes.push_back(static_cast<int>(i));
  }
  return encodes;
}

absl::StatusOr<sampling::SharedProgram> ParseProgram(const std::vector<std::string_view>& words, size_t first) {
  if (words.size() < first + 2) return absl::InvalidArgumentError("a program has steps and at least one evaluation");
  auto program = std::make_shared<sampling::SamplingProgram>();
  STEPCAST_ASSIGN_OR_RETURN(const int64_t steps, ParseInt(words[first], 1, kMostEvaluations));
  program->steps = static_cast<int>(steps);
  int64_t step = 0;
  for (size_t i = first + 1; i < words.size(); ++i) {
    const size_t star = words[i].find('*');
    int64_t count = 1;
    if (star != std::string_view::npos) {
      STEPCAST_ASSIGN_OR_RETURN(count, ParseInt(words[i].substr(0, star), 1, kMostEvaluations));
    }
    const std::string_view shape = star == std::string_view::npos ? words[i] : words[i].substr(star + 1);
    const size_t comma = shape.find(',');
    if (comma == std::string_view::npos) return Bad(words[i], "[<count>*]<step gain>,<rows>");
    STEPCAST_ASSIGN_OR_RETURN(const int64_t gain, ParseInt(shape.substr(0, comma), -steps, steps));
    STEPCAST_ASSIGN_OR_RETURN(const int64_t rows, ParseInt(shape.substr(comma + 1), 1, 2));
    if (static_cast<int64_t>(program->evaluations.size()) + count > kMostEvaluations) {
      return Bad(words[i], absl::StrCat("program of at most ", kMostEvaluations, " evaluations"));
    }
    for (; count > 0; --count) {
      step += gain;
      if (step < 0 || step >= steps) return Bad(words[i], absl::StrCat("evaluation within ", steps, " steps"));
      sampling::Evaluation evaluation;
      evaluation.step = static_cast<int>(step);
      if (rows == 2) evaluation.guidance.kind = sampling::GuidanceKind::kClassifierFree;
      program->evaluations.push_back(std::move(evaluation));
    }
  }
  return program;
}

}  // namespace stepcast::recording
