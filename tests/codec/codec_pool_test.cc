#include "codec/codec_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <memory>
#include <thread>
#include <vector>

namespace stepcast {
namespace {

TEST(CodecPoolTest, OneThreadRunsInOrder) {
  std::vector<int> order;
  {
    CodecPool pool(1, 100);
    for (int index = 0; index < 50; ++index) {
      EXPECT_TRUE(pool.TryPost([&order, index] { order.push_back(index); }));
    }
  }
  ASSERT_EQ(order.size(), 50u);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

// Holds the pool's only thread until released. Lives longer than the pool.
class Blocker {
 public:
  void Hold(CodecPool* pool) {
    pool->Post([this] {
      started_.set_value();
      released_.get_future().wait();
    });
    started_.get_future().wait();
  }
  void Release() { released_.set_value(); }

 private:
  std::promise<void> started_;
  std::promise<void> released_;
};

TEST(CodecPoolTest, TryPostRefusesWhatDoesNotFit) {
  std::atomic<int> ran = 0;
  const auto held = std::make_shared<int>(1);
  std::weak_ptr<int> dropped;
  Blocker blocker;
  {
    CodecPool pool(1, 2);
    blocker.Hold(&pool);
    const auto count = [&ran] { ++ran; };
    EXPECT_TRUE(pool.TryPost(count));
    EXPECT_TRUE(pool.TryPost(count));
    auto state = std::make_shared<int>(2);
    dropped = state;
    EXPECT_FALSE(pool.TryPost([state = std::move(state)] {}));
    EXPECT_TRUE(dropped.expired());  // refused work is gone at once
    pool.Post(count);                // beyond the limit
    pool.Post(count);
    EXPECT_FALSE(pool.TryPost(count));
    EXPECT_EQ(ran, 0);
    blocker.Release();
  }
  EXPECT_EQ(ran, 4);
}

TEST(CodecPoolTest, TheDestructorRunsWhatIsQueuedAndWhatThatPosts) {
  std::atomic<int> ran = 0;
  {
    CodecPool pool(2, 1000);
    for (int index = 0; index < 200; ++index) {
      pool.Post([&] {
        ++ran;
        pool.Post([&ran] { ++ran; });
      });
    }
  }
  EXPECT_EQ(ran, 400);
}

TEST(CodecPoolTest, WorkIsDestroyedWhenItHasRun) {
  auto state = std::make_shared<int>(3);
  const std::weak_ptr<int> watched = state;
  std::promise<bool> gone;
  CodecPool pool(1, 10);
  pool.Post([state = std::move(state)] {});
  pool.Post([&] { gone.set_value(watched.expired()); });
  EXPECT_TRUE(gone.get_future().get());
}

TEST(CodecPoolTest, TakesMoveOnlyWork) {
  std::promise<int> result;
  CodecPool pool(1, 1);
  pool.Post([value = std::make_unique<int>(7), &result] { result.set_value(*value); });
  EXPECT_EQ(result.get_future().get(), 7);
}

TEST(CodecPoolTest, ThreadsWorkAtTheSameTime) {
  std::promise<void> everyone;
  const std::shared_future<void> all = everyone.get_future().share();
  std::atomic<int> waiting = 0;
  std::vector<std::promise<void>> done(3);
  CodecPool pool(3, 10);
  for (std::promise<void>& one : done) {
    pool.Post([&, all] {
      if (++waiting == 3) {
        everyone.set_value();
      }
      all.wait();  // until three threads are here at once
      one.set_value();
    });
  }
  for (std::promise<void>& one : done) {
    one.get_future().wait();
  }
  EXPECT_EQ(waiting, 3);
}

TEST(CodecPoolTest, ManyThreadsPostFromEverywhere) {
  std::atomic<int> ran = 0;
  std::atomic<int> accepted = 0;
  {
    CodecPool pool(4, 16);
    std::vector<std::thread> clients;
    for (int client = 0; client < 4; ++client) {
      clients.emplace_back([&] {
        for (int index = 0; index < 500; ++index) {
          accepted += pool.TryPost([&ran] { ++ran; }) ? 1 : 0;
        }
      });
    }
    for (std::thread& client : clients) {
      client.join();
    }
  }
  EXPECT_EQ(ran, accepted);
  EXPECT_GE(ran, 16);
}

TEST(CodecPoolTest, WorkersRunAtALowerPriority) {
  const int own = getpriority(PRIO_PROCESS, 0);
  if (own >= 19) {
    GTEST_SKIP() << "this process has the lowest priority already";
  }
  std::promise<int> workers;
  CodecPool pool(1, 1);
  pool.Post([&workers] { workers.set_value(getpriority(PRIO_PROCESS, 0)); });
  EXPECT_EQ(workers.get_future().get(), std::min(own + 10, 19));
  EXPECT_EQ(getpriority(PRIO_PROCESS, 0), own);
}

TEST(CodecPoolTest, OddSizesAreClamped) {
  for (const auto& [threads, queued] : {std::pair(0, 0), std::pair(-1, -5)}) {
    std::promise<void> ran;
    CodecPool pool(threads, queued);
    EXPECT_TRUE(pool.TryPost([&ran] { ran.set_value(); }));
    ran.get_future().wait();
  }
}

}  // namespace
}  // namespace stepcast
