#pragma once
// SHA-256 (FIPS 180-4), for naming model files. Not for secrets: it makes no constant-time promise.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace stepcast {

// An incremental hash: Update any number of times, then Digest once.
class Sha256 {
 public:
  Sha256();

  void Update(std::string_view bytes);

  // 64 lower-case hex digits. REQUIRES: called once; no Update afterwards.
  std::string HexDigest();

 private:
  void Compress(const uint8_t* block);

  std::array<uint32_t, 8> state_;
  std::array<uint8_t, 64> buffer_;
  size_t buffered_ = 0;  // bytes waiting in buffer_
  uint64_t total_ = 0;   // bytes hashed so far
};

// The hex digest of one string.
std::string Sha256Hex(std::string_view bytes);

}  // namespace stepcast
