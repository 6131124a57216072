#include "tools/simulate/trace_file.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <utility>

#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "core/status_macros.h"

namespace stepcast::simulate {
namespace {

constexpr size_t kMostRows = 10'000'000;
constexpr double kMostSeconds = 1e9;
constexpr int kMostLatents = 2048;  // a side

absl::Status Bad(absl::string_view came, absl::string_view allowed) {
  return absl::InvalidArgumentError(absl::StrCat("'", came.substr(0, 40), "' is no ", allowed));
}

absl::Status SetInt(absl::string_view text, int low, int high, int& value) {
  if (!absl::SimpleAtoi(text, &value) || value < low || value > high) {
    return Bad(text, absl::StrCat("whole number in ", low, "..", high));
  }
  return absl::OkStatus();
}

absl::Status SetSeconds(absl::string_view text, bool positive, absl::Duration& value) {
  double seconds = 0;
  if (!absl::SimpleAtod(text, &seconds) || !(seconds >= 0 && seconds <= kMostSeconds) || (positive && seconds == 0)) {
    return Bad(text, absl::StrCat("number of seconds in ", positive ? "(0" : "[0", ", 1e9]"));
  }
  // Whole nanoseconds, so that times add up exactly.
  value = absl::Nanoseconds(std::llround(seconds * 1e9));
  return absl::OkStatus();
}

absl::Status SetBool(absl::string_view text, bool& value) {
  return absl::SimpleAtob(text, &value) ? absl::OkStatus() : Bad(text, "true or false");
}

// Sets a side of a latent, which is `cell` pixels.
absl::Status SetSide(absl::string_view text, int cell, int& latents) {
  int pixels = 0;
  STEPCAST_RETURN_IF_ERROR(SetInt(text, cell, kMostLatents * cell, pixels));
  if (pixels % cell != 0) return Bad(text, absl::StrCat("multiple of ", cell, " (--pixels-per-latent)"));
  latents = pixels / cell;
  return absl::OkStatus();
}

absl::Status SetPriority(absl::string_view text, Priority& value) {
  constexpr std::array<const char*, 3> kNames = {"interactive", "standard", "batch"};
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (text != kNames[i]) continue;
    value = static_cast<Priority>(i);
    return absl::OkStatus();
  }
  return Bad(text, "priority: interactive, standard, batch");
}

using Setter = absl::Status (*)(absl::string_view, Arrival&, int cell);
struct Column {
  const char* name;
  bool required;
  Setter set;
};

constexpr Column kColumns[] = {
    {"arrival_s", true, [](absl::string_view t, Arrival& r, int) { return SetSeconds(t, false, r.at); }},
    {"steps", true, [](absl::string_view t, Arrival& r, int) { return SetInt(t, 1, 1000, r.steps); }},
    {"evaluations_per_step", false,
     [](absl::string_view t, Arrival& r, int) { return SetInt(t, 1, 4, r.evaluations_per_step); }},
    {"model", false,
     [](absl::string_view t, Arrival& r, int) { return r.model.assign(t.data(), t.size()), absl::OkStatus(); }},
    {"width", false, [](absl::string_view t, Arrival& r, int cell) { return SetSide(t, cell, r.latent_width); }},
    {"height", false, [](absl::string_view t, Arrival& r, int cell) { return SetSide(t, cell, r.latent_height); }},
    {"latent_width", false,
     [](absl::string_view t, Arrival& r, int) { return SetInt(t, 1, kMostLatents, r.latent_width); }},
    {"latent_height", false,
     [](absl::string_view t, Arrival& r, int) { return SetInt(t, 1, kMostLatents, r.latent_height); }},
    {"guided", false, [](absl::string_view t, Arrival& r, int) { return SetBool(t, r.guided); }},
    {"images", false, [](absl::string_view t, Arrival& r, int) { return SetInt(t, 1, 1024, r.images); }},
    {"priority", false, [](absl::string_view t, Arrival& r, int) { return SetPriority(t, r.priority); }},
    {"tenant", false,
     [](absl::string_view t, Arrival& r, int) { return r.tenant.assign(t.data(), t.size()), absl::OkStatus(); }},
    {"deadline_s", false, [](absl::string_view t, Arrival& r, int) { return SetSeconds(t, true, r.due); }},
    {"patience_s", false, [](absl::string_view t, Arrival& r, int) { return SetSeconds(t, false, r.patience); }},
    {"cold", false, [](absl::string_view t, Arrival& r, int) { return SetBool(t, r.cold); }},
    {"previews_every", false,
     [](absl::string_view t, Arrival& r, int) { return SetInt(t, 0, 1000, r.previews_every); }},
};

absl::StatusOr<const Column*> ColumnOf(absl::string_view name) {
  std::string known;
  for (const Column& column : kColumns) {
    if (name == column.name) return &column;
    absl::StrAppend(&known, known.empty() ? "" : ", ", column.name);
  }
  return absl::InvalidArgumentError(absl::StrCat("'", name.substr(0, 40), "' is no column; known: ", known));
}

absl::Status Set(const Column& column, absl::string_view text, int cell, Arrival& row) {
  if (text.empty() && !column.required) return absl::OkStatus();
  const absl::Status status = column.set(text, row, cell);
  if (status.ok()) return status;
  return absl::InvalidArgumentError(absl::StrCat(column.name, ": ", status.message()));
}

// `given`: whether a column is there.
template <typename Given>
absl::Status CheckSides(Given given) {
  for (const char* side : {"width", "height"}) {
    const std::string latent = absl::StrCat("latent_", side);
    if (!given(side) || !given(latent)) continue;
    return absl::InvalidArgumentError(absl::StrCat(side, " and ", latent, " are the same; give one"));
  }
  return absl::OkStatus();
}

// The cells of a CSV line (RFC 4180 without line breaks in cells).
absl::StatusOr<std::vector<std::string>> Cells(absl::string_view line) {
  std::vector<std::string> cells(1);
  bool quoted = false;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quoted && c == '"' && i + 1 < line.size() && line[i + 1] == '"') {
      cells.back() += line[++i];
    } else if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      cells.emplace_back();
    } else {
      cells.back() += c;
    }
  }
  if (quoted) return absl::InvalidArgumentError("a quote is not closed");
  for (std::string& cell : cells) cell = std::string(absl::StripAsciiWhitespace(cell));
  return cells;
}

