#pragma once
// Certificates for tests, made on the spot.

#include <string>

#include "absl/time/time.h"

namespace stepcast {

struct PemPair {
  std::string certificate;
  std::string key;
};

// One that signs others.
PemPair MakeAuthority(const std::string& name);

// One for localhost and 127.0.0.1, signed by `authority`, until `expires`.
PemPair MakeCertificate(const std::string& name, const PemPair& authority,
                        absl::Time expires = absl::FromUnixSeconds(4'000'000'000));

// Writes `text` to a file in the tests' folder; returns its path.
std::string WritePem(const std::string& name, const std::string& text);

}  // namespace stepcast
