#include "server/wire/trace_context.h"

#include <algorithm>
#include <cstdint>
#include <optional>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"

namespace stepcast {
namespace {

constexpr size_t kVersion00Size = 55;  // "00-" + 32 + "-" + 16 + "-" + 2

bool IsHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool IsZero(std::string_view text) { return text.find_first_not_of('0') == std::string_view::npos; }

uint64_t Random() {
  thread_local absl::BitGen random;
  return absl::Uniform<uint64_t>(absl::IntervalClosed, random, 1, UINT64_MAX);
}

std::string Hex(uint64_t number) { return absl::StrCat(absl::Hex(number, absl::kZeroPad16)); }

std::optional<TraceContext> Parse(std::string_view header) {
  if (header.size() < kVersion00Size) return std::nullopt;
  const std::string_view version = header.substr(0, 2);
  const std::string_view trace = header.substr(3, 32);
  const std::string_view parent = header.substr(36, 16);
  const std::string_view flags = header.substr(53, 2);
  if (header[2] != '-' || header[35] != '-' || header[52] != '-') return std::nullopt;
  if (!IsHex(version) || !IsHex(trace) || !IsHex(parent) || !IsHex(flags)) return std::nullopt;
  if (version == "ff" || IsZero(trace) || IsZero(parent)) return std::nullopt;
  const bool longer = header.size() > kVersion00Size;
  if (longer && (version == "00" || header[kVersion00Size] != '-')) return std::nullopt;
  const char low = flags[1];
  const int digit = low <= '9' ? low - '0' : low - 'a' + 10;
  return TraceContext{.trace_id = std::string(trace), .span_id = "", .sampled = (digit & 1) != 0};
}

}  // namespace

std::string TraceContext::ToHeader() const {
  return absl::StrCat("00-", trace_id, "-", span_id, sampled ? "-01" : "-00");
}

TraceContext ContinueTrace(std::string_view traceparent) {
  TraceContext context = Parse(traceparent).value_or(TraceContext{});
  if (context.trace_id.empty()) context.trace_id = Hex(Random()) + Hex(Random());
  context.span_id = Hex(Random());
  return context;
}

}  // namespace stepcast
