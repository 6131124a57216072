#include "model/files/json_config.h"

#include <functional>
#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/model/safetensors_writer.h"
#include "tests/support/cpu_scaling.h"

namespace stepcast::model {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

JsonConfig Parsed(const std::string& text) {
  auto json = JsonConfig::Parse(text, "config");
  EXPECT_TRUE(json.ok()) << json.status();
  return *std::move(json);
}

TEST(ParseJsonObject, RefusesWhatIsNoBoundedObject) {
  const std::pair<std::string, const char*> kBad[] = {
      {"", "not valid JSON"},
      {"[]", "a JSON object is needed"},
      {"1", "a JSON object is needed"},
      {R"({"a":1,})", "not valid JSON"},
      {"{'a':1}", "not valid JSON"},
      {R"({"a":1,"a":2})", "key \"a\" twice"},
      {R"({"b":{"a":1,"a":2}})", "key \"a\" twice"},
      {R"({"a":)" + std::string(100'000, '[') + "}", "nested deeper than 32"},
      {"{\"a\":\"\xc3\x28\"}", "not valid JSON"},
      {std::string(kMaxJsonBytes + 1, ' '), "at most"},
  };
  for (const auto& [text, message] : kBad) {
    const absl::Status status = ParseJsonObject(text, "here").status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), testing::AllOf(HasSubstr("here"), HasSubstr(message)));
  }
  EXPECT_TRUE(ParseJsonObject(R"({"a":{"x":1},"b":{"x":1}})", "").ok()) << "equal keys of different objects";
}

TEST(ParseJsonObject, NumbersOfPythonThatAreNoJsonReadAsNull) {
  const auto root = ParseJsonObject(
      R"({"a": -Infinity, "b":Infinity,"c": [NaN, 1], "d\"": "-Infinity \\", "NaN": "a\"NaN", "e": -1})", "here");
  ASSERT_TRUE(root.ok()) << root.status();
  EXPECT_TRUE((*root)["a"].is_null());
  EXPECT_TRUE((*root)["b"].is_null());
  EXPECT_TRUE((*root)["c"][0].is_null());
  EXPECT_EQ((*root)["d\""], "-Infinity \\");
  EXPECT_EQ((*root)["NaN"], "a\"NaN");
  EXPECT_EQ((*root)["e"], -1);
  EXPECT_FALSE(ParseJsonObject("{Infinity: 1}", "here").ok());
  EXPECT_FALSE(ParseJsonObject(R"({"a": -NaN})", "here").ok());
}

TEST(ReadJsonObject, KnowsGitLfsPointers) {
  const std::string path = FreshFolder("json_lfs") + "/config.json";
  WriteFile(path, "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n");
  EXPECT_EQ(ReadJsonObject(path).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReadJsonObject(path + "x").status().code(), absl::StatusCode::kNotFound);
}

TEST(JsonConfig, AbsentNullAndDefaultedKeysTakeTheDefault) {
  JsonConfig json = Parsed(R"({"null": null, "set": 5, "defaulted": 6, "_use_default_values": ["defaulted", 3]})");
  EXPECT_EQ(json.Int("absent", 1), 1);
  EXPECT_EQ(json.Int("null", 2), 2);
  EXPECT_EQ(json.Int("set", 3), 5);
  EXPECT_EQ(json.Int("defaulted", 4), 4);
  EXPECT_EQ(json.OptionalInt("null"), std::nullopt);
  EXPECT_EQ(json.Finish(), absl::OkStatus());
}

TEST(JsonConfig, ReadsEveryType) {
  JsonConfig json = Parsed(R"({"b": true, "i": 7, "whole": 8.0, "d": 1e-5, "s": "text", "is": [1, 2],
                               "ds": [1, 2.5], "ss": ["x", "y"], "per": [3, 4], "one": 9, "flags": [true, false]})");
  EXPECT_TRUE(json.Bool("b", false));
  EXPECT_EQ(json.Int("i", 0), 7);
  EXPECT_EQ(json.Int("whole", 0), 8);
  EXPECT_EQ(json.Double("d", 0), 1e-5);
  EXPECT_EQ(json.String("s", ""), "text");
  EXPECT_THAT(json.Ints("is", {}), ElementsAre(1, 2));
  EXPECT_THAT(json.Doubles("ds"), ElementsAre(1, 2.5));
  EXPECT_THAT(json.Strings("ss", {}), ElementsAre("x", "y"));
  EXPECT_THAT(json.IntPerBlock("per", 0, 2), ElementsAre(3, 4));
  EXPECT_THAT(json.IntPerBlock("one", 0, 3), ElementsAre(9, 9, 9));
  EXPECT_THAT(json.IntPerBlock("absent", 6, 2), ElementsAre(6, 6));
  EXPECT_THAT(json.BoolPerBlock("flags", true, 2), ElementsAre(true, false));
  EXPECT_EQ(json.Finish(), absl::OkStatus());
}

