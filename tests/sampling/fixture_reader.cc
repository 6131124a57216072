#include "tests/sampling/fixture_reader.h"

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>

namespace stepcast::sampling {

std::vector<std::vector<std::string>> ReadFixture(const std::string& name) {
  const std::string path = std::string(STEPCAST_SOURCE_DIR) + "/tests/sampling/fixtures/" + name;
  std::ifstream file(path);
  if (!file) {
    std::cerr << "cannot read " << path << "\n";
    std::abort();
  }
  std::vector<std::vector<std::string>> lines;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream words(line);
    std::vector<std::string>& split = lines.emplace_back();
    for (std::string word; words >> word;) split.push_back(word);
  }
  return lines;
}

std::vector<double> Numbers(const std::vector<std::string>& words, size_t first) {
  std::vector<double> numbers;
  for (size_t i = first; i < words.size(); ++i) numbers.push_back(std::stod(words[i]));
  return numbers;
}

}  // namespace stepcast::sampling
