#include "server/call/late_work.h"

#include <gtest/gtest.h>

namespace stepcast {
namespace {

TEST(LateWorkTest, WhoeverComesLastTells) {
  for (const bool settled_first : {false, true}) {
    LateWork late;
    std::vector<int64_t> heard;
    const auto listen = [&heard](const CallWork& work) { heard.push_back(work.evaluations); };
    if (settled_first) late.Settle({.evaluations = 7});
    late.Await(listen);
    if (!settled_first) late.Settle({.evaluations = 7});
    EXPECT_EQ(heard, std::vector<int64_t>{7});
  }
}

TEST(LateWorkTest, NobodyNeedsToListen) {
  LateWork late;
  late.Settle({});
}

}  // namespace
}  // namespace stepcast
