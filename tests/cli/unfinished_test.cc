#include "clients/cli/commands/unfinished.h"

#include <gtest/gtest.h>

namespace stepcast::cli {
namespace {

namespace v1 = ::stepcast::v1;

v1::GenerateRequest Request(int count) {
  v1::GenerateRequest request;
  request.set_prompt("x");
  request.set_image_count(count);
  return request;
}

v1::Accepted AcceptedOf(const v1::GenerateRequest& request, int64_t seed) {
  v1::Accepted accepted;
  *accepted.mutable_request() = request;
  accepted.mutable_request()->set_seed(seed);
  return accepted;
}

// "seed count token".
std::string Asks(const Unfinished& unfinished) {
  const v1::GenerateRequest& request = unfinished.request();
  return std::to_string(request.seed()) + " " + std::to_string(request.image_count()) + " " + request.resume_token();
}

TEST(UnfinishedTest, PicturesWithTokensGoOnOneAfterTheOther) {
  Unfinished call(Request(4));
  EXPECT_TRUE(call.Accept(AcceptedOf(call.request(), 99)));
  call.KeepToken(0, "old");
  call.KeepToken(2, "kept");
  EXPECT_TRUE(call.Finish(1));
  call.KeepToken(0, "new");
  call.KeepToken(2, "");
  call.KeepToken(1, "too late");
  call.Restart();
  EXPECT_EQ(Asks(call), "99 1 new");
  EXPECT_EQ(call.IndexOf(0), 0);
  EXPECT_FALSE(call.Accept(AcceptedOf(call.request(), 99))) << "of one picture alone";
  EXPECT_TRUE(call.Finish(0));
  EXPECT_TRUE(call.more());
  call.Restart();
  EXPECT_EQ(Asks(call), "101 1 kept");
  EXPECT_EQ(call.IndexOf(0), 2);
  EXPECT_TRUE(call.DropToken());
  EXPECT_FALSE(call.DropToken());
  call.Restart();
  EXPECT_EQ(Asks(call), "101 1 ");
  call.Finish(2);
  call.Restart();
  EXPECT_EQ(Asks(call), "102 1 ");
  call.Finish(3);
  EXPECT_FALSE(call.more());
  EXPECT_EQ(call.missing(), 0);
}

TEST(UnfinishedTest, WithoutTokensTheWholeIsAskedForWithTheSameSeed) {
  Unfinished call(Request(2));
  call.Restart();
  EXPECT_FALSE(call.request().has_seed()) << "nobody has chosen one yet";
  call.Accept(AcceptedOf(call.request(), 7));
  call.Finish(1);
  call.Restart();
  EXPECT_EQ(Asks(call), "7 2 ");
  EXPECT_EQ(call.IndexOf(1), 1);
  EXPECT_FALSE(call.Accept(AcceptedOf(call.request(), 7))) << "told already";
  EXPECT_FALSE(call.Finish(1)) << "and painted already";
  EXPECT_FALSE(call.more());
  EXPECT_EQ(call.missing(), 1);
}

TEST(UnfinishedTest, ATokenOfTheCallersOwnIsNotDropped) {
  v1::GenerateRequest request = Request(1);
  request.set_resume_token("mine");
  Unfinished call(request);
  EXPECT_FALSE(call.DropToken());
  EXPECT_EQ(call.request().resume_token(), "mine");
}

TEST(UnfinishedTest, WhereOnlyTheEndWasLostAPictureIsAskedForOnceMore) {
  Unfinished call(Request(1));
  call.Accept(AcceptedOf(call.request(), 5));
  call.KeepToken(0, "token");
  call.Finish(0);
  call.Restart();
  EXPECT_EQ(Asks(call), "5 1 ");
}

}  // namespace
}  // namespace stepcast::cli