absl::StatusOr<std::vector<const Column*>> HeaderOf(absl::string_view line) {
  STEPCAST_ASSIGN_OR_RETURN(const std::vector<std::string> names, Cells(line));
  std::vector<const Column*> columns;
  for (const std::string& name : names) {
    STEPCAST_ASSIGN_OR_RETURN(const Column* const column, ColumnOf(name));
    for (const Column* other : columns) {
      if (other == column) return absl::InvalidArgumentError(absl::StrCat("column ", name, " comes twice"));
    }
    columns.push_back(column);
  }
  for (const Column& column : kColumns) {
    bool found = !column.required;
    for (const Column* given : columns) found |= given == &column;
    if (!found) return absl::InvalidArgumentError(absl::StrCat("column ", column.name, " is missing"));
  }
  STEPCAST_RETURN_IF_ERROR(CheckSides([&](absl::string_view name) {
    return std::any_of(columns.begin(), columns.end(), [&](const Column* one) { return name == one->name; });
  }));
  return columns;
}

absl::StatusOr<Arrival> RowOfCsv(absl::string_view line, const std::vector<const Column*>& columns, int cell,
                                 Arrival row) {
  STEPCAST_ASSIGN_OR_RETURN(const std::vector<std::string> cells, Cells(line));
  if (cells.size() != columns.size()) {
    return absl::InvalidArgumentError(absl::StrCat(cells.size(), " cells, and the header has ", columns.size()));
  }
  for (size_t i = 0; i < cells.size(); ++i) STEPCAST_RETURN_IF_ERROR(Set(*columns[i], cells[i], cell, row));
  return row;
}

absl::StatusOr<Arrival> RowOfJson(const std::string& line, int cell, Arrival row) {
  const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return absl::InvalidArgumentError("the line is no JSON object");
  for (const auto& [key, value] : json.items()) {
    STEPCAST_ASSIGN_OR_RETURN(const Column* const column, ColumnOf(key));
    if (value.is_null()) continue;
    if (value.is_structured()) return absl::InvalidArgumentError(absl::StrCat(key, ": must be a single value"));
    STEPCAST_RETURN_IF_ERROR(Set(*column, value.is_string() ? value.get<std::string>() : value.dump(), cell, row));
  }
  for (const Column& column : kColumns) {
    if (!column.required || (json.contains(column.name) && !json[column.name].is_null())) continue;
    return absl::InvalidArgumentError(absl::StrCat("key ", column.name, " is missing"));
  }
  STEPCAST_RETURN_IF_ERROR(
      CheckSides([&](const std::string& key) { return json.contains(key) && !json[key].is_null(); }));
  return row;
}

}  // namespace

absl::StatusOr<std::vector<Arrival>> ReadTrace(std::istream& in, const std::string& name, const Arrival& pattern,
                                               int pixels_per_latent) {
  const bool is_json = in.peek() == '{';
  std::vector<const Column*> columns;
  std::vector<Arrival> rows;
  std::string line;
  int64_t number = 0;
  const auto at = [&](const absl::Status& status) {
    return absl::Status(status.code(), absl::StrCat(name, ":", number, ": ", status.message()));
  };
  while (std::getline(in, line)) {
    ++number;
    if (absl::StripAsciiWhitespace(line).empty()) continue;
    if (!is_json && columns.empty()) {
      auto header = HeaderOf(line);
      if (!header.ok()) return at(header.status());
      columns = *std::move(header);
      continue;
    }
    absl::StatusOr<Arrival> row =
        is_json ? RowOfJson(line, pixels_per_latent, pattern) : RowOfCsv(line, columns, pixels_per_latent, pattern);
    if (!row.ok()) return at(row.status());
    if (!rows.empty() && row->at < rows.back().at) {
      return at(absl::InvalidArgumentError("arrival_s: before the row above; arrivals must be in order"));
    }
    if (rows.size() == kMostRows) return at(absl::ResourceExhaustedError("more than ten million rows"));
    rows.push_back(*std::move(row));
  }
  if (rows.empty()) return absl::InvalidArgumentError(absl::StrCat(name, ": holds no arrivals"));
  return rows;
}

absl::StatusOr<std::vector<Arrival>> ReadTraceFile(const std::string& path, const Arrival& pattern,
                                                   int pixels_per_latent) {
  std::ifstream file(path);
  if (!file) return absl::NotFoundError(absl::StrCat(path, ": cannot be read"));
  return ReadTrace(file, path, pattern, pixels_per_latent);
}

}  // namespace stepcast::simulate
