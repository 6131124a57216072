// The wire contract, as clients have compiled it: every name and number is kept in tests/golden/wire_contract.txt. A
// line that changes or goes away breaks clients; a new one is accepted by running this test with
// STEPCAST_UPDATE_GOLDEN=1.

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "gtest/gtest.h"
#include "stepcast/v1/error_reason.pb.h"
#include "stepcast/v1/image_generation.pb.h"
#include "stepcast/v1/model_service.pb.h"
#include "stepcast/v1/scheduler.pb.h"

namespace stepcast {
namespace {

using ::google::protobuf::Descriptor;
using ::google::protobuf::EnumDescriptor;
using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::FileDescriptor;
using ::google::protobuf::ServiceDescriptor;

// The files of package stepcast.v1.
std::vector<const FileDescriptor*> OurFiles() {
  std::vector<const FileDescriptor*> files = {v1::ErrorReason_descriptor()->file()};
  const FileDescriptor* service = v1::GenerateRequest::descriptor()->file();
  for (int i = 0; i < service->dependency_count(); ++i) {
    if (service->dependency(i)->package() == "stepcast.v1") files.push_back(service->dependency(i));
  }
  files.push_back(service);
  files.push_back(v1::Tick::descriptor()->file());
  files.push_back(v1::LoadModelRequest::descriptor()->file());
  return files;
}

std::string FieldLine(const FieldDescriptor& field) {
  std::string type = field.type_name();
  if (field.message_type() != nullptr) type = field.message_type()->full_name();
  if (field.enum_type() != nullptr) type = field.enum_type()->full_name();
  const std::string oneof =
      field.real_containing_oneof() ? absl::StrCat(field.real_containing_oneof()->name(), ".") : "";
  return absl::StrCat(field.containing_type()->name(), ".", oneof, field.name(), " = ", field.number(),
                      field.is_repeated()            ? " repeated "
                      : field.has_optional_keyword() ? " optional "
                                                     : " ",
                      type, "\n");
}

std::string Dump(const FileDescriptor& file) {
  std::string text;
  for (int i = 0; i < file.message_type_count(); ++i) {
    const Descriptor& message = *file.message_type(i);
    absl::StrAppend(&text, message.name(), "\n");
    for (int j = 0; j < message.field_count(); ++j) absl::StrAppend(&text, FieldLine(*message.field(j)));
  }
  for (int i = 0; i < file.enum_type_count(); ++i) {
    const EnumDescriptor& type = *file.enum_type(i);
    for (int j = 0; j < type.value_count(); ++j) {
      absl::StrAppend(&text, type.value(j)->name(), " = ", type.value(j)->number(), "\n");
    }
  }
  for (int i = 0; i < file.service_count(); ++i) {
    const ServiceDescriptor& service = *file.service(i);
    for (int j = 0; j < service.method_count(); ++j) {
      const auto& method = *service.method(j);
      absl::StrAppend(&text, method.full_name(), "(", method.input_type()->name(), ") returns (",
                      method.server_streaming() ? "stream " : "", method.output_type()->name(), ")\n");
    }
  }
  return text;
}

TEST(ContractTest, IsTheCommittedOne) {
  std::string contract;
  for (const FileDescriptor* file : OurFiles()) absl::StrAppend(&contract, Dump(*file));
  const std::string path = std::string(STEPCAST_SOURCE_DIR) + "/tests/golden/wire_contract.txt";
  if (std::getenv("STEPCAST_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << contract;
  std::ifstream file(path);
  ASSERT_TRUE(file) << path << " is missing; run this test with STEPCAST_UPDATE_GOLDEN=1";
  EXPECT_EQ(contract, std::string((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>()));
}

// JavaScript and Java have no unsigned 64-bit integers, and signed ones can say -1.
TEST(ContractTest, HasNoUnsignedIntegersAndNoFloats) {
  for (const FileDescriptor* file : OurFiles()) {
    for (int i = 0; i < file->message_type_count(); ++i) {
      for (int j = 0; j < file->message_type(i)->field_count(); ++j) {
        const FieldDescriptor& field = *file->message_type(i)->field(j);
        EXPECT_NE(field.cpp_type(), FieldDescriptor::CPPTYPE_UINT32) << field.full_name();
        EXPECT_NE(field.cpp_type(), FieldDescriptor::CPPTYPE_UINT64) << field.full_name();
        EXPECT_NE(field.cpp_type(), FieldDescriptor::CPPTYPE_FLOAT) << field.full_name();
      }
    }
  }
}

// Every number of a request says whether it was set, so that 0 is a value.
TEST(ContractTest, EveryTunableKnowsWhetherItWasSet) {
  for (const Descriptor* message :
       {v1::GenerateRequest::descriptor(), v1::OutputOptions::descriptor(), v1::PreviewOptions::descriptor(),
        v1::SamplerOptions::descriptor(), v1::LangevinOptions::descriptor(), v1::InpaintOptions::descriptor(),
        v1::ControlInput::descriptor()}) {
    for (int i = 0; i < message->field_count(); ++i) {
      const FieldDescriptor& field = *message->field(i);
      const auto type = field.cpp_type();
      const bool number = type == FieldDescriptor::CPPTYPE_INT32 || type == FieldDescriptor::CPPTYPE_INT64 ||
                          type == FieldDescriptor::CPPTYPE_DOUBLE;
      // A list that is empty was not set.
      if (number && !field.is_repeated()) {
        EXPECT_TRUE(field.has_presence()) << field.full_name();
      }
    }
  }
}

TEST(ContractTest, EnumsBeginWithUnspecifiedAndCarryTheirName) {
  for (const FileDescriptor* file : OurFiles()) {
    for (int i = 0; i < file->enum_type_count(); ++i) {
      const EnumDescriptor& type = *file->enum_type(i);
      std::string prefix;
      for (const char c : type.name()) {
        if (absl::ascii_isupper(static_cast<unsigned char>(c)) && !prefix.empty()) prefix += '_';
        prefix += absl::ascii_toupper(static_cast<unsigned char>(c));
      }
      EXPECT_EQ(type.value(0)->name(), prefix + "_UNSPECIFIED");
      EXPECT_EQ(type.value(0)->number(), 0);
      for (int j = 0; j < type.value_count(); ++j) {
        EXPECT_TRUE(absl::StartsWith(type.value(j)->name(), prefix + "_")) << type.value(j)->name();
      }
    }
  }
}

}  // namespace
}  // namespace stepcast
