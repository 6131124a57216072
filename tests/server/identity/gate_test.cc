#include "server/identity/gate.h"

#include <initializer_list>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/request/errors/status_mapping.h"
#include "tests/server/wire_requests.h"
#include "tests/support/simulated_clock.h"

namespace stepcast {
namespace {

class GateTest : public testing::Test {
 protected:
  GateTest() {
    auto rules = std::make_shared<AccessRules>();
    rules->tokens.emplace(std::vector<TokenEntry>{
        {.digest = DigestOf("painter"), .tenant = "acme", .name = "web", .roles = {Role::kPaint, Role::kRead}},
        {.digest = DigestOf("reader"), .tenant = "globex", .roles = {Role::kRead}},
        {.digest = DigestOf("brief"),
         .tenant = "acme",
         .roles = {Role::kPaint},
         .expires = clock_.Now() + absl::Hours(1)},
    });
    rules->admin_tokens.emplace(
        std::vector<TokenEntry>{{.digest = DigestOf("operator"), .tenant = "ops", .roles = {Role::kWatch}}});
    access_.Replace(std::move(rules));
  }

  using Sent = std::initializer_list<std::pair<std::string, std::string>>;

  absl::StatusOr<Caller> Ask(const Gate& gate, std::string_view method, Sent sent) {
    CallMetadata metadata;
    for (const auto& [key, value] : sent) metadata.emplace(key, value);
    return gate.Admit(method, metadata);
  }
  absl::StatusOr<Caller> Ask(std::string_view method, Sent sent) { return Ask(gate_, method, sent); }
  std::string Reason(std::string_view method, Sent sent) { return ReasonOf(Ask(method, sent).status()); }

