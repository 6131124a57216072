#include "server/request/parse/request_parser.h"

#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "google/protobuf/stubs/logging.h"
#include "gtest/gtest.h"
#include "server/request/errors/status_mapping.h"
#include "tests/server/wire_requests.h"

namespace stepcast {
namespace {

using ::testing::ElementsAre;

// A length-delimited field on the wire. Keys and sizes below 128 take one byte, keys below 2048 two.
std::string Field(int number, const std::string& value) {
  std::string bytes;
  const int key = number * 8 + 2;
  if (key < 128) {
    bytes += static_cast<char>(key);
  } else {
    bytes += static_cast<char>(key % 128 + 128);
    bytes += static_cast<char>(key / 128);
  }
  bytes += static_cast<char>(value.size());
  return bytes + value;
}

absl::Status Parse(const std::string& bytes) {
  v1::GenerateRequest request;
  return ParseRequest(bytes, request);
}

TEST(RequestParserTest, ParsesMessages) {
  v1::GenerateRequest request;
  ASSERT_TRUE(ParseRequest(Wire(R"(prompt: "p" seed: 7)").SerializeAsString(), request).ok());
  EXPECT_EQ(request.prompt(), "p");
  EXPECT_EQ(request.seed(), 7);
  EXPECT_TRUE(Parse("").ok());
}

TEST(RequestParserTest, ParsesWhatCameInSlices) {
  v1::GenerateRequest sent = Wire(R"(prompt: "p" seed: 7)");
  sent.set_init_image(std::string(100'000, '\xAA'));
  const std::string bytes = sent.SerializeAsString();
  std::vector<grpc::Slice> slices;
  for (size_t i = 0; i < bytes.size(); i += 1000) slices.emplace_back(bytes.substr(i, 1000));
  const grpc::ByteBuffer buffer(slices.data(), slices.size());
  v1::GenerateRequest request;
  ASSERT_TRUE(ParseRequest(buffer, 1 << 20, request).ok());
  EXPECT_EQ(request.SerializeAsString(), bytes);
  EXPECT_EQ(ReasonOf(ParseRequest(buffer, 1000, request)), "WORK_LIMIT");
  EXPECT_EQ(ReasonOf(ParseRequest(grpc::ByteBuffer(slices.data(), slices.size() - 1), 1 << 20, request)),
            "MALFORMED_REQUEST");
  EXPECT_TRUE(ParseRequest(grpc::ByteBuffer(nullptr, 0), 1 << 20, request).ok()) << "no bytes are a message";
}

TEST(RequestParserTest, NamesStringsThatAreNotUtf8) {
  const struct {
    std::string bytes;
    std::vector<std::string> violations;
  } rows[] = {
      {Field(2, "ab\xFF"), {"prompt: got a byte that is not UTF-8 at offset 2; allowed: valid UTF-8"}},
      {Field(2, "fine") + Field(3, "\xC3"),
       {"negative_prompt: got a byte that is not UTF-8 at offset 0; allowed: valid UTF-8"}},
      {Field(1, "\x80") + Field(2, "\x80") + Field(21, "x\x80"),
       {"model: got a byte that is not UTF-8 at offset 0; allowed: valid UTF-8",
        "prompt: got a byte that is not UTF-8 at offset 0; allowed: valid UTF-8",
        "class_label: got a byte that is not UTF-8 at offset 1; allowed: valid UTF-8"}},
      {Field(2, "\x80") + Field(2, "\x80"), {"prompt: got a byte that is not UTF-8 at offset 0; allowed: valid UTF-8"}},
  };
  for (const auto& row : rows) {
    const absl::Status status = Parse(row.bytes);
    EXPECT_EQ(ReasonOf(status), "FIELD_INVALID");
    EXPECT_EQ(ViolationsOf(status), row.violations);
  }
}

TEST(RequestParserTest, NamesStringsOfNestedMessages) {
  v1::GenerateImageRequest request;
  EXPECT_THAT(ViolationsOf(ParseRequest(Field(1, Field(2, "\xFF")), request)),
              ElementsAre("request.prompt: got a byte that is not UTF-8 at offset 0; allowed: valid UTF-8"));
}

TEST(RequestParserTest, RefusesWhatIsNoMessage) {
  const std::string rows[] = {
      "\xFF\xFF\xFF\xFF",              // a key without end
      std::string("\x12\x7F\x61", 3),  // longer than the bytes
      std::string("\x00\x00", 2),      // field 0
      Field(70, "\xFF\xFF"),           // a message that is none
      "{\"prompt\":\"a red apple\"}",  // JSON
      std::string("\x0B", 1),          // a group without end
  };
  for (const std::string& row : rows) {
    const absl::Status status = Parse(row);
    EXPECT_EQ(ReasonOf(status), "MALFORMED_REQUEST") << row;
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(Parse("\xFF\xFF").message(), "the 2 bytes of the request are no valid stepcast.v1.GenerateRequest");
}

TEST(RequestParserTest, SurvivesDeepNesting) {
  std::string bytes = "\xFF";
  for (int i = 0; i < 60; ++i) bytes = Field(1, bytes.substr(0, 100));
  v1::GenerateImageRequest request;
  EXPECT_FALSE(ParseRequest(bytes, request).ok());
}

// Any bytes give an answer, and what is refused has a reason that is the client's fault.
TEST(RequestParserTest, SurvivesAnything) {
  const google::protobuf::LogSilencer silencer;  // protobuf prints a line for each
  std::mt19937 random(7);
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes(random() % 40, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    if (i % 2 == 0) bytes = Field(static_cast<int>(random() % 90) + 1, bytes);
    const absl::Status status = Parse(bytes);
    if (!status.ok()) {
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    }
  }
}

}  // namespace
}  // namespace stepcast
