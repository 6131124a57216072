#include "text/vocabulary/json_file.h"

#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "text/vocabulary/vocabulary.h"

namespace stepcast {
namespace {

using nlohmann::json;

constexpr std::string_view kLfsPointer = "version https://git-lfs.github.com/spec/";

// Builds a json value from parser events, within the limits. Each method returns false to stop the parser.
class BoundedJsonBuilder {
 public:
  using number_integer_t = json::number_integer_t;
  using number_unsigned_t = json::number_unsigned_t;
  using number_float_t = json::number_float_t;
  using string_t = json::string_t;
  using binary_t = json::binary_t;

  bool null() { return Add(nullptr) != nullptr; }
  bool boolean(bool value) { return Add(value) != nullptr; }
  bool number_integer(number_integer_t value) { return Add(value) != nullptr; }
  bool number_unsigned(number_unsigned_t value) { return Add(value) != nullptr; }
  bool number_float(number_float_t value, const string_t& /*text*/) { return Add(value) != nullptr; }
  bool string(string_t& value) { return Add(std::move(value)) != nullptr; }
  bool binary(binary_t& /*value*/) { return Fail("has a binary value"); }
  bool start_object(size_t /*size*/) { return Open(json::object()); }
  bool start_array(size_t /*size*/) { return Open(json::array()); }
  bool end_object() { return Close(); }
  bool end_array() { return Close(); }
  bool key(string_t& value) {
    if (open_.back()->contains(value)) {
      return Fail(absl::StrCat("has the key ", QuoteToken(value), " twice in one object"));
    }
    key_ = std::move(value);
    return true;
  }
  bool parse_error(size_t position, const std::string& /*token*/, const json::exception& /*error*/) {
    return Fail(absl::StrCat("is not valid JSON in UTF-8: byte ", position));
  }

  const std::string& problem() const { return problem_; }
  json TakeValue() { return std::move(root_); }

 private:
  bool Fail(std::string problem) {
    problem_ = std::move(problem);
    return false;
  }

  json* Add(json value) {
    if (++values_ > kMaxJsonValues) {
      Fail(absl::StrCat("has more than ", kMaxJsonValues, " values"));
      return nullptr;
    }
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    json& parent = *open_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(value));
      return &parent.back();
    }
    return &(parent[key_] = std::move(value));
  }

  bool Open(json container) {
    if (open_.size() >= kMaxJsonDepth) {
      return Fail(absl::StrCat("is nested deeper than ", kMaxJsonDepth, " levels"));
    }
    json* added = Add(std::move(container));
    if (added != nullptr) {
      open_.push_back(added);
    }
    return added != nullptr;
  }

  bool Close() {
    open_.pop_back();
    return true;
  }

  json root_;
  std::vector<json*> open_;  // stable: a container is only ever appended to while it is the innermost
  std::string key_;
  std::string problem_;
  size_t values_ = 0;
};

}  // namespace

absl::StatusOr<std::string> ReadTextFile(const std::string& path, size_t max_bytes) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (status.type() == std::filesystem::file_type::not_found) {
    std::error_code ignored;
    if (std::filesystem::is_symlink(path, ignored)) {
      return absl::InvalidArgumentError(absl::StrCat(
          path, ": is a link to ", std::filesystem::read_symlink(path, ignored).string(), ", which is not there"));
    }
    return absl::NotFoundError(absl::StrCat(path, ": no such file"));
  }
  if (!std::filesystem::is_regular_file(status)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": is not a readable regular file"));
  }
  const uintmax_t size = std::filesystem::file_size(path, error);
  if (error || size > max_bytes) {
    return absl::InvalidArgumentError(error ? absl::StrCat(path, ": cannot tell its size")
                                            : absl::StrCat(path, ": has ", size, " bytes; allowed are ", max_bytes));
  }
  std::ifstream file(path, std::ios::binary);
  std::string text(static_cast<size_t>(size), '\0');
  if (!file.read(text.data(), static_cast<std::streamsize>(size))) {
    return absl::UnavailableError(absl::StrCat(path, ": cannot be read"));
  }
  if (text.starts_with(kLfsPointer)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": is a Git LFS pointer, not the file itself; run git lfs pull in the model's repository"));
  }
  return text;
}

absl::StatusOr<json> ParseJson(std::string_view text, const std::string& name) {
  BoundedJsonBuilder builder;
  if (!json::sax_parse(text, &builder)) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": ", builder.problem()));
  }
  return builder.TakeValue();
}

absl::StatusOr<json> ReadJsonFile(const std::string& path, size_t max_bytes) {
  STEPCAST_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(path, max_bytes));
  return ParseJson(text, path);
}

}  // namespace stepcast
