#include "server/config/strict_yaml.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/cpu_scaling.h"

namespace stepcast {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// What a reader of every kind of key makes of a text.
struct Values {
  int count = 7;
  int64_t big = 8;
  double ratio = 0.5;
  bool flag = true;
  std::string name = "unset";
  absl::Duration wait = absl::Seconds(9);
  absl::Duration limit = absl::Seconds(9);
  std::optional<int> port = 10;
  size_t color = 99;
};

absl::Status Read(const std::string& text, Values& values) {
  const absl::StatusOr<YAML::Node> node = ParseYaml(text, "a.yaml");
  if (!node.ok()) return node.status();
  YamlErrors errors("a.yaml");
  YamlMapping root(*node, "", errors);
  root.Int("count", 1, 100, values.count);
  root.Int("big", 0, int64_t{1} << 40, values.big);
  root.Real("ratio", 0.0, 1.0, values.ratio);
  root.Bool("flag", values.flag);
  root.Text("name", values.name);
  root.Duration("wait", absl::ZeroDuration(), absl::Hours(1), values.wait);
  root.DurationOrNone("limit", absl::Milliseconds(1), absl::Hours(1), values.limit);
  root.PortOrOff("port", values.port);
  root.Choice("color", {"red", "green"}, [&values](size_t index) { values.color = index; });
  root.Finish();
  return errors.ToStatus();
}

TEST(StrictYamlTest, ReadsEveryKind) {
  Values values;
  ASSERT_TRUE(Read("# comment\ncount: 100\nbig: 1099511627776\nratio: 1e-1\nflag: false\nname: \"a b\"\nwait: 1m30s\n"
                   "limit: none\nport: off\ncolor: green\n",
                   values)
                  .ok());
  EXPECT_EQ(values.count, 100);
  EXPECT_EQ(values.big, int64_t{1} << 40);
  EXPECT_EQ(values.ratio, 0.1);
  EXPECT_FALSE(values.flag);
  EXPECT_EQ(values.name, "a b");
  EXPECT_EQ(values.wait, absl::Seconds(90));
  EXPECT_EQ(values.limit, absl::InfiniteDuration());
  EXPECT_EQ(values.port, std::nullopt);
  EXPECT_EQ(values.color, 1u);
}

// Of which the library makes documents without end.
TEST(StrictYamlTest, ACommaThatStandsAloneIsRefused) {
  for (const char* text : {",", ", `", "a: 1\n,", "]", "}"}) {
    EXPECT_EQ(ParseYaml(text, "a.yaml").status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(StrictYamlTest, AbsentKeysKeepTheirDefaults) {
  for (const char* text : {"", "# nothing\n", "---\n", "{}\n", "~\n"}) {
    Values values;
    EXPECT_TRUE(Read(text, values).ok()) << text;
    EXPECT_EQ(values.count, 7) << text;
    EXPECT_EQ(values.name, "unset") << text;
    EXPECT_EQ(values.port, 10) << text;
  }
}

TEST(StrictYamlTest, EachMistakeHasItsLine) {
  const struct {
    std::string text;
    std::string error;
  } rows[] = {
      {"count: 0", "a.yaml:1: count: got \"0\"; allowed: a whole number in 1..100"},
      {"\n\ncount: 101", "a.yaml:3: count: got \"101\"; allowed: a whole number in 1..100"},
      {"count: 1e1", "a.yaml:1: count: got \"1e1\"; allowed: a whole number in 1..100"},
      {"count: 0x10", "a.yaml:1: count: got \"0x10\"; allowed: a whole number in 1..100"},
      {"count: 1_0", "a.yaml:1: count: got \"1_0\"; allowed: a whole number in 1..100"},
      {"count: +5", "a.yaml:1: count: got \"+5\"; allowed: a whole number in 1..100"},
      {"count: 5.0", "a.yaml:1: count: got \"5.0\"; allowed: a whole number in 1..100"},
      {"count: -5", "a.yaml:1: count: got \"-5\"; allowed: a whole number in 1..100"},
      {"count:\n- 5", "a.yaml:1: count: got a list; allowed: a whole number in 1..100"},
      {"count: 99999999999999999999",
       "a.yaml:1: count: got \"99999999999999999999\"; allowed: a whole number in 1..100"},
      {"count: \"5\"", "a.yaml:1: count: got \"5\" in quotes; allowed: a whole number in 1..100"},
      {"count:", "a.yaml:1: count: got nothing; allowed: a whole number in 1..100"},
      {"count: ~", "a.yaml:1: count: got nothing; allowed: a whole number in 1..100"},
      {"count: [1]", "a.yaml:1: count: got a list; allowed: a whole number in 1..100"},
      {"count: {a: 1}", "a.yaml:1: count: got a mapping; allowed: a whole number in 1..100"},
      {"ratio: .nan", "a.yaml:1: ratio: got \".nan\"; allowed: a number in 0..1"},
      {"ratio: nan", "a.yaml:1: ratio: got \"nan\"; allowed: a number in 0..1"},
      {"ratio: inf", "a.yaml:1: ratio: got \"inf\"; allowed: a number in 0..1"},
      {"ratio: 1.5", "a.yaml:1: ratio: got \"1.5\"; allowed: a number in 0..1"},
      {"flag: yes", "a.yaml:1: flag: got \"yes\"; allowed: true, false"},
      {"flag: 1", "a.yaml:1: flag: got \"1\"; allowed: true, false"},
      {"flag: True", "a.yaml:1: flag: got \"True\"; allowed: true, false"},
      {"name: [a]", "a.yaml:1: name: got a list; allowed: a text"},
      {"name: \"a\\0b\"", "a.yaml:1: name: got \"a\\x00b\"; allowed: a text without NUL"},
      {"wait: 30", "a.yaml:1: wait: got \"30\"; allowed: a duration in 0..1h, like 30s or 1m30s"},
      {"wait: 2h", "a.yaml:1: wait: got \"2h\"; allowed: a duration in 0..1h, like 30s or 1m30s"},
      {"wait: -1s", "a.yaml:1: wait: got \"-1s\"; allowed: a duration in 0..1h, like 30s or 1m30s"},
      {"wait: inf", "a.yaml:1: wait: got \"inf\"; allowed: a duration in 0..1h, like 30s or 1m30s"},
      {"wait: none", "a.yaml:1: wait: got \"none\"; allowed: a duration in 0..1h, like 30s or 1m30s"},
      {"limit: 0", "a.yaml:1: limit: got \"0\"; allowed: a duration in 1ms..1h, like 30s or 1m30s"},
      {"port: 65536", "a.yaml:1: port: got \"65536\"; allowed: a port in 0..65535, 0 for any free one, or off"},
      {"port: -1", "a.yaml:1: port: got \"-1\"; allowed: a port in 0..65535, 0 for any free one, or off"},
      {"color: blue", "a.yaml:1: color: got \"blue\"; allowed: red, green"},
      {"color: Red", "a.yaml:1: color: got \"Red\"; allowed: red, green"},
      {"cuont: 5", "a.yaml:1: unknown key \"cuont\"; did you mean count?"},
      {"zebra: 5",
       "a.yaml:1: unknown key \"zebra\"; known here: count, big, ratio, flag, name, wait, limit, port, color"},
      {"count: 5\nname: x\ncount: 6", "a.yaml:3: the key \"count\" was given in line 1 already"},
      {"<<: {count: 5}",
       "a.yaml:1: unknown key \"<<\"; known here: count, big, ratio, flag, name, wait, limit, port, color"},
      {"? [a]\n: 5", "a.yaml:1: the file: a key is no text"},
      {"- count", "a.yaml:1: the file: got a list; allowed: a mapping of keys to values"},
      {"count", "a.yaml:1: the file: got \"count\"; allowed: a mapping of keys to values"},
      {"count: 5\n---\ncount: 6", "a.yaml:3: the file holds more than one document"},
      {"count: 5\nname: \"\xFF\"", "a.yaml:2: the file is not UTF-8"},
  };
  for (const auto& row : rows) {
    Values values;
    const absl::Status status = Read(row.text, values);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << row.text;
    EXPECT_EQ(status.message(), row.error) << row.text;
  }
}

TEST(StrictYamlTest, SyntaxErrorsHaveALine) {
  for (const char* text : {"count: 5\nname: [a", "count: 5\n  bad: indent", "a: b: c", "*nowhere", "count: 5\n\t"}) {
    Values values;
    const absl::Status status = Read(text, values);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(status.message()), StartsWith("a.yaml:")) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr("this is not YAML: ")) << text;
  }
}

TEST(StrictYamlTest, ListsAllMistakesInOrder) {
  Values values;
  EXPECT_EQ(Read("cuont: 5\ncount: 0\nflag: 2\n", values).message(),
            "a.yaml:1: unknown key \"cuont\"; did you mean count?\n"
            "a.yaml:2: count: got \"0\"; allowed: a whole number in 1..100\n"
            "a.yaml:3: flag: got \"2\"; allowed: true, false");
}

TEST(StrictYamlTest, ListsAtMostTwenty) {
  std::string text;
  for (int i = 0; i < 50; ++i) text += "unknown" + std::to_string(i) + ": 1\n";
  Values values;
  const std::string message(Read(text, values).message());
  EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 20);
  EXPECT_THAT(message, HasSubstr("\na.yaml: and 30 more"));
}

TEST(StrictYamlTest, SurvivesBombs) {
  std::string laughs = "a: &a [x, x, x, x, x, x, x, x]\n";
  for (char name = 'b'; name <= 'z'; ++name) {
    const char before = static_cast<char>(name - 1);
    laughs += std::string(1, name) + ": &" + name + " [";
    for (int i = 0; i < 8; ++i) laughs += std::string(i == 0 ? "*" : ", *") + before;
    laughs += "]\n";
  }
  std::string many_keys;
  for (int i = 0; many_keys.size() < 200'000; ++i) many_keys += "k" + std::to_string(i) + ": 1\n";
  const std::string rows[] = {
      std::string(200'000, '['),
      std::string(200'000, '{'),
      "count: " + std::string(100'000, '-') + "\n",
      std::string(1'000'000, 'k') + ": 1",
      std::string((1 << 20) + 1, '#'),
      laughs,
      many_keys,
      "&a [*a]",
      "&a {name: *a}",
  };
  for (const std::string& row : rows) {
    Values values;
    EXPECT_EQ(Read(row, values).code(), absl::StatusCode::kInvalidArgument) << row.substr(0, 40);
  }
}

TEST(StrictYamlTest, KeepsFewErrorsAndCountsTheRest) {
  YamlErrors errors("a.yaml");
  for (int i = 1'000'000; i > 0; --i) errors.Add(i, "wrong");
  EXPECT_TRUE(errors.full());
  const std::string message(errors.ToStatus().message());
  EXPECT_LT(message.size(), 1000u);
  EXPECT_THAT(message, HasSubstr("\na.yaml: and 999980 more"));
}

// A small file: what its aliases stand for is a thousand times as much.
TEST(StrictYamlTest, AliasesDoNotMultiplyTheWork) {
  std::string wrong = "{name: a", list = "[&a ";
  for (int i = 0; i < 900; ++i) wrong += ", k" + std::to_string(i) + ": 1";
  list += wrong + "}";
  for (int i = 1; i < 1000; ++i) list += ", *a";
  YamlErrors errors("a.yaml");
  const auto root = ParseYaml(list + "]", "a.yaml");
  ASSERT_TRUE(root.ok()) << root.status();
  for (size_t i = 0; i < root->size(); ++i) YamlMapping((*root)[i], "entry", errors).Finish();
  EXPECT_TRUE(errors.full());
  EXPECT_THAT(std::string(errors.ToStatus().message()), HasSubstr("\na.yaml: and 180 more"));
}

TEST(StrictYamlTest, TheWorkIsLinear) {
  const std::pair<const char*, std::function<std::string(int)>> rows[] = {
      {"mappings full of unknown keys",
       [](int count) {
         std::string text;
         for (int i = 0; i < count; ++i) text += "- {a: 1, b: 1, c: 1, d: 1}\n";
         return text;
       }},
      {"anchors and aliases",
       [](int count) {
         std::string text = "- &a0 1\n";
         for (int i = 1; i < count; ++i) text += "- &a" + std::to_string(i) + " [*a" + std::to_string(i - 1) + "]\n";
         return text;
       }},
      {"empty entries", [](int count) { return "[" + std::string(static_cast<size_t>(count), ','); }},
  };
  for (const auto& [name, make] : rows) {
    const std::string small = make(1'000), large = make(8'000);
    const auto read = [&](int size) {
      YamlErrors errors("a.yaml");
      const auto root = ParseYaml(size == 1 ? small : large, "a.yaml");
      if (!root.ok()) return;
      for (const YAML::Node& node : *root) YamlMapping(node, "entry", errors).Finish();
      errors.ToStatus().IgnoreError();
    };
    EXPECT_LT(GrowthOver8(read, 1), kLinearOver8) << name;
  }
}

}  // namespace
}  // namespace stepcast
