#include "scheduler/loop/mailbox.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/support/await.h"

namespace stepcast {
namespace {

Mail CancelOf(int64_t id) { return CancelMail{.job = JobId{id}, .reason = absl::CancelledError("")}; }

bool Post(Mailbox& box, int64_t id) {
  Mail mail = CancelOf(id);
  return box.Post(mail);
}

std::vector<int64_t> Ids(const std::vector<Mail>& mail) {
  std::vector<int64_t> ids;
  for (const Mail& letter : mail) ids.push_back(std::get<CancelMail>(letter).job.value);
  return ids;
}

TEST(MailboxTest, KeepsTheOrderOfPosting) {
  Mailbox box;
  for (int64_t id = 1; id <= 3; ++id) EXPECT_TRUE(Post(box, id));
  std::vector<Mail> mail;
  EXPECT_TRUE(box.Take(absl::InfiniteDuration(), mail));
  EXPECT_EQ(Ids(mail), (std::vector<int64_t>{1, 2, 3}));
  EXPECT_TRUE(box.Take(absl::ZeroDuration(), mail));
  EXPECT_TRUE(mail.empty()) << "taken once";
}

TEST(MailboxTest, ATakeWithoutTimeDoesNotWait) {
  Mailbox box;
  std::vector<Mail> mail;
  EXPECT_TRUE(box.Take(absl::ZeroDuration(), mail));
  EXPECT_TRUE(box.Take(-absl::InfiniteDuration(), mail));
}

TEST(MailboxTest, AWakeIsNotLostWhenNobodyWaits) {
  Mailbox box;
  std::vector<Mail> mail;
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
  std::vector<Mail> mail;
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
    std::vector<Mail> mail;
    EXPECT_EQ(box.Take(absl::InfiniteDuration(), mail), kind != 2);
    EXPECT_EQ(mail.size(), kind == 0 ? 1u : 0u);
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
  std::vector<Mail> mail;
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
