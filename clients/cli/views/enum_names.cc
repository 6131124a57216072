#include "clients/cli/views/enum_names.h"

#include <cctype>
#include <string_view>

namespace stepcast::cli {
namespace {

size_t PrefixOf(const google::protobuf::EnumDescriptor* descriptor) {
  return descriptor->value(0)->name().size() - std::string_view("UNSPECIFIED").size();
}

}  // namespace

std::string LowerCase(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

std::map<std::string, int> EnumNames(const google::protobuf::EnumDescriptor* descriptor) {
  std::map<std::string, int> names;
  for (int i = 1; i < descriptor->value_count(); ++i) {
    const google::protobuf::EnumValueDescriptor& value = *descriptor->value(i);
    names[LowerCase(value.name().substr(PrefixOf(descriptor)))] = value.number();
  }
  return names;
}

std::string EnumName(const google::protobuf::EnumDescriptor* descriptor, int number) {
  const google::protobuf::EnumValueDescriptor* const value = descriptor->FindValueByNumber(number);
  return value == nullptr ? std::to_string(number) : LowerCase(value->name().substr(PrefixOf(descriptor)));
}

std::string Joined(const std::map<std::string, int>& names) {
  std::string text;
  for (const auto& [name, number] : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace stepcast::cli