TEST(JsonConfig, TellsEveryProblemAtOnce) {
  JsonConfig json = Parsed(R"({"b": 1, "i": "7", "f": 1.5, "big": 1e300, "range": 12, "d": "x", "s": 3, "is": 4,
                               "ss": [1], "per": [1], "empty": [], "neg": -1, "flags": [true]})");
  json.Bool("b", false);
  json.Int("i", 0);
  json.Int("f", 0);
  json.Int("big", 0);
  json.Int("range", 0, 1, 10);
  json.Double("d", 0);
  json.String("s", "");
  json.Ints("is", {1});
  json.Ints("empty", {1});
  json.Strings("ss", {});
  json.IntPerBlock("per", 1, 2);
  json.BoolPerBlock("flags", true, 2);
  json.Int("neg", 0);
  const std::string message(json.Finish().message());
  for (const char* part :
       {"config: b: true or false", "i: an integer", "f: an integer", "big:", "range: 12 is outside 1..10",
        "d: a finite number", "s: a string", "is: a list", "empty: a list", "ss: a list",
        "per: one value per block (2)", "flags: one value per block (2)", "neg: -1 is outside"}) {
    EXPECT_THAT(message, HasSubstr(part));
  }
}

TEST(JsonConfig, RefusesWhatItCannotHonour) {
  JsonConfig json = Parsed(R"({"no": false, "null": null, "fine": "default", "bad": "gated", "worse": true})");
  json.Refuse("no");
  json.Refuse("null");
  json.Refuse("absent");
  json.Refuse("fine", "default");
  EXPECT_EQ(json.Finish(), absl::OkStatus());
  json.Refuse("bad", "default");
  json.Refuse("worse");
  EXPECT_THAT(std::string(json.Finish().message()),
              testing::AllOf(HasSubstr("bad: \"gated\" is not supported"), HasSubstr("worse: true is not supported")));
}

TEST(JsonConfig, ListsKeysThatNobodyAskedFor) {
  JsonConfig json = Parsed(R"({"asked": 1, "ignored": 2, "new_key": 3, "_class_name": "X"})");
  json.Int("asked", 0);
  json.Ignore({"ignored"});
  EXPECT_THAT(json.UnknownKeys(), ElementsAre("new_key"));
}

TEST(JsonConfigTest, OfManyProblemsFewAreTold) {
  JsonConfig json = Parsed("{}");
  for (int i = 0; i < 1'000'000; ++i) json.Problem("key", "is wrong");
  const std::string message(json.Finish().message());
  EXPECT_LT(message.size(), 1000U);
  EXPECT_THAT(message, HasSubstr("; and 999980 more"));
  json.Problem(std::string(10 << 20, 'k'), "is wrong");
}

// What 16 MiB can hold: as many keys, as much nesting of lists, as many numbers as fit.
TEST(ParseJsonObject, TheWorkIsLinear) {
  const std::pair<const char*, std::function<std::string(int)>> rows[] = {
      {"keys",
       [](int count) {
         std::string text = "{";
         for (int i = 0; i < count; ++i) absl::StrAppend(&text, i == 0 ? "" : ",", "\"key", i, "\":1");
         return text + "}";
       }},
      {"keys that are alike",
       [](int count) {
         std::string text = "{";
         const std::string alike(100, 'k');
         for (int i = 0; i < count; ++i) absl::StrAppend(&text, i == 0 ? "" : ",", "\"", alike, i, "\":1");
         return text + "}";
       }},
      {"lists",
       [](int count) {
         std::string text = "{\"a\":[";
         for (int i = 0; i < count; ++i) absl::StrAppend(&text, i == 0 ? "" : ",", "[[[[[]]]]]");
         return text + "]}";
       }},
      {"numbers that are none",
       [](int count) {
         std::string text = "{\"a\":[";
         for (int i = 0; i < count; ++i) absl::StrAppend(&text, i == 0 ? "" : ",", "-Infinity,NaN");
         return text + "]}";
       }},
      {"a long number", [](int count) { return "{\"a\":" + std::string(static_cast<size_t>(count), '1') + "}"; }},
  };
  for (const auto& [name, make] : rows) {
    const std::string small = make(5'000), large = make(40'000);
    const auto parse = [&](int size) { ParseJsonObject(size == 1 ? small : large, "here").status().IgnoreError(); };
    EXPECT_LT(GrowthOver8(parse, 1), kLinearOver8) << name;
  }
}

}  // namespace
}  // namespace stepcast::model
