#include "server/config/byte_size.h"

#include <optional>
#include <string>

#include <gtest/gtest.h>

namespace stepcast {
namespace {

TEST(ByteSizeTest, ReadsUnits) {
  EXPECT_EQ(ParseBytes("4096"), 4096);
  EXPECT_EQ(ParseBytes("4096B"), 4096);
  EXPECT_EQ(ParseBytes("12GiB"), int64_t{12} << 30);
  EXPECT_EQ(ParseBytes("1.5 GB"), 1'500'000'000);
  EXPECT_EQ(ParseBytes("800MiB"), int64_t{800} << 20);
  EXPECT_EQ(ParseBytes("2kB"), 2000);
  EXPECT_EQ(ParseBytes("0.5KiB"), 512);
  EXPECT_EQ(ParseBytes("1TiB"), int64_t{1} << 40);
}

TEST(ByteSizeTest, RefusesTheRest) {
  for (const std::string text : {"", "GiB", "-1GiB", "1gib", "1 Gi", "1e3", "1.2.3MB", "0x10", "1GiB2", "nan", "inf",
                                 "9999999TiB", "12 GiB and more"}) {
    EXPECT_EQ(ParseBytes(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace stepcast
