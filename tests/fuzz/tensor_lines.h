#pragma once
// Safetensors files as text: a line per tensor ("name dtype side side ..."), "! key value" for metadata.

#include <unistd.h>

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "nlohmann/json.hpp"
#include "tests/fuzz/scratch.h"

namespace stepcast::fuzz {

inline constexpr uint64_t kMostBytes = uint64_t{1} << 36;  // of a file, which holds nothing and takes no memory

inline uint64_t BytesOf(const std::string& dtype) {
  if (dtype == "F64" || dtype == "I64") return 8;
  if (dtype == "F32" || dtype == "I32") return 4;
  return dtype == "F16" || dtype == "BF16" ? 2 : 1;
}

// Adds a tensor after those that are there; one that cannot be is left out.
inline void AddTensor(const std::string& line, nlohmann::json& header, uint64_t& at) {
  const std::vector<std::string> words = absl::StrSplit(line, ' ');
  if (words.size() < 2 || words.size() > 7 || header.contains(words[0])) return;
  uint64_t bytes = BytesOf(words[1]);
  nlohmann::json shape = nlohmann::json::array();
  for (size_t i = 2; i < words.size(); ++i) {
    int64_t side = 0;
    if (!absl::SimpleAtoi(words[i], &side) || side < 0 || side > (1 << 18)) return;
    shape.push_back(side);
    bytes *= static_cast<uint64_t>(side);
    if (bytes > kMostBytes) return;
  }
  if (at + bytes > kMostBytes) return;
  header[words[0]] = {{"dtype", words[1]}, {"shape", shape}, {"data_offsets", {at, at + bytes}}};
  at += bytes;
}

// The path of a file with these tensors in a row and nothing in them.
inline std::string WriteTensors(const std::string& name, std::string_view lines) {
  nlohmann::json header = nlohmann::json::object();
  uint64_t at = 0;
  while (!lines.empty()) {
    const std::string line(Take(lines, '\n'));
    if (line.rfind("! ", 0) != 0) {
      AddTensor(line, header, at);
      continue;
    }
    std::string_view pair = std::string_view(line).substr(2);
    const std::string key(Take(pair, ' '));
    header["__metadata__"][key] = std::string(pair);
  }
  const std::string text = header.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  const uint64_t length = text.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  const std::string path = Write(name, bytes + text);
  Check(truncate(path.c_str(), static_cast<off_t>(8 + length + at)) == 0);
  return path;
}

}  // namespace stepcast::fuzz
