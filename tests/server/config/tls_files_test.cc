#include "server/config/tls_files.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/fake_certificates.h"

namespace stepcast {
namespace {

using testing::HasSubstr;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

TlsConfig Files(const PemPair& pair) {
  return {.cert_file = WritePem("tls_files_cert.pem", pair.certificate),
          .key_file = WritePem("tls_files_key.pem", pair.key)};
}

std::string Mistakes(const TlsConfig& config) { return std::string(ReadTlsFiles(config, kNow).status().message()); }

TEST(TlsFilesTest, APairThatFitsIsRead) {
  const PemPair authority = MakeAuthority("root");
  const absl::Time expires = absl::FromUnixSeconds(1'900'000'000);
  TlsConfig config = Files(MakeCertificate("server", authority, expires));
  const auto files = ReadTlsFiles(config, kNow);
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_EQ(files->expires, expires);
  EXPECT_EQ(files->client_ca, "");
  config.client_auth = ClientAuth::kRequired;
  config.client_ca_file = WritePem("tls_files_ca.pem", authority.certificate);
  EXPECT_EQ(ReadTlsFiles(config, kNow)->client_ca, authority.certificate);
}

TEST(TlsFilesTest, AKeyOfAnotherCertificateIsRefused) {
  const PemPair authority = MakeAuthority("root");
  PemPair mixed = MakeCertificate("one", authority);
  mixed.key = MakeCertificate("two", authority).key;
  EXPECT_THAT(Mistakes(Files(mixed)), HasSubstr("tls_files_key.pem: not the key of the certificate in"));
}

TEST(TlsFilesTest, WhatHasExpiredIsRefused) {
  EXPECT_THAT(Mistakes(Files(MakeCertificate("old", MakeAuthority("root"), kNow))), HasSubstr("cert.pem: expired on"));
}

TEST(TlsFilesTest, WhatIsNoPemIsRefused) {
  const PemPair good = MakeCertificate("server", MakeAuthority("root"));
  EXPECT_THAT(Mistakes(Files({"not a certificate", good.key})), HasSubstr("cert.pem: no certificate in PEM"));
  EXPECT_THAT(Mistakes(Files({good.certificate, ""})), HasSubstr("key.pem: no private key in PEM without a password"));
  // An encrypted key must not make the server wait for somebody at a terminal.
  EXPECT_THAT(Mistakes(Files({good.certificate,
                              "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n"})),
              HasSubstr("no private key"));
  TlsConfig config = Files(good);
  config.client_auth = ClientAuth::kOptional;
  config.client_ca_file = WritePem("tls_files_no_ca.pem", good.key);
  EXPECT_THAT(Mistakes(config), HasSubstr("no_ca.pem: no certificate in PEM"));
  config.cert_file = "/no/such.pem";
  EXPECT_THAT(Mistakes(config),
              testing::AllOf(HasSubstr("/no/such.pem: there is no such file"), HasSubstr("no_ca.pem")))
      << "all mistakes at once";
}

}  // namespace
}  // namespace stepcast
