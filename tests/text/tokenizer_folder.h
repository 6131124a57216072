#pragma once
// Model folders for the tokenizer's tests.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "nlohmann/json.hpp"

namespace stepcast {

std::string TextDataPath(const std::string& name);

inline std::string ReadWholeFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// An empty folder that lives as long as this object.
class TokenizerFolder {
 public:
  TokenizerFolder() {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    path_ = testing::TempDir() + "stepcast_" + test->test_suite_name() + "_" + test->name() + "_" +
            std::to_string(reinterpret_cast<uintptr_t>(this));
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~TokenizerFolder() { std::filesystem::remove_all(path_); }
  TokenizerFolder(const TokenizerFolder&) = delete;
  TokenizerFolder& operator=(const TokenizerFolder&) = delete;

  void Write(const std::string& name, std::string_view content) const {
    std::ofstream file(path_ + "/" + name, std::ios::binary);
    file << content;
  }
  void WriteJson(const std::string& name, const nlohmann::json& content) const { Write(name, content.dump()); }

  // The committed vocabulary, learnt by tools/parity/make_tokenizer_fixture.py.
  void WriteVocabulary() const {
    Write("vocab.json", ReadWholeFile(TextDataPath("vocab.json")));
    Write("merges.txt", ReadWholeFile(TextDataPath("merges.txt")));
  }

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace stepcast