  SimulatedClock clock_;
  Access access_{std::make_shared<AccessRules>()};
  Tenants tenants_;
  const Gate gate_{Port::kPublic, access_, tenants_, clock_};
  const Gate admin_{Port::kAdmin, access_, tenants_, clock_};
};

TEST_F(GateTest, ATokenNamesItsTenant) {
  for (const char* const header : {"Bearer painter", "bearer painter", "BEARER   painter ", "Bearer\tpainter"}) {
    const auto caller = Ask("Generate", {{"authorization", header}});
    if (std::string(header).find('\t') != std::string::npos) {
      EXPECT_FALSE(caller.ok()) << "a tab is no space";
      continue;
    }
    ASSERT_TRUE(caller.ok()) << header << caller.status();
    EXPECT_EQ(caller->tenant(), "acme");
    EXPECT_EQ(caller->token(), "web");
  }
}

TEST_F(GateTest, WithoutATokenNobodyComesIn) {
  EXPECT_EQ(Reason("Generate", {}), "TOKEN_MISSING");
  EXPECT_EQ(Reason("Generate", {{"authorization", ""}}), "TOKEN_MISSING");
  EXPECT_EQ(Reason("Generate", {{"authorization", "Bearer "}}), "TOKEN_MISSING");
  EXPECT_EQ(Reason("Generate", {{"authorization", "Basic cGFpbnRlcg=="}}), "TOKEN_MISSING");
  EXPECT_EQ(Reason("Generate", {{"authorization", "painter"}}), "TOKEN_MISSING") << "no scheme";
  EXPECT_EQ(Reason("Generate", {{"x-stepcast-tenant", "acme"}}), "TOKEN_MISSING");
}

TEST_F(GateTest, ATokenThatIsNobodysIsInvalid) {
  EXPECT_EQ(Reason("Generate", {{"authorization", "Bearer stranger"}}), "TOKEN_INVALID");
  EXPECT_EQ(Reason("Generate", {{"authorization", "Bearer operator"}}), "TOKEN_INVALID") << "the other port's";
  EXPECT_EQ(Reason("Generate", {{"authorization", "Bearer " + std::string(5000, 'a')}}), "TOKEN_INVALID");
  EXPECT_EQ(Reason("Generate", {{"authorization", "Bearer painter"}, {"authorization", "Bearer reader"}}),
            "TOKEN_INVALID")
      << "which of the two?";
  EXPECT_TRUE(Ask("Generate", {{"authorization", "Bearer painter"}, {"authorization", "Bearer painter"}}).ok());
}

TEST_F(GateTest, AnExpiredTokenIsInvalidToTheSecond) {
  EXPECT_TRUE(Ask("Generate", {{"authorization", "Bearer brief"}}).ok());
  clock_.Advance(absl::Hours(1) - absl::Nanoseconds(1));
  EXPECT_TRUE(Ask("Generate", {{"authorization", "Bearer brief"}}).ok());
  clock_.Advance(absl::Nanoseconds(1));
  EXPECT_EQ(Reason("Generate", {{"authorization", "Bearer brief"}}), "TOKEN_INVALID");
}

TEST_F(GateTest, ARoleOpensItsMethodsAndNoOther) {
  EXPECT_TRUE(Ask("ListModels", {{"authorization", "Bearer reader"}}).ok());
  EXPECT_EQ(Reason("Generate", {{"authorization", "Bearer reader"}}), "METHOD_FORBIDDEN");
  EXPECT_EQ(Reason("GetServerInfo", {{"authorization", "Bearer brief"}}), "METHOD_FORBIDDEN");
  EXPECT_EQ(Reason("LoadModel", {{"authorization", "Bearer painter"}}), "METHOD_FORBIDDEN");
  EXPECT_EQ(Reason("AMethodToCome", {{"authorization", "Bearer painter"}}), "METHOD_FORBIDDEN") << "closed by default";
  EXPECT_TRUE(Ask(admin_, "WatchTicks", {{"authorization", "Bearer operator"}}).ok());
  EXPECT_EQ(ReasonOf(Ask(admin_, "UnloadModel", {{"authorization", "Bearer operator"}}).status()), "METHOD_FORBIDDEN");
  EXPECT_EQ(ReasonOf(Ask(admin_, "WatchTicks", {{"authorization", "Bearer painter"}}).status()), "TOKEN_INVALID");
}

TEST_F(GateTest, AClaimBesideATokenMustAgree) {
  EXPECT_TRUE(Ask("Generate", {{"authorization", "Bearer painter"}, {"x-stepcast-tenant", "acme"}}).ok());
  const auto other = Ask("Generate", {{"authorization", "Bearer painter"}, {"x-stepcast-tenant", "globex"}});
  EXPECT_THAT(ViolationsOf(other.status()),
              testing::ElementsAre("x-stepcast-tenant: got \"globex\"; allowed: the tenant of the token, or nothing"));
}

TEST_F(GateTest, WithoutTokensTheClaimCounts) {
  access_.Replace(std::make_shared<AccessRules>());
  EXPECT_EQ(Ask("Generate", {})->tenant(), "default");
  EXPECT_EQ(Ask("Generate", {{"x-stepcast-tenant", "acme"}})->tenant(), "acme");
  EXPECT_EQ(Ask("Generate", {{"authorization", "Bearer whatever"}})->tenant(), "default");
  EXPECT_EQ(Reason("Generate", {{"x-stepcast-tenant", "a b"}}), "FIELD_INVALID");
  EXPECT_TRUE(Ask(admin_, "UnloadModel", {}).ok());
}

TEST_F(GateTest, ACallerKeepsTheRulesItCameInBy) {
  auto rules = std::make_shared<AccessRules>();
  rules->tenants.defaults.max_rows = 7;
  access_.Replace(rules);
  const auto caller = Ask("Generate", {});
  access_.Replace(std::make_shared<AccessRules>());
  EXPECT_EQ(caller->limits().max_rows, 7);
  EXPECT_EQ(Ask("Generate", {})->limits().max_rows, 0);
}

}  // namespace
}  // namespace stepcast
