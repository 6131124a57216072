#pragma once
// The text files of tests/sampling/fixtures, which make_fixtures.py writes.

#include <string>
#include <vector>

namespace stepcast::sampling {

// Lines of fixtures/<name>, split at spaces; comments and empty lines left out. Aborts when the file is missing.
std::vector<std::vector<std::string>> ReadFixture(const std::string& name);

// words[first..] as numbers.
std::vector<double> Numbers(const std::vector<std::string>& words, size_t first);

}  // namespace stepcast::sampling
