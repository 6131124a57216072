#include "server/catalog/adapters/lora_store.h"

#include <condition_variable>
#include <mutex>
#include <optional>
#include <utility>

#include "core/error_reason.h"
#include "gtest/gtest.h"
#include "prometheus/registry.h"
#include "tests/server/fake_loras.h"

namespace stepcast {
namespace {

// What a call is told, whichever thread tells it.
class Answer {
 public:
  LoraStore::OnLease Callback() {
    return [this](absl::StatusOr<LoraLease> lease) {
      std::lock_guard lock(mutex_);
      lease_ = std::move(lease);
      told_.notify_all();
    };
  }
  absl::StatusOr<LoraLease> Wait() {
    std::unique_lock lock(mutex_);
    told_.wait(lock, [this] { return lease_.has_value(); });
    return *std::move(lease_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable told_;
  std::optional<absl::StatusOr<LoraLease>> lease_;
};

class LoraStoreTest : public ::testing::Test {
 protected:
  explicit LoraStoreTest(int64_t budget = 250)
      : catalog_(
            {LoraFolder(
                "store",
                {{"a.safetensors", "a"}, {"b.safetensors", "b"}, {"c.safetensors", "c"}, {"w.safetensors", "wide"}},
                testing::TempDir())},
            [](std::string_view) {}),
        store_(Served(), &host_, budget, metrics_) {}

  LoraCatalog& Served() {
    catalog_.Serve(&host_);
    catalog_.Refresh();
    return catalog_;
  }
  absl::StatusOr<LoraLease> Take(const std::vector<std::string>& names) {
    std::vector<SharedLoraInfo> loras;
    for (const std::string& name : names) loras.push_back(catalog_.Find(name));
    Answer answer;
    store_.Acquire(model_, std::move(loras), answer.Callback());
    return answer.Wait();
  }

  const SharedModelInfo model_ = EmojiModel();
  FakeLoraHost host_;
  LoraCatalog catalog_;
  prometheus::Registry registry_;
  LoraMetrics metrics_{registry_};
  LoraStore store_;
};

TEST_F(LoraStoreTest, LoadsOnceAndKeepsWhatFits) {
  EXPECT_TRUE(Take({"a", "b"}).ok());
  EXPECT_TRUE(Take({"a"}).ok());
  EXPECT_EQ(host_.loads(), 2);
  EXPECT_EQ(host_.held(), 2u);
}

TEST_F(LoraStoreTest, TheLongestUnusedMakesRoom) {
  ASSERT_TRUE(Take({"a"}).ok());
  ASSERT_TRUE(Take({"b"}).ok());
  ASSERT_TRUE(Take({"a"}).ok());
  ASSERT_TRUE(Take({"c"}).ok());
  EXPECT_EQ(host_.held(), 2u);
  const int loads = host_.loads();
  EXPECT_TRUE(Take({"a"}).ok());
  EXPECT_EQ(host_.loads(), loads) << "a was used after b";
  EXPECT_TRUE(Take({"b"}).ok());
  EXPECT_EQ(host_.loads(), loads + 1);
}

TEST_F(LoraStoreTest, WhatIsInUseStaysAndWhoFindsNoRoomIsTold) {
  const absl::StatusOr<LoraLease> held = Take({"a", "b"});
  ASSERT_TRUE(held.ok());
  const absl::Status refused = Take({"c"}).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrorReason(refused), "DEVICE_MEMORY");
  EXPECT_EQ(host_.held(), 2u);
}

TEST_F(LoraStoreTest, ARequestOfSeveralThatFindsNoRoomHoldsNothing) {
  EXPECT_FALSE(Take({"a", "b", "c"}).ok());
  EXPECT_TRUE(Take({"c"}).ok()) << "the others can leave again";
}

TEST_F(LoraStoreTest, WhatTakesMoreThanItsFileMakesRoomForThat) {
  ASSERT_TRUE(Take({"a"}).ok());
  EXPECT_TRUE(Take({"w"}).ok());
  EXPECT_EQ(host_.held(), 1u) << "a has left";
  const absl::StatusOr<LoraLease> a = Take({"a"});
  ASSERT_TRUE(a.ok());
  EXPECT_EQ(host_.held(), 1u) << "and w for it";
  EXPECT_EQ(ErrorReason(Take({"w"}).status()), "DEVICE_MEMORY") << "a is in use";
  EXPECT_EQ(host_.held(), 1u);
}

TEST_F(LoraStoreTest, WhoAsksWhileRoomIsMadeForItKeepsIt) {
  EXPECT_TRUE(Take({"a"}).ok());
  Answer second;
  host_.on_unload = [&, once = true]() mutable {
    if (std::exchange(once, false)) store_.Acquire(model_, {catalog_.Find("w")}, second.Callback());
  };
  EXPECT_TRUE(Take({"w"}).ok()) << "a leaves, because w takes more than its file";
  const auto kept = second.Wait();
  ASSERT_TRUE(kept.ok());
  EXPECT_EQ(ErrorReason(Take({"b"}).status()), "DEVICE_MEMORY") << "w is in use";
}

TEST_F(LoraStoreTest, AFailureIsTheCallsAlone) {
  host_.set_fail(true);
  const absl::Status failed = Take({"a"}).status();
  EXPECT_EQ(ErrorReason(failed), "MODEL_FAILED");
  host_.set_fail(false);
  EXPECT_TRUE(Take({"a"}).ok());
}

TEST_F(LoraStoreTest, StoppedItRefuses) {
  store_.Stop();
  EXPECT_EQ(ErrorReason(Take({"a"}).status()), "DRAINING");
}

}  // namespace
}  // namespace stepcast
