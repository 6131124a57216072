#include "tools/simulate/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

namespace stepcast::simulate {
namespace {

using testing::HasSubstr;

struct Report {
  int code = -1;
  std::string out, err;
};

Report Call(std::vector<const char*> words) {
  words.insert(words.begin(), "stepcast-simulate");
  std::ostringstream out, err;
  const int code = RunCommandLine(static_cast<int>(words.size()), words.data(), out, err);
  return {code, out.str(), err.str()};
}

TEST(CommandLineTest, WhatCannotBeCarriedOutIsTwo) {
  const struct {
    std::vector<const char*> words;
    const char* message;
  } kCases[] = {
      {{}, "subcommand"},
      {{"dance"}, "subcommand"},
      {{"run", "--colour", "red"}, "--colour"},
      {{"run", "--load", "half"}, "--load"},
      {{"run", "--load", "0.5", "--seed", "-1"}, "--seed: '-1'"},
      {{"run", "--load", "0.5", "--arrivals", "300"}, "--warm-up"},
      {{"run"}, "exactly one of --load"},
      {{"bench", "--arrivals", "3"}, "--arrivals"},
      {{"bench", "--only", "nothing"}, "--only"},
      {{"replay"}, "recording"},
      {{"replay", "no_such.rec"}, "no_such.rec"},
  };
  for (const auto& test : kCases) {
    const Report report = Call(test.words);
    EXPECT_EQ(report.code, 2) << report.err;
    EXPECT_THAT(report.err, HasSubstr(test.message));
    EXPECT_EQ(report.out, "");
  }
}

TEST(CommandLineTest, HelpIsNoMistake) {
  EXPECT_EQ(Call({"--help"}).code, 0);
  const Report report = Call({"run", "--help"});
  EXPECT_EQ(report.code, 0);
  EXPECT_THAT(report.out, HasSubstr("--strict-rows"));
}

TEST(CommandLineTest, ARunPrintsItsTable) {
  const Report report = Call({"run", "--rate", "1", "--costs", "S", "--policy", "fifo", "--arrivals", "20", "--warm-up",
                              "0", "--seed", "1,2", "--devices", "1,2"});
  EXPECT_EQ(report.code, 0) << report.err;
  EXPECT_THAT(report.out, HasSubstr("policy"));
  EXPECT_THAT(report.out, HasSubstr("fifo               1 2     40"));
}

TEST(CommandLineTest, ABenchTellsItsClaims) {
  const Report report = Call({"bench", "--only", "phases", "--json", "-"});
  EXPECT_EQ(report.code, 0) << report.out;
  EXPECT_THAT(report.out, HasSubstr("\"met\": true"));
  EXPECT_THAT(report.err, HasSubstr("measuring: phases"));
}

}  // namespace
}  // namespace stepcast::simulate
