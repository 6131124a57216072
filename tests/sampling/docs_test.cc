// The pages of docs/ that speak of samplers: no sampler is missing, and what they point at exists.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <sstream>
#include <string>

#include "sampling/compile/compile.h"

namespace stepcast::sampling {
namespace {

std::string Read(const std::string& path) {
  std::ifstream file(std::string(STEPCAST_SOURCE_DIR) + "/" + path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(SamplersPageTest, HasARowForEverySampler) {
  const std::string page = Read("docs/samplers.md");
  for (const Sampler sampler : SupportedSamplers()) {
    EXPECT_THAT(page, testing::HasSubstr("\n| `" + std::string(SamplerName(sampler)) + "` | "));
  }
}

// Rows hold [`Name`](../file): the file has a definition of Name, or a test Suite.Name.
TEST(LecturePageTest, NamesCodeAndTestsThatExist) {
  const std::string page = Read("docs/from_lecture_to_code.md");
  const std::regex link(R"(\[`([\w.]+)`\]\(\.\./([\w./]+)\))");
  int links = 0;
  for (std::sregex_iterator it(page.begin(), page.end(), link), end; it != end; ++it, ++links) {
    const std::string name = (*it)[1];
    const std::string source = Read((*it)[2]);
    const size_t dot = name.find('.');
    if (dot == std::string::npos) {
      EXPECT_TRUE(std::regex_search(source, std::regex("\\b" + name + "\\b"))) << (*it)[0];
      continue;
    }
    const std::regex test("TEST(_F|_P)?\\((" + name.substr(0, dot) + "), " + name.substr(dot + 1) + "\\)");
    EXPECT_TRUE(std::regex_search(source, test)) << (*it)[0];
  }
  EXPECT_GE(links, 30);
}

}  // namespace
}  // namespace stepcast::sampling
