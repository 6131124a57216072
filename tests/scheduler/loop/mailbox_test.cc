#include "scheduler/loop/mailbox.h"

#include <gtest/gtest.h>

#include <deque>
#include <optional>
#include <thread>

#include "tests/support/await.h"
#include "tests/support/simulated_clock.h"

namespace stepcast {
namespace {

Mail CancelOf(int64_t id) { return CancelMail{.job = JobId{id}, .reason = absl::CancelledError("")}; }

bool Post(Mailbox& box, int64_t id) {
  Mail mail = CancelOf(id);
  return box.Post(mail);
}

std::vector<int64_t> Ids(const std::deque<Mail>& mail) {
  std::vector<int64_t> ids;
  for (const Mail& letter : mail) ids.push_back(std::get<CancelMail>(letter).job.value);
  return ids;
}

TEST(MailboxTest, KeepsTheOrderOfPosting) {
  Mailbox box;
  for (int64_t id = 1; id <= 3; ++id) EXPECT_TRUE(Post(box, id));
  std::deque<Mail> mail;
  EXPECT_TRUE(box.Take(absl::InfiniteDuration(), mail));
  EXPECT_EQ(Ids(mail), (std::vector<int64_t>{1, 2, 3}));
  EXPECT_TRUE(box.Take(absl::ZeroDuration(), mail));
  EXPECT_TRUE(mail.empty()) << "taken once";
}

TEST(MailboxTest, ATakeWithoutTimeDoesNotWait) {
  Mailbox box;
  std::deque<Mail> mail;
  EXPECT_TRUE(box.Take(absl::ZeroDuration(), mail));
  EXPECT_TRUE(box.Take(-absl::InfiniteDuration(), mail));
}

TEST(MailboxTest, AWakeIsNotLostWhenNobodyWaits) {
  Mailbox box;
  std::deque<Mail> mail;
  box.Wake();
  EXPECT_TRUE(box.Take(absl::InfiniteDuration(), mail));
  EXPECT_TRUE(mail.empty());
}

TEST(MailboxTest, AClosedBoxGivesTheMailBackAndWhatItHeldBefore) {
  Mailbox box;
  EXPECT_TRUE(Post(box, 1));
  box.Close();
  Mail refused = CancelOf(2);
  EXPECT_FALSE(box.Post(refused));
  EXPECT_EQ(std::get<CancelMail>(refused).job.value, 2);
  std::deque<Mail> mail;
  EXPECT_FALSE(box.Take(absl::InfiniteDuration(), mail));
  EXPECT_EQ(Ids(mail), (std::vector<int64_t>{1}));
}

TEST(MailboxTest, EveryKindOfNewsEndsAWait) {
  for (int kind = 0; kind < 3; ++kind) {
    Mailbox box;
    std::thread other([&] {
      if (kind == 0) Post(box, 1);
      if (kind == 1) box.Wake();
      if (kind == 2) box.Close();
    });
    std::deque<Mail> mail;
    EXPECT_EQ(box.Take(absl::InfiniteDuration(), mail), kind != 2);
    EXPECT_EQ(mail.size(), kind == 0 ? 1u : 0u);
    other.join();
  }
}

TEST(MailboxTest, WhileTheEngineIsAwayTheDeskTakesOneLetterAtATime) {
  Mailbox box;
  const SimulatedClock clock;
  EXPECT_TRUE(Post(box, 1));
  EXPECT_FALSE(box.TakeUnattended().has_value()) << "the engine is there";
  box.Leave(absl::InfiniteFuture());
  EXPECT_TRUE(Post(box, 2));
  EXPECT_TRUE(box.AwaitUnattended(clock));
  const std::optional<Mail> letter = box.TakeUnattended();
  ASSERT_TRUE(letter.has_value());
  EXPECT_EQ(std::get<CancelMail>(*letter).job, JobId{1});
  box.Return();
  EXPECT_FALSE(box.TakeUnattended().has_value()) << "the rest is the engine's";
  std::deque<Mail> mail;
  EXPECT_TRUE(box.Take(absl::ZeroDuration(), mail));
  EXPECT_EQ(Ids(mail), (std::vector<int64_t>{2}));
}

TEST(MailboxTest, EveryKindOfNewsWakesTheDesk) {
  for (int kind = 0; kind < 5; ++kind) {
    Mailbox box;
    const SimulatedClock clock;
    if (kind > 0) box.Leave(absl::InfiniteFuture());
    std::thread other([&] {
      if (kind == 0) {
        Post(box, 1);
        box.Leave(absl::InfiniteFuture());
      }
      if (kind == 1) Post(box, 1);
      if (kind == 2) box.Wake();
      if (kind == 3) box.Leave(clock.Now());
      if (kind == 4) box.Close();
    });
    bool open = true;
    do {  // it may wake for nothing
      open = box.AwaitUnattended(clock);
    } while (kind < 2 && !box.TakeUnattended().has_value());
    EXPECT_EQ(open, kind != 4);
    other.join();
  }
}

TEST(MailboxTest, NothingIsLostBetweenManyPosters) {
  Mailbox box;
  constexpr int kPosters = 4;
  constexpr int kLetters = 500;
  std::vector<std::thread> posters;
  for (int p = 0; p < kPosters; ++p) {
    posters.emplace_back([&box, p] {
      for (int i = 0; i < kLetters; ++i) EXPECT_TRUE(Post(box, p * kLetters + i));
    });
  }
  std::vector<std::vector<int64_t>> of(kPosters);
  std::deque<Mail> mail;
  for (int seen = 0; seen < kPosters * kLetters; seen += static_cast<int>(mail.size())) {
    ASSERT_TRUE(box.Take(kAwaitLimit, mail));
    for (const int64_t id : Ids(mail)) of[static_cast<size_t>(id / kLetters)].push_back(id % kLetters);
  }
  for (std::thread& poster : posters) poster.join();
  for (const auto& letters : of) {
    ASSERT_EQ(letters.size(), static_cast<size_t>(kLetters));
    for (int i = 0; i < kLetters; ++i) ASSERT_EQ(letters[static_cast<size_t>(i)], i) << "each poster's order is kept";
  }
}

}  // namespace
}  // namespace stepcast
