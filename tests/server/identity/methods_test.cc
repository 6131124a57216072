#include "server/identity/methods.h"

#include <google/protobuf/descriptor.h>

#include "gtest/gtest.h"
#include "stepcast/v1/image_generation.pb.h"
#include "stepcast/v1/model_service.pb.h"
#include "stepcast/v1/scheduler.pb.h"

namespace stepcast {
namespace {

TEST(MethodsTest, EveryMethodOfTheContractHasARole) {
  const google::protobuf::FileDescriptor* const files[] = {v1::GenerateRequest::descriptor()->file(),
                                                           v1::WatchTicksRequest::descriptor()->file(),
                                                           v1::LoadModelRequest::descriptor()->file()};
  for (const auto* file : files) {
    ASSERT_EQ(file->service_count(), 1);
    const google::protobuf::ServiceDescriptor& service = *file->service(0);
    const bool is_public = service.name() == "ImageGenerationService";
    for (int i = 0; i < service.method_count(); ++i) {
      const std::optional<Role> role = RoleFor(service.method(i)->name());
      ASSERT_TRUE(role.has_value()) << service.method(i)->full_name() << " is closed to everybody: give it a role";
      EXPECT_EQ(*role == Role::kPaint || *role == Role::kRead, is_public) << service.method(i)->full_name();
    }
  }
}

TEST(MethodsTest, WhatIsNotKnownHasNone) {
  for (const char* const method : {"", "Paint", "generate", "Generate ", "Check"}) {
    EXPECT_FALSE(RoleFor(method).has_value()) << method;
  }
}

}  // namespace
}  // namespace stepcast
