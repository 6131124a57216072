#include "scheduler/dispatch/placement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stepcast {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

LoopLoad Load(double busy_s, int jobs, double own_s) {
  return {.busy = absl::Seconds(busy_s), .jobs = jobs, .own = absl::Seconds(own_s)};
}
LoopLoad Lost() { return {.usable = false}; }
LoopLoad WithRoom(LoopLoad load, int room) {
  load.room = room;
  return load;
}
LoopLoad WithKey(LoopLoad load) {
  load.same_key = true;
  return load;
}
LoopLoad WithPrompt(LoopLoad load) {
  load.knows_prompt = true;
  return load;
}

TEST(PlacementTest, EachImageGoesWhereItIsDoneFirst) {
  const struct {
    const char* scene;
    std::vector<LoopLoad> loads;
    int images;
    std::vector<size_t> placed;
  } rows[] = {
      {"one loop", {Load(5, 3, 1)}, 3, {0, 0, 0}},
      {"idle loops share a request", {Load(0, 0, 2), Load(0, 0, 2)}, 4, {0, 1, 0, 1}},
      {"the busy one waits until the other has caught up", {Load(3, 1, 2), Load(0, 0, 2)}, 3, {1, 1, 0}},
      {"a slow device gets less", {Load(0, 0, 6), Load(0, 0, 2)}, 4, {1, 1, 0, 1}},
      {"what has no room comes last", {WithRoom(Load(0, 0, 1), 1), WithRoom(Load(9, 9, 1), 8)}, 3, {0, 1, 1}},
      {"when nothing has, the loops refuse", {WithRoom(Load(0, 0, 1), 0), WithRoom(Load(9, 9, 1), 0)}, 1, {0}},
      {"a lost one gets nothing", {Lost(), Load(9, 9, 1)}, 2, {1, 1}},
      {"nothing known: fewest jobs", {Load(0, 2, 0), Load(0, 1, 0)}, 3, {1, 0, 1}},
      {"its key decides between equals", {Load(1, 1, 2), WithKey(Load(1, 1, 2))}, 1, {1}},
      {"its key is worth a tenth", {Load(1, 1, 2), WithKey(Load(1.19, 1, 2))}, 1, {1}},
      {"and no more", {Load(1, 1, 2), WithKey(Load(1.21, 1, 2))}, 1, {0}},
      {"its prompt is worth a twentieth", {Load(1, 1, 2), WithPrompt(Load(1.09, 1, 2))}, 1, {1}},
      {"and no more, either", {Load(1, 1, 2), WithPrompt(Load(1.11, 1, 2))}, 1, {0}},
  };
  for (const auto& row : rows) EXPECT_EQ(PlaceImages(row.loads, row.images), row.placed) << row.scene;
}

TEST(PlacementTest, WithoutAUsableLoopNothingIsPlaced) {
  EXPECT_THAT(PlaceImages({}, 1), IsEmpty());
  const std::vector<LoopLoad> lost = {Lost(), Lost()};
  EXPECT_THAT(PlaceImages(lost, 2), IsEmpty());
  EXPECT_THAT(ByFinish(lost, 2), IsEmpty());
}

TEST(PlacementTest, ByFinishOrdersWholeRequests) {
  const std::vector<LoopLoad> loads = {Load(9, 1, 1), Load(0, 0, 6), Lost(), Load(4, 2, 2)};
  EXPECT_THAT(ByFinish(loads, 1), ElementsAre(1, 3, 0));
  EXPECT_THAT(ByFinish(loads, 2), ElementsAre(3, 0, 1)) << "4 + 4, 9 + 2, 0 + 12";
}

}  // namespace
}  // namespace stepcast
