#pragma once
// Checks of a configuration that concern more than one key, and those that file and command line share.

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/config/config.h"

namespace stepcast {

inline constexpr char kDevices[] = "auto, cpu, cuda, cuda:N";

inline constexpr absl::Duration kMaxProfileBudget = absl::Minutes(10);
inline constexpr char kMetadataKeys[] = "[a-z0-9_.-]{1,64}, no grpc-..., no ...-bin, not authorization, or nothing";

bool IsDevice(const std::string& device);
inline constexpr char kModelDevices[] = "cpu, cuda:N, or with replicas cpu:N";
bool IsModelDevice(const std::string& device);
bool IsDtype(const std::string& dtype);
// Whether gRPC carries text under this name.
bool IsMetadataKey(const std::string& key);

inline constexpr char kModelIds[] = "[a-z0-9][a-z0-9._-]{0,62}";

// The name of a file without its ending, made fit to be an id: "ponyDiffusionV6XL v6" is "ponydiffusionv6xl-v6". Of a
// path that ends in a slash the last folder's. "model" where nothing is left.
std::string ModelIdOf(const std::string& path);

// What is wrong with the last of `models`, considering the others; empty when nothing is.
std::vector<std::string> FindModelMistakes(const std::vector<ModelSource>& models);

// Writes what is set in `overrides` over `config`.
// Errors: INVALID_ARGUMENT or NOT_FOUND, one line per mistake, "--flag: message".
absl::Status ApplyOverrides(const ConfigOverrides& overrides, ServerConfig& config);

// What only the whole shows: a model must be there, the default model among them, ports must differ.
// Errors: INVALID_ARGUMENT, one line per mistake, "<path>: message".
absl::Status CheckServerConfig(const ServerConfig& config, const std::string& path);

// What only this machine shows: hosts without an address, files that cannot be written or are one and the same.
// Errors: INVALID_ARGUMENT, one line per mistake, "<path>: key: message".
absl::Status CheckAgainstMachine(const ServerConfig& config, const std::string& path);

}  // namespace stepcast
