#include "scheduler/recording/recording_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "scheduler/recording/recording_text.h"

namespace stepcast {
namespace {

using testing::HasSubstr;

constexpr char kHeader[] =
    "stepcast-recording 1\nfingerprint %\npolicy fifo\nmax_queue_delay 0\nlimits 16 8 4 0 2147483647\nbegin 0\n";
constexpr char kWords[] = "R 0 model=m scale=8 width=64 height=64 steps=4\nA 0 4 0,2 3*1,2\nK 0 denoise m 8 8\n";

std::string Write(const std::string& text) {
  const std::string path = testing::TempDir() + "/reader_test.rec";
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

std::string End(int events, const std::string& before) {
  return absl::StrFormat("E %d %016x\n", events, recording::Hash(recording::kHashStart, before));
}

// Reads everything; the first error, if any.
absl::Status ReadAll(const std::string& text, int* events = nullptr, bool* complete = nullptr) {
  auto reader = RecordingReader::Open(Write(text));
  if (!reader.ok()) return reader.status();
  while (true) {
    const auto event = (*reader)->Next();
    if (!event.ok()) return event.status();
    if (!event->has_value()) break;
    if (events != nullptr) ++*events;
  }
  if (complete != nullptr) *complete = (*reader)->complete();
  return absl::OkStatus();
}

TEST(RecordingReaderTest, AWholeFile) {
  const std::string text = absl::StrCat(kHeader, kWords, "S 5 1 R0 A0 0 -5 inf e\nW 1 K0 2:100 4:150\nM 1 K0 4\n");
  int events = 0;
  bool complete = false;
  EXPECT_TRUE(ReadAll(text + End(3, text), &events, &complete).ok());
  EXPECT_EQ(events, 3);
  EXPECT_TRUE(complete);
}

TEST(RecordingReaderTest, AFileThatWasCutAnywhereIsReadUpToThere) {
  const std::string head = absl::StrCat(kHeader, kWords);
  const std::string text = absl::StrCat(head, "S 5 1 R0 A0 0 -5 inf e\nP 7 1 K0 2 1 0\nC 9 1\n");
  const std::string whole = text + End(3, text);
  for (size_t size = head.size(); size < whole.size(); ++size) {
    bool complete = true;
    int events = 0;
    const absl::Status status = ReadAll(whole.substr(0, size), &events, &complete);
    ASSERT_TRUE(status.ok()) << size << ": " << status;
    EXPECT_FALSE(complete);
    EXPECT_LE(events, 3);
  }
}

TEST(RecordingReaderTest, ChangedBytesAreFound) {
  const std::string text = absl::StrCat(kHeader, kWords, "S 5 1 R0 A0 0 -5 inf e\nP 7 1 K0 2 1 0\nC 9 1\n");
  const std::string whole = text + End(3, text);
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string damaged = whole;
    damaged[i] ^= 0x01;
    bool complete = true;
    const absl::Status status = ReadAll(damaged, nullptr, &complete);
    // A damaged line end at the very end looks like a cut.
    EXPECT_TRUE(!status.ok() || !complete) << "byte " << i << " of\n" << damaged;
  }
}

TEST(RecordingReaderTest, ForeignFilesAreRefused) {
  for (const char* text : {"", "\n", "stepcast-costs 1 x\n", "\x89PNG\r\n\x1a\n", "stepcast-recording\n"}) {
    const absl::Status status = ReadAll(text);
    EXPECT_TRUE(absl::IsInvalidArgument(status));
    EXPECT_THAT(std::string(status.message()), HasSubstr("reader_test.rec:1: this is no recording")) << text;
  }
  for (const char* text : {"stepcast-recording 0\n", "stepcast-recording 4\n"}) {
    EXPECT_THAT(std::string(ReadAll(text).message()), HasSubstr("this program reads 1 to 3"));
  }
  EXPECT_TRUE(absl::IsNotFound(RecordingReader::Open(testing::TempDir() + "/no_such.rec").status()));
}

TEST(RecordingReaderTest, ErrorsNameTheLine) {
  const struct {
    const char* line;  // the tenth of the file
    const char* message;
  } kCases[] = {
      {"Z 0 1", "'Z' is no event"},
      {"", "this is no event"},
      {"S 0 1 R1 A0 0 0 inf e", "'R1' was not defined"},
      {"S 0 1 R0 A7 0 0 inf e", "'A7' was not defined"},
      {"S 0 1 A0 R0 0 0 inf e", "'A0' is not R<number>"},
      {"S 0 0 R0 A0 0 0 inf e", "'0' is no whole number in 1.."},
      {"S 0 1 R0 A0 0 0 inf", "a submit is S"},
      {"S 0 1 R0 A0 0 0 inf x", "'x' is no whole number"},
      {"S x 1 R0 A0 0 0 inf e", "'x' is no number of nanoseconds"},
      {"P 0 1 K3 2 1 0", "'K3' was not defined"},
      {"P 0 1 K0 2 1,2 0", "'1,2' is no list of jobs"},
      {"P 0 1 K0 2 1 0 x1", "after a plan: p<parts>, g<jobs>, e<jobs>"},
      {"P 0 1 K0 2 1", "a plan is P"},
      {"C 0 1 0", "a result is <index>:<code>"},
      {"C 0 1 0:SAD", "'SAD' is no status code"},
      {"L 0 1 OK", "'OK' is no status code"},
      {"L 0 1", "a leave is L"},
      {"X 0 R0 A0 0 0 inf", "a refusal is X"},
      {"X 0 R0 A0 0 0 inf SAD", "'SAD' is no status code"},
      {"W 0 K0 2", "'2' is no <rows>:<cost>"},
      {"M 0 K0 0", "'0' is no whole number"},
      {"K 1 denoise m 8", "a key is"},
      {"A 1 4", "a program has steps"},
      {"R 1 colour=red", "'colour' is no field of a request"},
      {"E 3", "the end is E <events> <hash>"},
  };
  for (const auto& test : kCases) {
    const absl::Status status = ReadAll(absl::StrCat(kHeader, kWords, test.line, "\n"));
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << test.line << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("reader_test.rec:10: ")) << test.line;
    EXPECT_THAT(std::string(status.message()), HasSubstr(test.message)) << test.line;
  }
}

TEST(RecordingReaderTest, HeadersAreChecked) {
  const struct {
    const char* line;
    const char* message;
  } kCases[] = {
      {"limits 1 8 4 0 9", "'1' is no whole number in 2..4096"},
      {"limits 16 8 4", "limits are seven numbers, of earlier versions five"},
      {"tenant a 0", "it must be positive"},
      {"cost denoise m 8 8 0 2:x", "'x' is no number of nanoseconds"},
      {"colour red", "'colour' is no header line"},
      {"policy", "'policy' without a value"},
  };
  for (const auto& test : kCases) {
    const absl::Status status = ReadAll(absl::StrCat("stepcast-recording 1\n", test.line, "\nbegin 0\n"));
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << test.line;
    EXPECT_THAT(std::string(status.message()), HasSubstr(absl::StrCat("reader_test.rec:2: "))) << test.line;
    EXPECT_THAT(std::string(status.message()), HasSubstr(test.message)) << test.line;
  }
  EXPECT_THAT(std::string(ReadAll("stepcast-recording 1\npolicy fifo\n").message()),
              HasSubstr("the file ends within its header"));
}

TEST(RecordingReaderTest, TheEndMustFit) {
  const std::string text = absl::StrCat(kHeader, kWords, "L 0 1 CANCELLED\n");
  EXPECT_TRUE(ReadAll(text + End(1, text)).ok());
  EXPECT_TRUE(absl::IsDataLoss(ReadAll(text + End(2, text))));
  EXPECT_TRUE(absl::IsDataLoss(ReadAll(text + "E 1 0000000000000000\n")));
  EXPECT_TRUE(absl::IsDataLoss(ReadAll(text + End(1, text) + "L 0 1 CANCELLED\n")));
}

TEST(RecordingReaderTest, AnEndlessLineIsRefused) {
  const absl::Status status = ReadAll(kHeader + std::string((1 << 20) + 1, 'x'));
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
}

// A line of 24 bytes defines a million evaluations: what is alive at once is bounded, what is replaced is forgotten.
TEST(RecordingReaderTest, ProgramsCannotFillTheMemory) {
  std::string many = kHeader, replaced = kHeader;
  for (int i = 0; i < 11; ++i) {
    absl::StrAppend(&many, "A ", i, " 1 1000000*0,2\n");
    absl::StrAppend(&replaced, "A 0 1 1000000*0,2\n");
  }
  const absl::Status refused = ReadAll(many);
  EXPECT_TRUE(absl::IsInvalidArgument(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("programs of more than 10000000 evaluations together"));
  EXPECT_TRUE(ReadAll(replaced).ok());
}

}  // namespace
}  // namespace stepcast
