#pragma once
// W3C Trace Context: which trace a call belongs to.

#include <string>
#include <string_view>

namespace stepcast {

struct TraceContext {
  std::string trace_id;  // 32 lower-case hex digits, not all zero
  std::string span_id;   // 16, likewise: this server's part of it
  bool sampled = false;

  // The header `traceparent` for whoever comes after: "00-<trace>-<span>-01".
  std::string ToHeader() const;
};

// Goes on with the trace of `traceparent`, or begins one where that is none: empty, of another form, or all zeros.
// Versions to come are read as far as this one knows them, as the specification asks. The span is always a new one.
TraceContext ContinueTrace(std::string_view traceparent);

}  // namespace stepcast
