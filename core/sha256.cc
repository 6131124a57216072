#include "core/sha256.h"

#include <openssl/evp.h>

#include <array>
#include <cstdlib>
#include <new>

#include "absl/strings/escaping.h"

namespace stepcast {
namespace {

// What OpenSSL refuses here is memory, or a build without SHA-256: neither leaves anything to do.
void Must(int done) {
  if (done != 1) std::abort();
}

}  // namespace

void Sha256::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  if (context_ == nullptr) throw std::bad_alloc();
  Must(EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr));
}

void Sha256::Update(std::string_view bytes) { Must(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size())); }

std::string Sha256::HexDigest() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned int size = 0;
  Must(EVP_DigestFinal_ex(context_.get(), digest.data(), &size));
  return absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(digest.data()), size));
}

std::string Sha256Hex(std::string_view bytes) {
  Sha256 hash;
  hash.Update(bytes);
  return hash.HexDigest();
}

}  // namespace stepcast
