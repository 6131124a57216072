#include "clients/cli/files/request_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <set>
#include <vector>

#include <nlohmann/json.hpp>

#include "clients/cli/files/embedded_request.h"
#include "google/protobuf/util/json_util.h"

namespace stepcast::cli {
namespace {

constexpr size_t kMaxFileBytes = 64 << 20;
constexpr size_t kMaxJsonBytes = 1 << 20;
constexpr int kMaxDepth = 16;  // requests have four

// What is beside "request" in the output of `generate --json`.
const std::set<std::string> kReportKeys = {"request",   "warnings",  "images", "estimates_s",
                                           "timings_s", "mean_rows", "valid"};

std::string ReadAll(int fd, std::string& bytes) {
  char buffer[64 << 10];
  for (;;) {
    const ssize_t size = read(fd, buffer, sizeof(buffer));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return std::strerror(errno);
    if (size == 0) return "";
    bytes.append(buffer, static_cast<size_t>(size));
    if (bytes.size() > kMaxFileBytes) return "it has more than 64 MiB";
  }
}

// Parses strictly; `problem` says what is wrong.
nlohmann::json ParseStrictly(const std::string& text, std::string& problem) {
  std::vector<std::set<std::string>> keys;
  const auto check = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& value) {
    using Event = nlohmann::json::parse_event_t;
    if (depth > kMaxDepth && problem.empty()) problem = "it is nested too deeply";
    if (event == Event::object_start) keys.emplace_back();
    if (event == Event::object_end) keys.pop_back();
    if (event == Event::key && !keys.back().insert(value.get<std::string>()).second && problem.empty()) {
      problem = "the key \"" + value.get<std::string>() + "\" comes twice";
    }
    return true;
  };
  nlohmann::json json = nlohmann::json::parse(text, check, false);
  if (json.is_discarded()) problem = "it is no valid JSON";
  if (problem.empty() && !json.is_object()) problem = "its JSON is no object";
  return json;
}

// The request inside the output of `generate --json`; else `json` itself.
std::string Unwrap(nlohmann::json& json) {
  const auto request = json.find("request");
  if (request == json.end() || !request->is_object()) return "";
  for (const auto& [key, value] : json.items()) {
    if (kReportKeys.count(key) == 0) return "the key \"" + key + "\" is unknown";
  }
  nlohmann::json inner = std::move(*request);
  json = std::move(inner);
  return "";
}

std::string ParseJson(const std::string& text, stepcast::v1::GenerateRequest& request) {
  if (text.size() > kMaxJsonBytes) return "its JSON has more than 1 MiB";
  std::string problem;
  nlohmann::json json = ParseStrictly(text, problem);
  if (problem.empty()) problem = Unwrap(json);
  if (!problem.empty()) return problem;
  const auto status = google::protobuf::util::JsonStringToMessage(json.dump(), &request);
  if (status.ok()) return "";
  return "it is no GenerateRequest: " + std::string(status.message().data(), status.message().size());
}

}  // namespace

std::string ParseRequestFile(std::string_view bytes, stepcast::v1::GenerateRequest& request) {
  if (IsPicture(bytes)) {
    std::string problem;
    const std::optional<std::string> json = EmbeddedRequest(bytes, problem);
    return json.has_value() ? ParseJson(*json, request) : problem;
  }
  const size_t first = bytes.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return "it is empty";
  if (bytes[first] != '{') return "it is neither a PNG, JPEG or WebP nor a JSON object";
  return ParseJson(std::string(bytes), request);
}

std::string ReadRequestFile(const std::string& name, stepcast::v1::GenerateRequest& request) {
  const std::string where = "--from " + name + ": ";
  const int fd = name == "-" ? STDIN_FILENO : open(name.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return where + std::strerror(errno);
  std::string bytes;
  std::string problem = ReadAll(fd, bytes);
  if (fd != STDIN_FILENO) close(fd);
  if (problem.empty()) problem = ParseRequestFile(bytes, request);
  return problem.empty() ? "" : where + problem;
}

}  // namespace stepcast::cli
