#include "server/request/parse/wire_scan.h"

#include <functional>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "gtest/gtest.h"
#include "server/request/errors/status_mapping.h"
#include "server/request/parse/request_parser.h"
#include "stepcast/v1/image_generation.pb.h"
#include "tests/server/wire_requests.h"
#include "tests/support/cpu_scaling.h"

namespace stepcast {
namespace {

using google::protobuf::io::CodedOutputStream;
using google::protobuf::io::StringOutputStream;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr int kFirstUnknown = 1000;

// `count` values by `write(stream, index)`.
template <typename Write>
std::string Bytes(int count, const Write& write) {
  std::string bytes;
  StringOutputStream stream(&bytes);
  CodedOutputStream coded(&stream);
  for (int i = 0; i < count; ++i) write(coded, static_cast<uint32_t>(i));
  coded.Trim();
  return bytes;
}

// Numbers of fields that nobody knows, all different, each a varint.
std::string DifferentFields(int count) {
  return Bytes(count, [](CodedOutputStream& out, uint32_t i) {
    out.WriteTag((kFirstUnknown + i) << 3);
    out.WriteVarint32(1);
  });
}

std::string Nested(int field, const std::string& bytes) {
  return Bytes(1,
               [&](CodedOutputStream& out, uint32_t) {
                 out.WriteTag(static_cast<uint32_t>(field) << 3 | 2);
                 out.WriteVarint32(static_cast<uint32_t>(bytes.size()));
               }) +
         bytes;
}

absl::Status Parse(const std::string& bytes) {
  v1::GenerateRequest request;
  return ParseRequest(bytes, request);
}

std::string LeftOut(const absl::Status& status) {
  google::rpc::Status details;
  details.ParseFromString(std::string(ToGrpcStatus(status).error_details()));
  google::rpc::ErrorInfo info;
  details.details(0).UnpackTo(&info);
  return info.metadata().at("violations_left_out");
}

TEST(WireScanTest, FindsWhatTheTypeLacks) {
  v1::GenerateRequest known = Wire(R"(prompt: "p" sigmas: [3, 2, 1] preview { every_n_steps: 5 })");
  const auto& type = *v1::GenerateRequest::descriptor();
  EXPECT_EQ(ScanWire(known.SerializeAsString(), type).unknown_values, 0);
  known.GetReflection()->MutableUnknownFields(&known)->AddVarint(900, 1);
  auto& preview = *known.mutable_preview();
  preview.GetReflection()->MutableUnknownFields(&preview)->AddGroup(901)->AddVarint(1, 1);
  const WireFindings findings = ScanWire(known.SerializeAsString(), type);
  EXPECT_TRUE(findings.well_formed);
  EXPECT_EQ(findings.unknown_values, 2);
  EXPECT_TRUE(findings.unknown.Has("field 900"));
  EXPECT_TRUE(findings.unknown.Has("preview.field 901"));
}

// As the parser sees it: a number where a text belongs is no value of the field.
TEST(WireScanTest, AnotherWireTypeIsUnknown) {
  const std::string prompt_as_number("\x10\x01", 2);
  EXPECT_EQ(ScanWire(prompt_as_number, *v1::GenerateRequest::descriptor()).unknown_values, 1);
  v1::GenerateRequest request;
  ASSERT_TRUE(request.ParseFromString(prompt_as_number));
  EXPECT_EQ(request.GetReflection()->GetUnknownFields(request).field_count(), 1);
}

TEST(WireScanTest, ManyUnknownFieldsAreCountedAndFewListed) {
  for (const std::string& bytes : {DifferentFields(500'000), Nested(70, DifferentFields(500'000))}) {
    const absl::Status status = Parse(bytes);
    EXPECT_EQ(ReasonOf(status), "FIELD_INVALID");
    EXPECT_THAT(ViolationsOf(status), SizeIs(FieldViolations::kMaxUnknownListed));
    EXPECT_EQ(LeftOut(status), "499992");
    EXPECT_THAT(std::string(status.message()), HasSubstr("500000 fields: "));
  }
}

// A message as gRPC receives it: in many slices, wherever they are cut.
TEST(WireScanTest, SlicesAreOneMessage) {
  v1::GenerateRequest known = Wire(R"(prompt: "p\303\274" preview { every_n_steps: 5 })");
  known.set_init_image(std::string(1000, '\xFF'));
  auto& preview = *known.mutable_preview();
  preview.GetReflection()->MutableUnknownFields(&preview)->AddVarint(901, 1);
  const std::string bytes = known.SerializeAsString();
  for (const int cut : {1, 2, 3, 7, 500, 5000}) {
    google::protobuf::io::ArrayInputStream stream(bytes.data(), static_cast<int>(bytes.size()), cut);
    const WireFindings findings =
        ScanWire(stream, static_cast<int64_t>(bytes.size()), *v1::GenerateRequest::descriptor());
    EXPECT_TRUE(findings.well_formed) << cut;
    EXPECT_EQ(findings.unknown_values, 1) << cut;
    EXPECT_TRUE(findings.unknown.Has("preview.field 901")) << cut;
    EXPECT_TRUE(findings.bad_strings.empty()) << cut;
  }
}

// A reader that believed what a text claims would make room for it.
TEST(WireScanTest, WhatIsClaimedIsNotBelieved) {
  const std::string claims =
      "\x12\xFF\xFF\xFF\xFF\x07"
      "a";                                                              // a prompt of 2 GiB
  const std::string within = Nested(70, claims);                        // in a message
  const std::string bounded = "\xB2\x04\xFF\xFF\xFF\xFF\x07" + claims;  // in one that claims as much
  for (const std::string& bytes : {claims, within, bounded}) {
    google::protobuf::io::ArrayInputStream stream(bytes.data(), static_cast<int>(bytes.size()), 2);
    const WireFindings findings =
        ScanWire(stream, static_cast<int64_t>(bytes.size()), *v1::GenerateRequest::descriptor());
    EXPECT_EQ(findings.well_formed, bytes == within);
    EXPECT_EQ(ReasonOf(Parse(bytes)), "MALFORMED_REQUEST");
  }
}

// What a parser would spend most on: values of two bytes that become objects of their own.
TEST(WireScanTest, NothingIsAllocatedForManyValues) {
  const auto groups = [](int count) {
    return Bytes(count, [](CodedOutputStream& out, uint32_t) {
      out.WriteTag(kFirstUnknown << 3 | 3);
      out.WriteTag(kFirstUnknown << 3 | 4);
    });
  };
  v1::GenerateRequest request;
  EXPECT_EQ(ReasonOf(ParseRequest(groups(500'000), request)), "FIELD_INVALID");
  EXPECT_LT(request.SpaceUsedLong(), 4096u);
}

TEST(WireScanTest, TheWorkIsLinear) {
  const auto& type = *v1::GenerateRequest::descriptor();
  const std::string bad_string = Nested(2, "\xFF");
  const auto bad_strings = [&](int count) {
    std::string bytes;
    for (int i = 0; i < count; ++i) bytes += bad_string;
    return bytes;
  };
  const auto nested = [&](int count) {
    std::string bytes;
    for (int i = 0; i < count; ++i) bytes += Nested(70, "");
    return bytes;
  };
  const std::pair<const char*, std::function<std::string(int)>> rows[] = {
      {"different unknown fields", DifferentFields}, {"strings that are not UTF-8", bad_strings}, {"messages", nested}};
  for (const auto& [name, make] : rows) {
    const std::string small = make(10'000), large = make(80'000);
    const auto scan = [&, &make = make](int size) { ScanWire(size == 1 ? small : large, type); };
    EXPECT_LT(GrowthOver8(scan, 1), kLinearOver8) << name;
    const auto parse = [&](int size) { Parse(size == 1 ? small : large).IgnoreError(); };
    EXPECT_LT(GrowthOver8(parse, 1), kLinearOver8) << name;
  }
}

}  // namespace
}  // namespace stepcast
