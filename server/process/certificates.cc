#include "server/process/certificates.h"

#include <fcntl.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <sys/mman.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace stepcast {
namespace {

constexpr unsigned kRefreshSeconds = 1;

// Makes `fd` (-1: one that is new) a file of memory that holds `text`: for whoever opens it, all of it or all of what
// it held before.
absl::Status Hold(const std::string& text, int& fd) {
  const int fresh = memfd_create("stepcast-tls", MFD_CLOEXEC);
  if (fresh < 0) return absl::InternalError("TLS: the kernel gives no file in memory");
  if (write(fresh, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    close(fresh);
    return absl::InternalError("TLS: a file in memory cannot be written");
  }
  if (fd < 0) {
    fd = fresh;
    return absl::OkStatus();
  }
  const int held = dup3(fresh, fd, O_CLOEXEC);
  close(fresh);
  return held == fd ? absl::OkStatus() : absl::InternalError("TLS: the kernel exchanges no file");
}

// Opening this opens the file anew, at its beginning.
std::string PathOf(int fd) { return fd < 0 ? "" : absl::StrCat("/proc/self/fd/", fd); }

std::shared_ptr<grpc::ServerCredentials> Watching(int identity, int client_ca, ClientAuth auth) {
  const auto provider = std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
      PathOf(identity), PathOf(identity), PathOf(client_ca), kRefreshSeconds);
  grpc::experimental::TlsServerCredentialsOptions options(provider);
  options.watch_identity_key_cert_pairs();
  if (auth != ClientAuth::kNone) {
    options.watch_root_certs();
    options.set_cert_request_type(auth == ClientAuth::kRequired
                                      ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                                      : GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  return grpc::experimental::TlsServerCredentials(options);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Certificates>> Certificates::Load(const TlsConfig& config, absl::Time now) {
  std::unique_ptr<Certificates> made(new Certificates(config));
  STEPCAST_ASSIGN_OR_RETURN(const TlsFiles files, ReadTlsFiles(config, now));
  STEPCAST_RETURN_IF_ERROR(made->Show(files));
  made->credentials_ = Watching(made->identity_, made->client_ca_, config.client_auth);
  return made;
}

Certificates::~Certificates() {
  // Whoever watches goes first.
  credentials_.reset();
  if (identity_ >= 0) close(identity_);
  if (client_ca_ >= 0) close(client_ca_);
}

absl::Status Certificates::Show(const TlsFiles& files) {
  STEPCAST_RETURN_IF_ERROR(Hold(files.identity, identity_));
  if (!files.client_ca.empty()) STEPCAST_RETURN_IF_ERROR(Hold(files.client_ca, client_ca_));
  files_ = files;
  return absl::OkStatus();
}

absl::StatusOr<bool> Certificates::Refresh(absl::Time now) {
  STEPCAST_ASSIGN_OR_RETURN(const TlsFiles files, ReadTlsFiles(config_, now));
  if (files == files_) return false;
  STEPCAST_RETURN_IF_ERROR(Show(files));
  return true;
}

}  // namespace stepcast
