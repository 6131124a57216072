#pragma once
// Values of the wire's enums as people type them: "dpmpp_2m" for SAMPLER_DPMPP_2M.

#include <map>
#include <string>

#include "google/protobuf/descriptor.h"

namespace stepcast::cli {

std::string LowerCase(std::string text);

// The values without prefix, in lower case, without UNSPECIFIED. REQUIRES: every name has the prefix of the first one,
// which ends in "UNSPECIFIED".
std::map<std::string, int> EnumNames(const google::protobuf::EnumDescriptor* descriptor);

// The name that EnumNames gives `number`; the number itself when it is a value of a newer server.
std::string EnumName(const google::protobuf::EnumDescriptor* descriptor, int number);

// "a, b, c".
std::string Joined(const std::map<std::string, int>& names);

}  // namespace stepcast::cli
