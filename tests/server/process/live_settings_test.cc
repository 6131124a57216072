// Reloads and rotation, through a whole server.

#include "server/process/live_settings.h"

#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/sha256.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/fake_certificates.h"
#include "tests/server/service_fixture.h"
#include "tests/support/await.h"

namespace stepcast {
namespace {

class LiveSettingsTest : public ServiceFixture {
 protected:
  static std::string Entry(const std::string& token, const std::string& tenant) {
    return absl::StrCat("- {sha256: ", Sha256Hex(token), ", tenant: ", tenant, "}\n");
  }
  // In place of the file that was there, as a rename or a mounted secret does it.
  static std::string Replace(const std::string& name, const std::string& text) {
    const std::string path = testing::TempDir() + name;
    std::ofstream(path + ".new", std::ios::trunc) << text;
    EXPECT_EQ(rename((path + ".new").c_str(), path.c_str()), 0);
    return path;
  }
  std::string Reason(const std::string& token, const std::string& request = "prompt: 'a' steps: 1 seed: 1") const {
    grpc::ClientContext context;
    if (!token.empty()) context.AddMetadata("authorization", "Bearer " + token);
    return Generate(request, context).reason;
  }
  double Reloads(const std::string& what, const std::string& result) const {
    return Series(absl::StrCat("stepcast_config_reloads_total{result=\"", result, "\",what=\"", what, "\"}"));
  }
};

TEST_F(LiveSettingsTest, TokensFollowTheirFile) {
  ServerConfig config = TestConfig();
  config.auth.token_file = Replace("live_tokens.yaml", Entry("old", "acme"));
  Start(config);
  EXPECT_EQ(Reason("old"), "");
  Replace("live_tokens.yaml", Entry("new", "acme"));
  server_->Housekeep();
  EXPECT_EQ(Reason("old"), "TOKEN_INVALID");
  EXPECT_EQ(Reason("new"), "");
  EXPECT_EQ(Reloads("tokens", "ok"), 1);

  Replace("live_tokens.yaml", "- {sha256: rubbish}\n");
  server_->Housekeep();
  EXPECT_EQ(Reason("new"), "") << "a file that is wrong changes nothing";
  EXPECT_EQ(Reloads("tokens", "failed"), 1);
  EXPECT_EQ(unlink(config.auth.token_file.c_str()), 0);
  server_->Housekeep();
  EXPECT_EQ(Reason("new"), "") << "nor does one that is gone";
  EXPECT_EQ(Reason(""), "TOKEN_MISSING") << "and least of all opens the port";
  EXPECT_EQ(Reloads("tokens", "failed"), 2);
}

TEST_F(LiveSettingsTest, AReloadTakesAllOrNothing) {
  ServerConfig config = TestConfig();
  Start(config);
  ServerConfig fresh = config;
  fresh.limits.max_steps = 30;
  fresh.tenants.defaults.max_rows = 2;
  server_->Reload(fresh);
  EXPECT_EQ(Reason("", "prompt: 'a' steps: 31 seed: 1"), "FIELD_INVALID");
  EXPECT_EQ(Reason("", "prompt: 'a' steps: 2 image_count: 2 guidance_scale: 5 seed: 1"), "WORK_LIMIT");
  EXPECT_EQ(Reloads("config", "ok"), 1);

  ServerConfig wrong = fresh;
  wrong.tenants.defaults.max_rows = 0;
  wrong.auth.token_file = "/no/such/file";
  server_->Reload(wrong);
  EXPECT_EQ(Reason("", "prompt: 'a' steps: 2 image_count: 2 guidance_scale: 5 seed: 1"), "WORK_LIMIT");
  server_->Reload(absl::InvalidArgumentError("a.yaml:1: this is not YAML"));
  EXPECT_EQ(Reloads("config", "failed"), 2);
  ServerConfig too_low = fresh;
  too_low.limits.max_side = 8;
  server_->Reload(too_low);
  EXPECT_EQ(Reloads("config", "failed"), 3) << "no model would paint at its own size";
  EXPECT_EQ(Reason("", "prompt: 'a' steps: 2 seed: 1"), "");
}

TEST(KeysForRestartTest, NamesExactlyWhatIsNotTaken) {
  ServerConfig started;
  started.tenants.named["acme"].weight = 2;
  started.tenants.named["gone"].max_pictures = 5;
  ServerConfig fresh = started;
  EXPECT_THAT(KeysForRestart(started, fresh), testing::IsEmpty());
  fresh.tenants.named["acme"].max_rows = 4;
  fresh.tenants.named["acme"].requests_per_second = 1;
  fresh.limits.max_side = 512;
  fresh.log.level = LogLevel::kDebug;
  EXPECT_THAT(KeysForRestart(started, fresh), testing::IsEmpty()) << "all of this is taken";
  fresh.tenants.named["acme"].weight = 3;
  fresh.tenants.named["acme"].max_queued_work = absl::Seconds(30);
  fresh.tenants.named.erase("gone");
  fresh.tenants.named["new"].max_queued = 7;
  fresh.tenants.defaults.max_pictures = 9;
  fresh.limits.image_chunk_bytes = 1 << 20;
  fresh.engine.models = {{.id = "digits", .path = "models/digits"}};
  EXPECT_THAT(KeysForRestart(started, fresh),
              testing::UnorderedElementsAre("models", "limits.image_chunk_bytes", "tenants.default.max_pictures",
                                            "tenants.named.acme.weight",
                                            "tenants.named.acme.max_queued_work", "tenants.named.gone.max_pictures",
                                            "tenants.named.new.max_queued"));
}

class RotationTest : public LiveSettingsTest {
 protected:
  // Whether a client that trusts `authority` alone gets through.
  bool Reaches(const PemPair& authority, const PemPair* client = nullptr) const {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = authority.certificate;
    if (client != nullptr) {
      options.pem_cert_chain = client->certificate;
      options.pem_private_key = client->key;
    }
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    const auto channel = grpc::CreateCustomChannel("localhost:" + std::to_string(server_->ports().grpc),
                                                   grpc::SslCredentials(options), arguments);
    const auto stub = v1::ImageGenerationService::NewStub(channel);
    grpc::ClientContext context;
    v1::GetServerInfoResponse response;
    return stub->GetServerInfo(&context, {}, &response).ok();
  }
  void Write(const PemPair& pair) {
    Replace("rotation_cert.pem", pair.certificate);
    Replace("rotation_key.pem", pair.key);
  }
  ServerConfig TlsConfigOf(const PemPair& pair) {
    Write(pair);
    ServerConfig config = TestConfig();
    config.tls.cert_file = testing::TempDir() + "rotation_cert.pem";
    config.tls.key_file = testing::TempDir() + "rotation_key.pem";
    return config;
  }
};

TEST_F(RotationTest, CertificatesAreExchangedWhileServing) {
  const PemPair first = MakeAuthority("first");
  const PemPair second = MakeAuthority("second");
  Start(TlsConfigOf(MakeCertificate("server", first)));
  EXPECT_TRUE(Reaches(first));
  EXPECT_FALSE(Reaches(second));

  Write(MakeCertificate("server", second));
  server_->Housekeep();
  EXPECT_TRUE(Await([&] { return Reaches(second); }));
  EXPECT_EQ(Reloads("certificates", "ok"), 1);
  EXPECT_EQ(Series("stepcast_tls_certificate_expiry_timestamp_seconds"), 4e9);

  // A pair that does not fit: the one before stays.
  Replace("rotation_key.pem", MakeCertificate("server", second).key);
  server_->Housekeep();
  EXPECT_EQ(Reloads("certificates", "failed"), 1);
  EXPECT_TRUE(Reaches(second));
  EXPECT_EQ(unlink((testing::TempDir() + "rotation_cert.pem").c_str()), 0);
  server_->Housekeep();
  EXPECT_EQ(Reloads("certificates", "failed"), 2);
  EXPECT_TRUE(Reaches(second));
}

TEST_F(RotationTest, ClientsShowCertificatesWhereTheyMust) {
  const PemPair servers = MakeAuthority("servers");
  const PemPair clients = MakeAuthority("clients");
  ServerConfig config = TlsConfigOf(MakeCertificate("server", servers));
  config.tls.client_ca_file = Replace("rotation_ca.pem", clients.certificate);
  config.tls.client_auth = ClientAuth::kRequired;
  Start(config);
  const PemPair friendly = MakeCertificate("client", clients);
  const PemPair stranger = MakeCertificate("client", servers);
  EXPECT_TRUE(Reaches(servers, &friendly));
  EXPECT_FALSE(Reaches(servers, &stranger));
  EXPECT_FALSE(Reaches(servers));
}

TEST_F(RotationTest, PlaintextDoesNotGetThrough) {
  Start(TlsConfigOf(MakeCertificate("server", MakeAuthority("root"))));
  EXPECT_EQ(Generate("prompt: 'a'").status.error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(RotationTest, AServerDoesNotStartWithAPairThatDoesNotFit) {
  const PemPair authority = MakeAuthority("root");
  PemPair mixed = MakeCertificate("one", authority);
  mixed.key = MakeCertificate("two", authority).key;
  const auto server = Server::Create(TlsConfigOf(mixed), clock_);
  EXPECT_THAT(std::string(server.status().message()), testing::HasSubstr("not the key of the certificate"));
}

TEST_F(LiveSettingsTest, AUnixSocketServesWithItsMode) {
  ServerConfig config = TestConfig();
  const std::string path = absl::StrCat("/tmp/stepcast_test_", getpid(), ".sock");
  config.listen.host = "unix:" + path;
  config.listen.socket_mode = 0600;
  Start(config);
  struct stat status{};
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_TRUE(S_ISSOCK(status.st_mode));
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  const auto stub =
      v1::ImageGenerationService::NewStub(grpc::CreateChannel("unix:" + path, grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  v1::GetServerInfoResponse response;
  EXPECT_TRUE(stub->GetServerInfo(&context, {}, &response).ok());
  EXPECT_EQ(server_->ports().grpc, 0);
}

}  // namespace
}  // namespace stepcast
