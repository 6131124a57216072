#pragma once
// The words of a recording's lines, written and read in one place. recording.h has the grammar.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "core/generation_request.h"
#include "core/job_id.h"
#include "scheduler/costs/cost_curve.h"
#include "scheduler/words/batch_key.h"

namespace stepcast::recording {

// Appending keeps the capacity of `line`, so that a tick allocates nothing.
void AppendDuration(std::string& line, absl::Duration value);              // "1500", "0.25", "-inf"
void AppendWord(std::string& line, std::string_view word);                 // %XX for what would end a word
void AppendJobs(std::string& line, const std::vector<JobId>& jobs);        // "3+1+5"
void AppendPoints(std::string& line, absl::Span<const CostPoint> points);  // " 1:20000000 2:..."
void AppendKey(std::string& line, const BatchKey& key);                    // "denoise emoji 16 16"
void AppendSettings(std::string& line, const GenerationRequest& request);  // "model=emoji steps=20"

// The inverses. Errors: INVALID_ARGUMENT with what came and what is allowed, without file or line.
absl::StatusOr<int64_t> ParseInt(std::string_view word, int64_t low, int64_t high);
absl::StatusOr<double> ParseDouble(std::string_view word);
absl::StatusOr<absl::Duration> ParseDuration(std::string_view word);
absl::StatusOr<std::string> ParseWord(std::string_view word);
absl::StatusOr<std::vector<JobId>> ParseJobs(std::string_view word);
absl::StatusOr<CostPoint> ParsePoint(std::string_view word);
absl::StatusOr<BatchKey> ParseKey(const std::vector<std::string_view>& words, size_t first);
absl::StatusOr<SharedRequest> ParseSettings(const std::vector<std::string_view>& words, size_t first);

// FNV-1a, 64 bits, continued from `hash`.
inline constexpr uint64_t kHashStart = 0xcbf29ce484222325u;
uint64_t Hash(uint64_t hash, std::string_view bytes);

}  // namespace stepcast::recording
