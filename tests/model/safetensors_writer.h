#pragma once
// Builds safetensors files, good and bad, for tests.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace stepcast::model {

// 8 bytes of length, the header as given, the data as given.
std::string SafetensorsBytes(const std::string& header, const std::string& data);

void WriteFile(const std::string& path, const std::string& bytes);

// A fresh folder below testing::TempDir().
std::string FreshFolder(const std::string& name);

// Collects tensors and writes a well-formed file.
class SafetensorsWriter {
 public:
  // `dtype` "F32", "F16", ...; `bytes` row-major, little-endian.
  SafetensorsWriter& Add(const std::string& name, const std::string& dtype, const std::vector<int64_t>& shape,
                         const std::string& bytes);
  // float32 values.
  SafetensorsWriter& Add(const std::string& name, const std::vector<int64_t>& shape, const std::vector<float>& values);
  std::string Build() const;

 private:
  std::string entries_;
  std::string data_;
};

}  // namespace stepcast::model
