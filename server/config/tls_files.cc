#include "server/config/tls_files.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <ctime>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/config/read_file.h"

namespace stepcast {
namespace {

template <auto free>
struct Free {
  template <typename T>
  void operator()(T* object) const {
    free(object);
  }
};
using Bio = std::unique_ptr<BIO, Free<&BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Free<&X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Free<&EVP_PKEY_free>>;

// Without it the library asks whoever sits at the terminal.
int NoPassword(char*, int, int, void*) { return 0; }

Bio Reader(const std::string& pem) { return Bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))); }

// The first certificate; null where there is none.
Certificate FirstCertificate(const std::string& pem) {
  const Bio bio = Reader(pem);
  Certificate certificate(PEM_read_bio_X509(bio.get(), nullptr, &NoPassword, nullptr));
  ERR_clear_error();
  return certificate;
}

Key FirstKey(const std::string& pem) {
  const Bio bio = Reader(pem);
  Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, &NoPassword, nullptr));
  ERR_clear_error();
  return key;
}

absl::Time ExpiryOf(const X509& certificate) {
  std::tm broken{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(&certificate), &broken) != 1) return absl::InfinitePast();
  return absl::FromTM(broken, absl::UTCTimeZone());
}

std::string Read(const std::string& path, std::vector<std::string>& mistakes) {
  absl::StatusOr<std::string> text = ReadConfigFile(path);
  if (!text.ok()) mistakes.emplace_back(text.status().message());
  return text.ok() ? *std::move(text) : "";
}

void Judge(const TlsConfig& config, const std::string& cert, const std::string& key_text, absl::Time now,
           TlsFiles& files, std::vector<std::string>& mistakes) {
  const Certificate certificate = FirstCertificate(cert);
  const Key key = FirstKey(key_text);
  if (certificate == nullptr) mistakes.push_back(absl::StrCat(config.cert_file, ": no certificate in PEM"));
  if (key == nullptr) mistakes.push_back(absl::StrCat(config.key_file, ": no private key in PEM without a password"));
  if (certificate == nullptr || key == nullptr) return;
  if (X509_check_private_key(certificate.get(), key.get()) != 1) {
    mistakes.push_back(absl::StrCat(config.key_file, ": not the key of the certificate in ", config.cert_file));
  }
  ERR_clear_error();
  files.expires = ExpiryOf(*certificate);
  if (files.expires <= now) {
    mistakes.push_back(absl::StrCat(config.cert_file, ": expired on ", absl::FormatTime(files.expires)));
  }
  files.identity = absl::StrCat(key_text, "\n", cert);
}

}  // namespace

absl::StatusOr<TlsFiles> ReadTlsFiles(const TlsConfig& config, absl::Time now) {
  TlsFiles files;
  std::vector<std::string> mistakes;
  const std::string cert = Read(config.cert_file, mistakes);
  const std::string key = Read(config.key_file, mistakes);
  if (mistakes.empty()) Judge(config, cert, key, now, files, mistakes);
  if (config.client_auth != ClientAuth::kNone) {
    const size_t before = mistakes.size();
    files.client_ca = Read(config.client_ca_file, mistakes);
    if (mistakes.size() == before && FirstCertificate(files.client_ca) == nullptr) {
      mistakes.push_back(absl::StrCat(config.client_ca_file, ": no certificate in PEM"));
    }
  }
  if (!mistakes.empty()) return absl::InvalidArgumentError(absl::StrJoin(mistakes, "\n"));
  return files;
}

}  // namespace stepcast
