#include "clients/cli/views/message_json.h"

#include "google/protobuf/util/json_util.h"

namespace stepcast::cli {
namespace {

std::string Print(const google::protobuf::Message& message, bool full) {
  std::string text;
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = full;
  (void)google::protobuf::util::MessageToJsonString(message, &text, options);  // cannot fail for what was parsed
  return text;
}

}  // namespace

nlohmann::json MessageJson(const google::protobuf::Message& message) {
  return nlohmann::json::parse(Print(message, false), nullptr, false);
}

std::string MessageText(const google::protobuf::Message& message) { return Print(message, false); }

std::string FullMessageText(const google::protobuf::Message& message) { return Print(message, true); }

std::string AsOneLine(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace stepcast::cli
