#pragma once
// SHA-256 (FIPS 180-4), for naming model files and pictures: OpenSSL's, which uses the CPU's own instructions.

#include <memory>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace stepcast {

// An incremental hash: Update any number of times, then Digest once.
class Sha256 {
 public:
  Sha256();

  void Update(std::string_view bytes);

  // 64 lower-case hex digits. REQUIRES: called once; no Update afterwards.
  std::string HexDigest();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

// The hex digest of one string.
std::string Sha256Hex(std::string_view bytes);

}  // namespace stepcast
