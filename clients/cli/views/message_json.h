#pragma once
// Messages of the wire as JSON, for --json.

#include <string>

#include <nlohmann/json.hpp>

#include "google/protobuf/message.h"

namespace stepcast::cli {

// proto3 JSON with the fields' own names; those that are unset are left out.
nlohmann::json MessageJson(const google::protobuf::Message& message);

// The same on one line.
std::string MessageText(const google::protobuf::Message& message);

// proto3 JSON on one line, with every field of messages that are there.
std::string FullMessageText(const google::protobuf::Message& message);

// One line of UTF-8, whatever bytes a file's name has.
std::string AsOneLine(const nlohmann::json& json);

}  // namespace stepcast::cli
