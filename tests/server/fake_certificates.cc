#include "tests/server/fake_certificates.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <ctime>
#include <fstream>

#include "gtest/gtest.h"

namespace stepcast {
namespace {

std::string Read(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<size_t>(size));
  BIO_free(bio);
  return text;
}

void AddExtension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

// `authority` null: it signs itself, and others.
PemPair Make(const std::string& name, const PemPair* authority, absl::Time expires) {
  static long serial = 1;
  EVP_PKEY* const key = EVP_EC_gen("P-256");
  X509* const certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
  ASN1_TIME_set(X509_getm_notBefore(certificate), 0);
  ASN1_TIME_set(X509_getm_notAfter(certificate), absl::ToTimeT(expires));
  X509_set_pubkey(certificate, key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  EVP_PKEY* signer = key;
  X509* issuer = certificate;
  if (authority != nullptr) {
    BIO* const pem = BIO_new_mem_buf(authority->certificate.data(), static_cast<int>(authority->certificate.size()));
    issuer = PEM_read_bio_X509(pem, nullptr, nullptr, nullptr);
    BIO_free(pem);
    BIO* const pem_key = BIO_new_mem_buf(authority->key.data(), static_cast<int>(authority->key.size()));
    signer = PEM_read_bio_PrivateKey(pem_key, nullptr, nullptr, nullptr);
    BIO_free(pem_key);
  }
  X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
  AddExtension(certificate, issuer, NID_basic_constraints, authority == nullptr ? "critical,CA:TRUE" : "CA:FALSE");
  if (authority != nullptr) AddExtension(certificate, issuer, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
  X509_sign(certificate, signer, EVP_sha256());
  BIO* const out = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(out, certificate);
  BIO* const out_key = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(out_key, key, nullptr, nullptr, 0, nullptr, nullptr);
  PemPair pair{.certificate = Read(out), .key = Read(out_key)};
  if (authority != nullptr) {
    X509_free(issuer);
    EVP_PKEY_free(signer);
  }
  X509_free(certificate);
  EVP_PKEY_free(key);
  return pair;
}

}  // namespace

PemPair MakeAuthority(const std::string& name) { return Make(name, nullptr, absl::FromUnixSeconds(4'000'000'000)); }

PemPair MakeCertificate(const std::string& name, const PemPair& authority, absl::Time expires) {
  return Make(name, &authority, expires);
}

std::string WritePem(const std::string& name, const std::string& text) {
  const std::string path = testing::TempDir() + name;
  std::ofstream(path, std::ios::trunc) << text;
  return path;
}

}  // namespace stepcast
