#include "scheduler/costs/cost_cache.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "core/string_view.h"

namespace stepcast {
namespace {

constexpr char kMagic[] = "stepcast-costs 1 ";
constexpr int kMostRows = 4096;
constexpr int kMostKeys = 100'000;
constexpr uintmax_t kMostBytes = 16 << 20;

std::optional<Phase> PhaseOf(absl::string_view name) {
  for (const Phase phase : kPhases) {
    if (ToAbsl(PhaseName(phase)) == name) return phase;
  }
  return std::nullopt;
}

bool ParseInt(absl::string_view text, int low, int high, int& value) {
  return absl::SimpleAtoi(text, &value) && value >= low && value <= high;
}

std::optional<CostPoint> ParsePoint(absl::string_view text) {
  const std::pair<absl::string_view, absl::string_view> halves = absl::StrSplit(text, absl::MaxSplits(':', 1));
  CostPoint point;
  int64_t nanoseconds = 0;
  if (!ParseInt(halves.first, 1, kMostRows, point.rows)) return std::nullopt;
  if (!absl::SimpleAtoi(halves.second, &nanoseconds) || nanoseconds < 0) return std::nullopt;
  point.cost = absl::Nanoseconds(nanoseconds);
  return point;
}

std::optional<CostEntry> ParseLine(const std::string& line) {
  // The model comes last and may contain blanks.
  const std::vector<std::string> words = absl::StrSplit(line, absl::MaxSplits(' ', 5));
  if (words.size() != 6 || words[5].empty()) return std::nullopt;
  CostEntry entry;
  const std::optional<Phase> phase = PhaseOf(words[0]);
  if (!phase.has_value()) return std::nullopt;
  entry.key.phase = *phase;
  entry.key.model = words[5];
  if (!ParseInt(words[1], 0, 1 << 20, entry.key.latent_height)) return std::nullopt;
  if (!ParseInt(words[2], 0, 1 << 20, entry.key.latent_width)) return std::nullopt;
  if (!ParseInt(words[3], 0, kMostRows, entry.row_cap)) return std::nullopt;
  for (const absl::string_view word : absl::StrSplit(words[4], ',')) {
    const std::optional<CostPoint> point = ParsePoint(word);
    if (!point.has_value() || entry.points.size() == kMostRows) return std::nullopt;
    entry.points.push_back(*point);
  }
  return entry;
}

std::string Line(const CostEntry& entry) {
  const std::string points = absl::StrJoin(entry.points, ",", [](std::string* out, const CostPoint& point) {
    absl::StrAppend(out, point.rows, ":", absl::ToInt64Nanoseconds(point.cost));
  });
  return absl::StrCat(ToAbsl(PhaseName(entry.key.phase)), " ", entry.key.latent_height, " ", entry.key.latent_width,
                      " ", entry.row_cap, " ", points, " ", entry.key.model);
}

}  // namespace

absl::StatusOr<std::vector<CostEntry>> ReadCostCache(const std::string& path, const std::string& fingerprint) {
  std::error_code error;
  const uintmax_t bytes = std::filesystem::file_size(path, error);
  std::ifstream file(path);
  if (!file || error == std::errc::no_such_file_or_directory)
    return absl::NotFoundError(absl::StrCat("no cost cache at ", path));
  if (error || bytes > kMostBytes) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is no file of at most ", kMostBytes, " bytes"));
  }
  std::string line;
  if (!std::getline(file, line) || line.rfind(kMagic, 0) != 0) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is no cost cache: it must begin with '", kMagic, "'"));
  }
  if (line.substr(sizeof(kMagic) - 1) != fingerprint) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, " was measured for '", line.substr(sizeof(kMagic) - 1, 1000), "', this is '", fingerprint, "'"));
  }
  std::vector<CostEntry> entries;
  for (int number = 2; std::getline(file, line); ++number) {
    std::optional<CostEntry> entry = ParseLine(line);
    if (!entry.has_value() || number > kMostKeys) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ":", number, " is no cost of a key: '", line.substr(0, 200), "'"));
    }
    entries.push_back(*std::move(entry));
  }
  return entries;
}

absl::Status WriteCostCache(const std::string& path, const std::string& fingerprint,
                            const std::vector<CostEntry>& entries) {
  const std::string fresh = absl::StrCat(path, ".new");
  std::ofstream file(fresh, std::ios::trunc);
  file << kMagic << fingerprint << "\n";
  for (const CostEntry& entry : entries) {
    if (!entry.points.empty()) file << Line(entry) << "\n";
  }
  file.close();
  if (!file || std::rename(fresh.c_str(), path.c_str()) != 0) {
    std::remove(fresh.c_str());
    return absl::UnavailableError(absl::StrCat("cannot write the cost cache ", path));
  }
  return absl::OkStatus();
}

}  // namespace stepcast
