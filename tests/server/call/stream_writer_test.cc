#include "server/call/stream_writer.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace stepcast {
namespace {

using ::testing::ElementsAre;

EncodedPicture Picture(const std::string& data) {
  EncodedPicture picture;
  picture.data = data;
  picture.mime = "image/png";
  picture.width = 8;
  picture.height = 4;
  picture.seed = 9;
  picture.sha256 = "abc";
  return picture;
}

JobProgress Step(int step) {
  return {.step = step, .steps = 9, .evaluations_done = step, .evaluations_total = 9, .queue_position = 0};
}

// One word per message, until nothing waits.
std::vector<std::string> Take(StreamWriter& writer) {
  std::vector<std::string> words;
  v1::GenerateResponse message;
  while (writer.Next(message)) {
    switch (message.event_case()) {
      case v1::GenerateResponse::kAccepted:
        words.push_back("accepted");
        break;
      case v1::GenerateResponse::kProgress:
        words.push_back(absl::StrCat("progress ", message.progress().image_index(), ":", message.progress().step()));
        break;
      case v1::GenerateResponse::kPreview:
        words.push_back(absl::StrCat("preview ", message.preview().image_index(), ":", message.preview().step()));
        break;
      case v1::GenerateResponse::kImageChunk:
        words.push_back(absl::StrCat("chunk ", message.image_chunk().image_index(), "@", message.image_chunk().offset(),
                                     "=", message.image_chunk().data(),
                                     message.image_chunk().sha256().empty() ? "" : "!"));
        break;
      case v1::GenerateResponse::kCompleted:
        words.push_back("completed");
        break;
      default:
        words.push_back("nothing");
    }
  }
  return words;
}

TEST(StreamWriterTest, MustSendKeepsItsOrderAndGoesFirst) {
  StreamWriter writer(2, 100);
  writer.SetProgress(1, Step(3), std::nullopt);
  writer.PushAccepted({});
  writer.PushPicture(0, Picture("zero"));
  EXPECT_THAT(Take(writer), ElementsAre("accepted", "chunk 0@0=zero!", "progress 1:3"));
  writer.PushPicture(1, Picture("one"));
  writer.PushCompleted({});
  EXPECT_THAT(Take(writer), ElementsAre("chunk 1@0=one!", "completed"));
  EXPECT_TRUE(writer.empty());
}

TEST(StreamWriterTest, OnlyTheNewestOfEachImageWaits) {
  StreamWriter writer(2, 100);
  EXPECT_FALSE(writer.SetPreview(0, 1, Picture("a")));
  writer.SetProgress(0, Step(1), std::nullopt);
  writer.SetProgress(1, Step(1), std::nullopt);
  EXPECT_TRUE(writer.SetPreview(0, 2, Picture("b")));
  writer.SetProgress(0, Step(2), std::nullopt);
  EXPECT_THAT(Take(writer), ElementsAre("preview 0:2", "progress 0:2", "progress 1:1"));
}

TEST(StreamWriterTest, AChattyImageDoesNotStarveAnother) {
  StreamWriter writer(2, 100);
  writer.SetProgress(0, Step(1), std::nullopt);
  writer.SetProgress(1, Step(1), std::nullopt);
  v1::GenerateResponse message;
  ASSERT_TRUE(writer.Next(message));
  EXPECT_EQ(message.progress().image_index(), 0);
  writer.SetProgress(0, Step(2), std::nullopt);
  EXPECT_THAT(Take(writer), ElementsAre("progress 1:1", "progress 0:2"));
}

TEST(StreamWriterTest, APictureMakesItsProgressAndPreviewStale) {
  StreamWriter writer(2, 100);
  writer.SetProgress(0, Step(8), std::nullopt);
  writer.SetProgress(1, Step(2), std::nullopt);
  EXPECT_FALSE(writer.SetPreview(0, 8, Picture("p")));
  EXPECT_TRUE(writer.PushPicture(0, Picture("zero")));
  EXPECT_TRUE(writer.SetPreview(0, 8, Picture("late"))) << "too late counts as replaced";
  writer.SetProgress(0, Step(9), std::nullopt);
  EXPECT_THAT(Take(writer), ElementsAre("chunk 0@0=zero!", "progress 1:2"));
  EXPECT_FALSE(writer.PushPicture(1, Picture("one")));
}

TEST(StreamWriterTest, LargeFilesAreCutAsTheyAreWritten) {
  StreamWriter writer(2, 4);
  writer.PushPicture(1, Picture("0123456789"));
  writer.PushPicture(0, Picture("abcd"));
  EXPECT_EQ(writer.waiting_bytes(), 14);
  v1::GenerateResponse message;
  ASSERT_TRUE(writer.Next(message));
  EXPECT_EQ(writer.waiting_bytes(), 10);
  EXPECT_EQ(message.image_chunk().total_bytes(), 10);
  EXPECT_EQ(message.image_chunk().seed(), 9);
  EXPECT_EQ(message.image_chunk().mime(), "image/png");
  EXPECT_THAT(Take(writer), ElementsAre("chunk 1@4=4567", "chunk 1@8=89!", "chunk 0@0=abcd!"));
  EXPECT_EQ(writer.waiting_bytes(), 0);
}

TEST(StreamWriterTest, SequenceHasNoGaps) {
  StreamWriter writer(1, 100);
  v1::GenerateResponse message;
  for (int i = 0; i < 5; ++i) {
    writer.SetProgress(0, Step(i), std::nullopt);
    writer.SetProgress(0, Step(i + 1), absl::Seconds(2.5));
    ASSERT_TRUE(writer.Next(message));
    EXPECT_EQ(message.sequence(), i);
    EXPECT_EQ(message.progress().eta().seconds(), 2);
    EXPECT_EQ(message.progress().eta().nanos(), 500'000'000);
  }
  EXPECT_FALSE(writer.Next(message));
}

TEST(StreamWriterTest, AbandonCountsThePreviewsThatWait) {
  StreamWriter writer(3, 100);
  writer.PushAccepted({});
  writer.SetPreview(0, 1, Picture("a"));
  writer.SetPreview(2, 1, Picture("b"));
  writer.PushPicture(1, Picture("c"));
  EXPECT_EQ(writer.Abandon(), 2);
  EXPECT_TRUE(writer.empty());
  EXPECT_EQ(writer.waiting_bytes(), 0);
}

TEST(StreamWriterTest, OfCheckpointsTheNewestWaitsAndAParkedPictureNeedsNone) {
  StreamWriter writer(2, 1000);
  writer.SetCheckpoint(0, 8, "eight");
  writer.SetCheckpoint(0, 16, "sixteen");
  writer.SetCheckpoint(1, 8, "other");
  v1::Parked parked;
  parked.set_image_index(1);
  parked.set_resume_token("last");
  writer.PushParked(parked);
  writer.SetCheckpoint(1, 16, "late");
  v1::GenerateResponse message;
  ASSERT_TRUE(writer.Next(message));
  EXPECT_EQ(message.parked().resume_token(), "last");
  ASSERT_TRUE(writer.Next(message));
  EXPECT_EQ(message.checkpoint().image_index(), 0);
  EXPECT_EQ(message.checkpoint().evaluations_done(), 16);
  EXPECT_EQ(message.checkpoint().resume_token(), "sixteen");
  EXPECT_FALSE(writer.Next(message));
}

}  // namespace
}  // namespace stepcast
