#include "scheduler/recording/recording_work.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_split.h"
#include "core/string_view.h"
#include "scheduler/words/job_spec.h"
#include "tests/support/job_builder.h"

namespace stepcast::recording {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string_view> Words(const std::string& line) {
  std::vector<std::string_view> words;
  for (const absl::string_view word : absl::StrSplit(line, ' ')) words.push_back(ToStd(word));
  return words;
}

TEST(RecordingWorkTest, WorkComesBack) {
  const struct {
    TestJob job;
    const char* text;
  } kCases[] = {
      {{.model = "a model", .steps = 1, .guidance_scale = 1.0},
       "1 encode a%20model 0 0 1 1 0 1 denoise a%20model 16 16 1 1 0 1 decode a%20model 16 16 1 1 0 1"},
      {{.steps = 20, .unguided_tail = 5},
       "20 encode emoji 0 0 1 1 0 1 denoise emoji 16 16 2 15 0 1 denoise emoji 16 16 1 5 15 1 decode emoji 16 16 1 1 0 "
       "1"},
      {{.width = 32, .steps = 2, .evaluations_per_step = 2},
       "2 encode emoji 0 0 1 1 0 1 denoise emoji 16 8 2 4 0 2 decode emoji 16 8 1 1 0 1"},
  };
  for (const auto& test : kCases) {
    const SharedWorkList work = MakeJobSpec(MakeRequest(test.job), MakeProgram(test.job)).work;
    std::string line;
    AppendWork(line, *work);
    EXPECT_EQ(line, test.text);
    const auto back = ParseWork(Words(line), 0);
    ASSERT_TRUE(back.ok()) << back.status();
    std::vector<WorkItem> items = work->items();
    for (WorkItem& item : items) item.stage = item.first = 0;  // the executor's
    EXPECT_EQ((*back)->items(), items);
    EXPECT_EQ((*back)->steps(), work->steps());
  }
}

TEST(RecordingWorkTest, PicturesAreEncodesToo) {
  const char* const line =
      "4 encode m 0 0 1 1 0 1 encode_picture m 8 8 1 1 0 1 encode_picture m 8 8 1 1 0 1 denoise m 8 8 2 4 0 1 "
      "decode m 8 8 1 1 0 1";
  const auto work = ParseWork(Words(line), 0);
  ASSERT_TRUE(work.ok()) << work.status();
  EXPECT_THAT(EncodesOf(**work), ElementsAre(0, 1, 2));
  EXPECT_TRUE(CheckEncodes({2}, **work).ok());
  EXPECT_FALSE(CheckEncodes({3}, **work).ok());
  std::string again;
  AppendWork(again, **work);
  EXPECT_EQ(again, line);
}

TEST(RecordingWorkTest, WorkThatMakesNoSenseIsRefused) {
  const struct {
    const char* line;
    const char* message;
  } kCases[] = {
      {"4", "work is <steps>"},
      {"4 denoise m 8 8 2 4 0", "work is <steps>"},
      {"0 decode m 8 8 1 1 0 1", "'0' is no whole number in 1.."},
      {"4 paint m 8 8 1 1 0 1", "'paint' is no phase"},
      {"4 preview m 8 8 1 1 0 1", "'preview' is no phase that has ticks of its own"},
      {"4 denoise m 8 8 4097 4 0 1 decode m 8 8 1 1 0 1", "'4097' is no whole number in 1..4096"},
      {"4 denoise m 8 8 2 5 0 1 decode m 8 8 1 1 0 1", "'5' is no number of evaluations within 4 steps"},
      {"4 denoise m 8 8 2 4 4 1 decode m 8 8 1 1 0 1", "'4' is no whole number in 0..3"},
      {"4 decode m 8 8 2 1 0 1", "'2' is no whole number in 1..1"},
      {"4 encode m 0 0 1 2 0 1 decode m 8 8 1 1 0 1", "'2' is no whole number in 1..1"},
      {"4 denoise m 8 8 2 4 0 1", "'denoise' is no last phase"},
      {"4 decode m 8 8 1 1000000 0 1 decode m 8 8 1 1 0 1", "work of 1000001 ticks"},
  };
  for (const auto& test : kCases) {
    const auto work = ParseWork(Words(test.line), 0);
    EXPECT_TRUE(absl::IsInvalidArgument(work.status())) << test.line;
    EXPECT_THAT(std::string(work.status().message()), HasSubstr(test.message)) << test.line;
  }
}

TEST(RecordingWorkTest, EncodesAreItemsOfTheWork) {
  for (const std::vector<int>& items : {std::vector<int>{}, {0}, {0, 2, 17}}) {
    std::string line;
    AppendItems(line, items);
    EXPECT_EQ(ParseItems(line).value(), items) << line;
  }
  for (const char* bad : {"", "2,2", "3,1", "x", "1,", "-1"}) EXPECT_FALSE(ParseItems(bad).ok()) << bad;
  const SharedWorkList work = MakeJobSpec(MakeRequest({}), MakeProgram({})).work;
  EXPECT_THAT(EncodesOf(*work), ElementsAre(0));
  EXPECT_TRUE(CheckEncodes({0}, *work).ok());
  EXPECT_FALSE(CheckEncodes({1}, *work).ok());
  EXPECT_FALSE(CheckEncodes({99}, *work).ok());
}

TEST(RecordingWorkTest, PartsComeBack) {
  const std::vector<RowPart> parts = {{.job = JobId{7}, .first_row = 0, .rows = 8}, {JobId{9}, 8, 4}};
  std::string line;
  AppendParts(line, parts);
  EXPECT_EQ(line, "7:0+8,9:8+4");
  EXPECT_EQ(ParseParts(line).value(), parts);
  for (const char* bad : {"", "7", "7:0", "7:0+0", "0:0+1", "7:-1+2", "7:0+8,", "7:0+8+1", "7:0+9999", "x:0+1"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseParts(bad).status())) << bad;
  }
}

TEST(RecordingWorkTest, ProgramsOfEarlierVersionsKeepStepsAndRows) {
  const struct {
    TestJob job;
    const char* text;
  } kCases[] = {
      {{.steps = 1, .guidance_scale = 1.0}, "1 0,1"},
      {{.steps = 20}, "20 0,2 19*1,2"},
      {{.steps = 20, .unguided_tail = 5}, "20 0,2 14*1,2 5*1,1"},
      {{.steps = 2, .evaluations_per_step = 2}, "2 2*0,2 1,2 0,2"},
  };
  for (const auto& test : kCases) {
    const auto back = ParseProgram(Words(test.text), 0);
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(MakeJobSpec(MakeRequest(test.job), *back).work->items(),
              MakeJobSpec(MakeRequest(test.job), MakeProgram(test.job)).work->items());
  }
}

TEST(RecordingWorkTest, ProgramsAreNotTrusted) {
  for (const char* line : {"", "4", "0 0,1", "4 0,3", "4 0,0", "4 9,1", "4 0", "4 -1,1", "4 0*0,1", "4 2000000*0,1",
                           "4 999999*0,1 2*0,1"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseProgram(Words(line), 0).status())) << line;
  }
}

}  // namespace
}  // namespace stepcast::recording
