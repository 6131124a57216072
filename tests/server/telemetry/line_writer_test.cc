#include "server/telemetry/line_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <string>

#include "gtest/gtest.h"

namespace stepcast {
namespace {

// A pipe whose reader does nothing until it is asked.
class LineWriterTest : public testing::Test {
 protected:
  LineWriterTest() { EXPECT_EQ(pipe2(ends_, O_CLOEXEC), 0); }
  ~LineWriterTest() override { close(ends_[0]); }  // the writer lives on, and writes to nobody

  std::string Read(size_t bytes) {
    std::string text(bytes, '\0');
    size_t got = 0;
    while (got < bytes) {
      const ssize_t n = read(ends_[0], text.data() + got, bytes - got);
      if (n <= 0) break;
      got += static_cast<size_t>(n);
    }
    text.resize(got);
    return text;
  }

  int ends_[2] = {-1, -1};
};

TEST_F(LineWriterTest, LinesComeInOrder) {
  LineWriter& writer = LineWriter::Start(ends_[1]);
  writer.Write("one\n");
  writer.Write("two\n");
  EXPECT_EQ(Read(8), "one\ntwo\n");
  EXPECT_TRUE(writer.Flush(absl::Seconds(10)));
  EXPECT_EQ(writer.dropped(), 0);
}

TEST_F(LineWriterTest, WhoWritesToABlockedPipeDoesNotWait) {
  LineWriter& writer = LineWriter::Start(ends_[1]);
  const std::string line(1023, 'x');
  // More than pipe and queue hold together: were there a wait, this would not end.
  const int written = static_cast<int>(2 * LineWriter::kMaxBytes / 1024);
  for (int i = 0; i < written; ++i) writer.Write(line + "\n");
  const int64_t dropped = writer.dropped();
  EXPECT_GT(dropped, 0);
  EXPECT_LT(dropped, written);
  EXPECT_FALSE(writer.Flush(absl::ZeroDuration()));
  // Once somebody reads, what was kept comes whole.
  const size_t kept = static_cast<size_t>(written - dropped) * 1024;
  EXPECT_EQ(Read(kept).size(), kept);
  EXPECT_TRUE(writer.Flush(absl::Seconds(10)));
  EXPECT_EQ(writer.dropped(), dropped);
}

// What a log on a full disk is.
TEST(FullDiskTest, WhoWritesToAFullDiskGoesOn) {
  const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  ASSERT_GE(full, 0);
  LineWriter& writer = LineWriter::Start(full);
  for (int i = 0; i < 100; ++i) writer.Write("nobody keeps this\n");
  EXPECT_TRUE(writer.Flush(absl::Seconds(10)));
  EXPECT_EQ(writer.dropped(), 100) << "and it is told";
}

}  // namespace
}  // namespace stepcast
