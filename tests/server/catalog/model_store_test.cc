#include "server/catalog/model_store.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error_reason.h"
#include "prometheus/registry.h"
#include "tests/server/fake_host.h"
#include "tests/server/fake_models.h"
#include "tests/support/await.h"
#include "tests/support/simulated_clock.h"

namespace stepcast {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// An unconditional model of one part.
SharedModelInfo Sized(const std::string& id, int64_t bytes, const std::string& sha256 = "") {
  ModelInfo info = UnconditionalModel();
  info.id = id;
  ModelComponent& part = info.components.emplace_back();
  part.name = "unet";
  part.sha256 = sha256.empty() ? "of " + id : sha256;
  part.bytes = bytes;
  return Share(std::move(info));
}

// A call of Acquire and what came of it.
class Caller {
 public:
  void Ask(ModelStore& store, const std::string& id) {
    ticket_ = store.Acquire(
        id,
        [this](const absl::Status& why) {
          cancelled_ = why;
          was_cancelled_.Notify();
        },
        [this](absl::StatusOr<ModelLease> lease) {
          status_ = lease.status();
          if (lease.ok()) lease_ = *std::move(lease);
          answered_.Notify();
        });
  }
  bool answered() const { return answered_.notified(); }
  [[nodiscard]] bool Await() { return answered_.Await(); }
  bool has() const { return lease_ != nullptr; }
  std::string reason() const { return ErrorReason(status_).value_or(""); }
  const absl::Status& status() const { return status_; }
  bool was_cancelled() const { return was_cancelled_.notified(); }
  const absl::Status& AwaitCancelled() {
    EXPECT_TRUE(was_cancelled_.Await());
    return cancelled_;
  }
  void Leave() { lease_ = nullptr; }
  int64_t ticket() const { return ticket_; }

 private:
  int64_t ticket_ = 0;
  absl::Status status_;
  absl::Status cancelled_;
  ModelLease lease_;
  Notification answered_;
  Notification was_cancelled_;
};

// What came of Load or Unload.
class Done {
 public:
  ModelStore::OnDone Callback() {
    return [this](absl::StatusOr<int64_t> answer) {
      answer_ = std::move(answer);
      done_.Notify();
    };
  }
  bool done() const { return done_.notified(); }
  const absl::StatusOr<int64_t>& Await() {
    EXPECT_TRUE(done_.Await());
    return answer_;
  }

 private:
  absl::StatusOr<int64_t> answer_ = absl::UnknownError("not done");
  Notification done_;
};

class ModelStoreTest : public testing::Test {
 protected:
  // "a" and "b" of 60 bytes each, "c" of 30; a budget of 100. At the start nothing is in memory but `loaded`.
  void Make(const std::vector<std::string>& loaded = {}, ModelStoreOptions options = {}) {
    std::vector<SharedModelInfo> infos = {Sized("a", 60), Sized("b", 60), Sized("c", 30)};
    for (const SharedModelInfo& info : infos) {
      script_->Set(info);
      if (std::find(loaded.begin(), loaded.end(), info->id) == loaded.end()) options.unloaded.push_back(info->id);
    }
    if (options.memory.empty()) options.memory = {{.device = "cpu", .loops = {"cpu"}, .budget = 100}};
    options.admit = [](SharedModelInfo info) { return ModelRegistry::Register(std::move(info)); };
    store_ = std::make_unique<ModelStore>(*ModelRegistry::Create(infos, ""), std::move(options),
                                          std::make_unique<FakeHost>(script_), metrics_, clock_);
  }
  ~ModelStoreTest() override { script_->Release(); }

  ModelState StateOf(const std::string& id) const { return store_->Standing(id).state; }
  [[nodiscard]] bool AwaitState(const std::string& id, ModelState state) const {
    return Await([&] { return StateOf(id) == state; });
  }
  void Pass(absl::Duration time) {
    clock_.Advance(time);
    store_->Tend();
  }

