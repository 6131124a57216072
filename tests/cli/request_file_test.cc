#include "clients/cli/files/request_file.h"

#include <gtest/gtest.h>

#include <string>

namespace stepcast::cli {
namespace {

namespace v1 = ::stepcast::v1;

TEST(RequestFileTest, ReadsARequestInJson) {
  v1::GenerateRequest request;
  EXPECT_EQ(ParseRequestFile(R"({"prompt": "a \u00e9clair", "steps": 7, "seed": "9"})", request), "");
  EXPECT_EQ(request.prompt(),
            "a \xc3\xa9"
            "clair");
  EXPECT_EQ(request.steps(), 7);
  EXPECT_EQ(request.seed(), 9);
}

TEST(RequestFileTest, RefusesWhatItDoesNotKnowAndWhatIsTooLarge) {
  const std::string deep(100'000, '[');
  for (const std::string& bytes :
       {std::string(), std::string("{"), std::string("[]"), std::string(R"({"prompts": "x"})"),
        std::string(R"({"steps": 7, "steps": 8})"), std::string(R"({"steps": "many"})"), std::string("\xff\xd8\xff"),
        std::string("\x89PNG\r\n\x1a\n"), std::string("RIFF\x04\0\0\0WEBP", 12), deep,
        std::string(2 << 20, ' ') + "{}"}) {
    v1::GenerateRequest request;
    EXPECT_NE(ParseRequestFile(bytes, request), "") << bytes.substr(0, 40);
  }
}

}  // namespace
}  // namespace stepcast::cli
