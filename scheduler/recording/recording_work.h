#pragma once
// The work of jobs as words of a recording. recording.h has the grammar.

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "sampling/program/sampling_program.h"
#include "scheduler/words/step_plan.h"
#include "scheduler/words/work_list.h"

namespace stepcast::recording {

// "20 encode emoji 0 0 1 1 0 1 denoise emoji 16 16 2 20 0 1 ...": the steps, then eight words an item.
void AppendWork(std::string& line, const WorkList& work);
// Items of a work list: "0,5", "-" for none.
void AppendItems(std::string& line, const std::vector<int>& items);

// Parts of split evaluations: "7:0+8,9:8+4".
void AppendParts(std::string& line, const std::vector<RowPart>& parts);

// The inverses. Errors: INVALID_ARGUMENT with what came and what is allowed, without file or line.
absl::StatusOr<SharedWorkList> ParseWork(const std::vector<std::string_view>& words, size_t first);
// The items are encodes of `work`, ascending.
absl::StatusOr<std::vector<int>> ParseItems(std::string_view word);
absl::StatusOr<std::vector<RowPart>> ParseParts(std::string_view word);
absl::Status CheckEncodes(const std::vector<int>& items, const WorkList& work);
std::vector<int> EncodesOf(const WorkList& work);

// Of files of version 1 and 2: "20 0,2 19*1,2".
absl::StatusOr<sampling::SharedProgram> ParseProgram(const std::vector<std::string_view>& words, size_t first);

}  // namespace stepcast::recording