  SimulatedClock clock_;
  prometheus::Registry registry_;
  ModelMetrics metrics_{registry_};
  std::shared_ptr<HostScript> script_ = std::make_shared<HostScript>();
  std::unique_ptr<ModelStore> store_;
};

TEST_F(ModelStoreTest, AModelInMemoryIsLentAtOnce) {
  Make({"a"});
  Caller caller;
  caller.Ask(*store_, "a");
  EXPECT_TRUE(caller.has());
  EXPECT_THAT(script_->log(), IsEmpty());
}

TEST_F(ModelStoreTest, ACallLoadsItsModelAndWaitsForIt) {
  Make();
  script_->Hold();
  Caller first, second;
  first.Ask(*store_, "a");
  ASSERT_TRUE(script_->AwaitLog(1));
  second.Ask(*store_, "a");
  EXPECT_FALSE(first.answered());
  EXPECT_EQ(StateOf("a"), ModelState::kLoading);
  script_->Release();
  ASSERT_TRUE(first.Await() && second.Await());
  EXPECT_TRUE(first.has() && second.has());
  EXPECT_EQ(StateOf("a"), ModelState::kReady);
  EXPECT_THAT(script_->log(), ElementsAre("load a"));
}

TEST_F(ModelStoreTest, TheLongestUnusedLeavesForAnother) {
  Make({"a", "c"});
  Caller used;
  clock_.Advance(absl::Seconds(1));
  used.Ask(*store_, "c");
  used.Leave();
  Caller caller;
  caller.Ask(*store_, "b");
  ASSERT_TRUE(caller.Await());
  EXPECT_TRUE(caller.has());
  EXPECT_THAT(script_->log(), ElementsAre("unload a", "load b"));
  EXPECT_EQ(StateOf("a"), ModelState::kUnloaded);
  EXPECT_EQ(StateOf("c"), ModelState::kReady);
}

TEST_F(ModelStoreTest, NeitherWhoIsInUseNorWhoIsPinnedLeaves) {
  Make({"a", "c"}, {.loading = {{"c", ModelLoading::kPinned}}});
  Caller user, caller;
  user.Ask(*store_, "a");
  caller.Ask(*store_, "b");
  Pass(absl::Seconds(1));
  EXPECT_FALSE(caller.answered());
  EXPECT_EQ(StateOf("b"), ModelState::kLoading);
  EXPECT_THAT(script_->log(), IsEmpty());
  user.Leave();
  ASSERT_TRUE(caller.Await());
  EXPECT_THAT(script_->log(), ElementsAre("unload a", "load b"));
  EXPECT_EQ(StateOf("c"), ModelState::kReady);
}

TEST_F(ModelStoreTest, AModelThatIsNeverIdleIsClosedToNewcomersAfterAWhile) {
  Make();
  Caller user;
  user.Ask(*store_, "a");
  ASSERT_TRUE(user.Await());
  Caller caller;
  caller.Ask(*store_, "b");
  Pass(absl::Seconds(9));
  Caller next;
  next.Ask(*store_, "a");
  EXPECT_TRUE(next.has()) << "it is here for a moment only";
  Pass(absl::Seconds(2));
  ASSERT_TRUE(AwaitState("a", ModelState::kUnloading));
  Caller late;
  late.Ask(*store_, "a");
  EXPECT_FALSE(late.answered()) << "waits for it to come back";
  user.Leave();
  EXPECT_FALSE(caller.answered()) << "one of its pictures is being painted";
  next.Leave();
  ASSERT_TRUE(caller.Await());
  EXPECT_TRUE(caller.has());
  caller.Leave();
  ASSERT_TRUE(late.Await());
  EXPECT_TRUE(late.has());
  EXPECT_THAT(script_->log(), ElementsAre("load a", "unload a", "load b", "unload b", "load a"));
}

TEST_F(ModelStoreTest, WhoGivesUpNoLongerCausesALoad) {
  Make({"a"});
  Caller user, caller;
  user.Ask(*store_, "a");
  caller.Ask(*store_, "b");
  ASSERT_EQ(StateOf("b"), ModelState::kLoading);
  store_->Abandon(caller.ticket());
  EXPECT_EQ(StateOf("b"), ModelState::kUnloaded);
  user.Leave();
  Caller again;
  again.Ask(*store_, "a");
  EXPECT_TRUE(again.has());
  EXPECT_FALSE(caller.answered());
  EXPECT_THAT(script_->log(), IsEmpty());
}

TEST_F(ModelStoreTest, OnlySoManyMayWait) {
  Make({}, {.max_waiting = 1});
  script_->Hold();
  Caller first, second;
  first.Ask(*store_, "a");
  second.Ask(*store_, "b");
  ASSERT_TRUE(second.answered());
  EXPECT_EQ(second.reason(), "MODEL_LOADING");
  EXPECT_GT(RetryDelayOf(second.status()).value_or(absl::ZeroDuration()), absl::ZeroDuration());
  EXPECT_EQ(ErrorReason(store_->Check("b")), "MODEL_LOADING");
  store_->Abandon(first.ticket());
  EXPECT_TRUE(store_->Check("b").ok());
}

TEST_F(ModelStoreTest, AFailureIsToldAndTriedAgainLater) {
  Make();
  script_->Fail("a", absl::FailedPreconditionError("model 'a' in '/secret': broken"));
  Caller caller;
  caller.Ask(*store_, "a");
  ASSERT_TRUE(caller.Await());
  EXPECT_EQ(caller.reason(), "MODEL_FAILED");
  EXPECT_THAT(std::string(caller.status().message()), testing::Not(HasSubstr("secret")));
  EXPECT_EQ(StateOf("a"), ModelState::kFailed);
  Caller other;
  other.Ask(*store_, "c");
  ASSERT_TRUE(other.Await());
  EXPECT_TRUE(other.has()) << "it stops no other";

  script_->Set(Sized("a", 60));
  Caller soon;
  soon.Ask(*store_, "a");
  EXPECT_EQ(soon.reason(), "MODEL_FAILED") << "not again at once";
  Pass(absl::Seconds(31));
  Caller later;
  later.Ask(*store_, "a");
  ASSERT_TRUE(later.Await());
  EXPECT_TRUE(later.has());
}

TEST_F(ModelStoreTest, WhatNoLongerFitsAtAllFails) {
  Make();
  script_->Set(Sized("a", 101));
  Done load;
  store_->Load("a", load.Callback());
  EXPECT_THAT(std::string(load.Await().status().message()), HasSubstr("needs 101 bytes"));
  EXPECT_EQ(StateOf("a"), ModelState::kFailed);
}

TEST_F(ModelStoreTest, WhatDoesNotFitBesideThePinnedDoesNotWaitForThem) {
  Make({"c"}, {.loading = {{"c", ModelLoading::kPinned}}});
  script_->Set(Sized("a", 71));
  Caller caller;
  caller.Ask(*store_, "a");
  ASSERT_TRUE(caller.Await());
  EXPECT_EQ(caller.reason(), "MODEL_FAILED");
  Done load;
  store_->Load("a", load.Callback());
  EXPECT_THAT(std::string(load.Await().status().message()),
              testing::AllOf(HasSubstr("needs 71 bytes"), HasSubstr("others hold 30"), HasSubstr("pinned")));
  Done unload, again;
  store_->Unload("c", absl::InfiniteFuture(), /*reload_on_request=*/false, unload.Callback());
  ASSERT_TRUE(unload.Await().ok());
  store_->Load("a", again.Callback());
  EXPECT_TRUE(again.Await().ok()) << "an operator has made room";
}

TEST_F(ModelStoreTest, PartsThatAreThereAlreadyNeedNoRoom) {
  Make({"a"});
  script_->Set(Sized("b", 60, "of a"));
  Caller user, caller;
  user.Ask(*store_, "a");
  caller.Ask(*store_, "b");
  ASSERT_TRUE(caller.Await());
  EXPECT_TRUE(caller.has());
  EXPECT_THAT(store_->Standing("b").shared_with, ElementsAre(testing::Pair("unet", ElementsAre("a"))));
}

TEST_F(ModelStoreTest, AModelComesBackAsItsFilesAreThen) {
  Make({"a"});
  ModelInfo changed = *Sized("a", 60);
  changed.sha256 = std::string(64, 'b');
  script_->Set(Share(std::move(changed)));
  const auto before = store_->registry();
  Done unload, load;
  store_->Unload("a", absl::InfiniteFuture(), /*reload_on_request=*/true, unload.Callback());
  EXPECT_EQ(*unload.Await(), 60);
  store_->Load("a", load.Callback());
  ASSERT_TRUE(load.Await().ok());
  EXPECT_EQ(store_->registry()->Find("a")->info->sha256, std::string(64, 'b'));
  EXPECT_NE(before->Find("a")->info->sha256, std::string(64, 'b')) << "who looked before sees what was there";
}

TEST_F(ModelStoreTest, UnloadingByHandWaitsForWhoPaints) {
  Make({"a"});
  Caller user;
  user.Ask(*store_, "a");
  Done unload;
  store_->Unload("a", clock_.Now() + absl::Seconds(60), /*reload_on_request=*/false, unload.Callback());
  EXPECT_EQ(StateOf("a"), ModelState::kUnloading);
  Caller late;
  late.Ask(*store_, "a");
  EXPECT_EQ(late.reason(), "MODEL_NOT_FOUND");
  EXPECT_FALSE(unload.done());
  user.Leave();
  EXPECT_EQ(*unload.Await(), 60);
  EXPECT_EQ(StateOf("a"), ModelState::kOff);
  Done again;
  store_->Unload("a", absl::InfiniteFuture(), false, again.Callback());
  EXPECT_EQ(*again.Await(), 0) << "it is gone already";
  late.Ask(*store_, "a");
  Done load;
  store_->Load("a", load.Callback());
  EXPECT_TRUE(load.Await().ok());
  EXPECT_EQ(StateOf("a"), ModelState::kReady);
}

TEST_F(ModelStoreTest, WhoPaintsTooLongIsCancelled) {
  Make({"a"});
  Caller user;
  user.Ask(*store_, "a");
  Done unload;
  store_->Unload("a", clock_.Now() + absl::Seconds(60), false, unload.Callback());
  Pass(absl::Seconds(59));
  EXPECT_FALSE(user.was_cancelled());
  Pass(absl::Seconds(2));
  EXPECT_EQ(ErrorReason(user.AwaitCancelled()), "MODEL_NOT_FOUND");
  user.Leave();
  EXPECT_TRUE(unload.Await().ok());
}

TEST_F(ModelStoreTest, WhoIsCancelledForAModelThatComesBackMayAskAgain) {
  Make({"a"});
  Caller user;
  user.Ask(*store_, "a");
  Done unload;
  store_->Unload("a", clock_.Now(), /*reload_on_request=*/true, unload.Callback());
  EXPECT_EQ(ErrorReason(user.AwaitCancelled()), "MODEL_LOADING");
  EXPECT_THAT(std::string(user.AwaitCancelled().message()), HasSubstr("unloaded by an operator"));
  user.Leave();
  EXPECT_TRUE(unload.Await().ok());
}

// Files may grow after they were looked at.
TEST_F(ModelStoreTest, WhatHasGrownSinceItWasLookedAtMakesRoomOnceMore) {
  Make({"c"});
  script_->Hold();
  Caller caller;
  caller.Ask(*store_, "a");
  ASSERT_TRUE(script_->AwaitLog(1));
  script_->Set(Sized("a", 90));
  script_->Release();
  ASSERT_TRUE(caller.Await());
  EXPECT_TRUE(caller.has()) << caller.status();
  EXPECT_THAT(script_->log(), ElementsAre("load a", "unload a", "unload c", "load a"));
  EXPECT_EQ(StateOf("c"), ModelState::kUnloaded);
}

TEST_F(ModelStoreTest, WhatHasGrownBeyondTheBudgetIsRefused) {
  Make();
  script_->Hold();
  Caller caller;
  caller.Ask(*store_, "a");
  ASSERT_TRUE(script_->AwaitLog(1));
  script_->Set(Sized("a", 101));
  script_->Release();
  ASSERT_TRUE(caller.Await());
  EXPECT_EQ(caller.reason(), "MODEL_FAILED");
  EXPECT_THAT(script_->log(), ElementsAre("load a", "unload a"));
}

TEST_F(ModelStoreTest, UnloadingByHandEndsALoadOnItsWay) {
  Make();
  script_->Hold();
  Caller caller;
  caller.Ask(*store_, "a");
  ASSERT_TRUE(script_->AwaitLog(1));
  Done unload;
  store_->Unload("a", absl::InfiniteFuture(), false, unload.Callback());
  ASSERT_TRUE(caller.answered());
  EXPECT_EQ(caller.reason(), "MODEL_NOT_FOUND");
  script_->Release();
  EXPECT_TRUE(unload.Await().ok());
  EXPECT_EQ(StateOf("a"), ModelState::kOff);
  EXPECT_THAT(script_->log(), ElementsAre("load a", "unload a"));
}

TEST_F(ModelStoreTest, WhoLoadsAfterAnUnloadOfALoadOnItsWayGetsANewLoad) {
  Make();
  script_->Hold();
  Done first, unload, again;
  store_->Load("a", first.Callback());
  ASSERT_TRUE(script_->AwaitLog(1));
  store_->Unload("a", absl::InfiniteFuture(), false, unload.Callback());
  EXPECT_EQ(ErrorReason(first.Await().status()), "MODEL_NOT_FOUND");
  store_->Load("a", again.Callback());
  script_->Release();
  EXPECT_TRUE(unload.Await().ok());
  EXPECT_TRUE(again.Await().ok());
  EXPECT_EQ(StateOf("a"), ModelState::kReady);
  EXPECT_THAT(script_->log(), ElementsAre("load a", "unload a", "load a"));
}

TEST_F(ModelStoreTest, AFailureBeforeAnUnloadIsNotThatOfTheLoadAfterIt) {
  Make();
  script_->Hold();
  Done first, unload, again;
  store_->Load("a", first.Callback());
  ASSERT_TRUE(script_->AwaitLog(1));
  store_->Unload("a", absl::InfiniteFuture(), false, unload.Callback());
  store_->Load("a", again.Callback());
  script_->Fail("a", absl::FailedPreconditionError("broken"));
  script_->Release();
  EXPECT_TRUE(unload.Await().ok());
  EXPECT_EQ(ErrorReason(again.Await().status()), "MODEL_FAILED");
  EXPECT_THAT(script_->log(), ElementsAre("load a"));  // looking at it again has failed before a second load
}

TEST_F(ModelStoreTest, UnloadingForTheNextRequestKeepsThoseThatWait) {
  Make();
  script_->Hold();
  Caller caller, late;
  caller.Ask(*store_, "a");
  ASSERT_TRUE(script_->AwaitLog(1));
  Done unload;
  store_->Unload("a", absl::InfiniteFuture(), /*reload_on_request=*/true, unload.Callback());
  EXPECT_TRUE(store_->Check("a").ok());
  late.Ask(*store_, "a");
  EXPECT_FALSE(caller.answered() || late.answered());
  script_->Release();
  EXPECT_TRUE(unload.Await().ok());
  ASSERT_TRUE(caller.Await() && late.Await());
  EXPECT_TRUE(caller.has() && late.has());
  EXPECT_THAT(script_->log(), ElementsAre("load a", "unload a", "load a"));
}

TEST_F(ModelStoreTest, SharedIsWhatIsOnOneDevice) {
  const auto on = [](const std::string& id, const std::string& device) {
    ModelInfo info = *Sized(id, 60, "one");
    info.devices = {device};
    return Share(std::move(info));
  };
  ModelStoreOptions options;
  options.memory = {{.device = "cuda:0", .loops = {"cuda:0"}}, {.device = "cuda:1", .loops = {"cuda:1"}}};
  const ModelStore store(*ModelRegistry::Create({on("a", "cuda:0"), on("b", "cuda:1"), on("c", "cuda:0")}, ""),
                         std::move(options), nullptr, metrics_, clock_);
  EXPECT_THAT(store.Standing("a").shared_with, ElementsAre(testing::Pair("unet", ElementsAre("c"))));
}

TEST_F(ModelStoreTest, AClosedStoreLoadsNothingMore) {
  Make({"c"});
  script_->Hold();
  Caller caller, late, lucky;
  caller.Ask(*store_, "a");
  ASSERT_TRUE(script_->AwaitLog(1));
  store_->Close(WithReason(absl::UnavailableError("draining"), "DRAINING"));
  ASSERT_TRUE(caller.answered());
  EXPECT_EQ(caller.reason(), "DRAINING");
  late.Ask(*store_, "b");
  EXPECT_EQ(late.reason(), "DRAINING");
  lucky.Ask(*store_, "c");
  EXPECT_TRUE(lucky.has()) << "what is in memory paints on";
}

TEST_F(ModelStoreTest, WithoutAHostModelsStay) {
  ModelStore store(ThreeModels(), {}, nullptr, metrics_, clock_);
  Caller caller;
  caller.Ask(store, "texty");
  EXPECT_TRUE(caller.has());
  Done unload;
  store.Unload("texty", absl::InfiniteFuture(), false, unload.Callback());
  EXPECT_EQ(unload.Await().status().code(), absl::StatusCode::kUnimplemented);
}

}  // namespace
}  // namespace stepcast
