#include "clients/cli/arguments/number.h"

#include <gtest/gtest.h>

namespace stepcast::cli {
namespace {

TEST(NumberTest, AreDecimalAndWhole) {
  int64_t value = 0;
  EXPECT_EQ(ParseNumber("010", value), "");
  EXPECT_EQ(value, 10) << "no octal";
  EXPECT_EQ(ParseNumber("-3", value), "");
  EXPECT_EQ(value, -3);
  for (const char* wrong : {"", "0x10", "1e2", "7 ", " 7", "7x", "9223372036854775808"}) {
    EXPECT_NE(ParseNumber(wrong, value), "") << "'" << wrong << "'";
  }
  int small = 0;
  EXPECT_NE(ParseNumber("4294967297", small), "") << "does not fit, and must not wrap";
  double real = 0;
  EXPECT_EQ(ParseNumber("0.5", real), "");
  EXPECT_EQ(real, 0.5);
  for (const char* wrong : {"nan", "inf", "1e999", "0x1p3", "half"}) EXPECT_NE(ParseNumber(wrong, real), "") << wrong;
}

}  // namespace
}  // namespace stepcast::cli
