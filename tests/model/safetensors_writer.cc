#include "tests/model/safetensors_writer.h"

#include <cstring>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace stepcast::model {

std::string SafetensorsBytes(const std::string& header, const std::string& data) {
  const uint64_t length = header.size();
  std::string bytes(sizeof(length), '\0');
  std::memcpy(bytes.data(), &length, sizeof(length));
  return bytes + header + data;
}

void WriteFile(const std::string& path, const std::string& bytes) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream file(path, std::ios::binary);
  file << bytes;
  ASSERT_TRUE(file.good()) << path;
}

std::string FreshFolder(const std::string& name) {
  const std::string folder = absl::StrCat(testing::TempDir(), "stepcast_model_", name);
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

SafetensorsWriter& SafetensorsWriter::Add(const std::string& name, const std::string& dtype,
                                          const std::vector<int64_t>& shape, const std::string& bytes) {
  absl::StrAppend(&entries_, entries_.empty() ? "" : ",", "\"", name, "\":{\"dtype\":\"", dtype, "\",\"shape\":[",
                  absl::StrJoin(shape, ","), "],\"data_offsets\":[", data_.size(), ",", data_.size() + bytes.size(),
                  "]}");
  data_ += bytes;
  return *this;
}

SafetensorsWriter& SafetensorsWriter::Add(const std::string& name, const std::vector<int64_t>& shape,
                                          const std::vector<float>& values) {
  return Add(name, "F32", shape,
             std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)));
}

std::string SafetensorsWriter::Build() const { return SafetensorsBytes(absl::StrCat("{", entries_, "}"), data_); }

}  // namespace stepcast::model
