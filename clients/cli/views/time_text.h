#pragma once
// Durations as text.

#include <string>

#include "google/protobuf/duration.pb.h"

namespace stepcast::cli {

double Seconds(const google::protobuf::Duration& duration);

// "3.2 s"; never below zero.
std::string SecondsText(const google::protobuf::Duration& duration);

// ", would start in 0.4 s and be done in 3.2 s".
std::string EstimatesText(const google::protobuf::Duration& wait, const google::protobuf::Duration& total);

}  // namespace stepcast::cli
