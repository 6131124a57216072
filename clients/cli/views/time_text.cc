#include "clients/cli/views/time_text.h"

#include <algorithm>
#include <cstdio>

namespace stepcast::cli {

double Seconds(const google::protobuf::Duration& duration) {
  return static_cast<double>(duration.seconds()) + duration.nanos() * 1e-9;
}

std::string SecondsText(const google::protobuf::Duration& duration) {
  char text[40];
  // What is due now may have been due a moment ago.
  std::snprintf(text, sizeof(text), "%.1f s", std::max(0.0, Seconds(duration)));
  return text;
}

std::string EstimatesText(const google::protobuf::Duration& wait, const google::protobuf::Duration& total) {
  return ", would start in " + SecondsText(wait) + " and be done in " + SecondsText(total);
}

}  // namespace stepcast::cli
