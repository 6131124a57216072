#pragma once
// Files for parsers that read files.

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace stepcast::fuzz {

// A check that holds for every input.
inline void Check(bool holds) {
  if (!holds) std::abort();
}

// This process's own folder, in memory where there is one. Nobody removes it: run_fuzz.sh does.
inline const std::string& Scratch() {
  static const std::string& folder = *new std::string([] {
    std::error_code ignored;
    const std::filesystem::path root = std::filesystem::is_directory("/dev/shm", ignored) ? "/dev/shm" : "/tmp";
    const std::filesystem::path made = root / ("stepcast_fuzz_" + std::to_string(getpid()));
    std::filesystem::create_directories(made);
    return made.string();
  }());
  return folder;
}

inline std::string Write(const std::string& name, std::string_view bytes) {
  const std::string path = Scratch() + "/" + name;
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return path;
}

// Cuts a piece off the front of `text`, up to `end`, which goes too; all of it where `end` does not come.
inline std::string_view Take(std::string_view& text, char end) {
  const size_t at = text.find(end);
  const std::string_view piece = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return piece;
}

}  // namespace stepcast::fuzz
