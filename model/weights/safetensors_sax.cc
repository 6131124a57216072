#include "model/weights/safetensors_sax.h"

#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

namespace stepcast::model {
namespace {

struct ElementType {
  absl::string_view name;
  int bits;
  StoredType type = StoredType::kUnread;
};

constexpr ElementType kElementTypes[] = {
    {"F32", 32, StoredType::kF32},
    {"F16", 16, StoredType::kF16},
    {"BF16", 16, StoredType::kBf16},
    {"F64", 64, StoredType::kF64},
    {"I64", 64, StoredType::kI64},
    {"BOOL", 8},
    {"U8", 8},
    {"I8", 8},
    {"U16", 16},
    {"I16", 16},
    {"U32", 32},
    {"I32", 32},
    {"U64", 64},
    {"C64", 64},
    {"F4", 4},
    {"F6_E2M3", 6},
    {"F6_E3M2", 6},
    {"F8_E4M3", 8},
    {"F8_E5M2", 8},
    {"F8_E8M0", 8},
    {"F8_E4M3FNUZ", 8},
    {"F8_E5M2FNUZ", 8},
};

// What the file says, for messages: a name can have megabytes.
std::string Shown(const std::string& text) {
  constexpr size_t kShown = 200;
  return absl::StrCat(absl::CHexEscape(text.substr(0, kShown)), text.size() > kShown ? "..." : "");
}

// The header's grammar as a state machine over SAX events:
//   root { "__metadata__": { string: string }, NAME: { "dtype": string, "shape": [uint], "data_offsets": [uint, uint] }
//   }
class HeaderReader {
 public:
  using number_integer_t = nlohmann::json::number_integer_t;
  using number_unsigned_t = nlohmann::json::number_unsigned_t;
  using number_float_t = nlohmann::json::number_float_t;
  using string_t = nlohmann::json::string_t;
  using binary_t = nlohmann::json::binary_t;

  bool null() {
    if (state_ != State::kRoot || key_ != "__metadata__") return Refuse("a null");
    header_.null_metadata = true;
    return true;
  }
  bool boolean(bool) { return Refuse("a boolean"); }
  bool number_integer(number_integer_t) { return Refuse("a negative number"); }
  bool number_float(number_float_t, const string_t&) { return Refuse("a number that is not a plain integer"); }
  bool binary(binary_t&) { return Refuse("binary data"); }

  bool number_unsigned(number_unsigned_t value) {
    if (value > static_cast<number_unsigned_t>(std::numeric_limits<int64_t>::max()))
      return Refuse("a number over 2^63");
    if (state_ == State::kShape) {
      if (entry_.shape.size() == kMaxRank) return Fail(absl::StrCat("more than ", kMaxRank, " dimensions"));
      entry_.shape.push_back(static_cast<int64_t>(value));
      return true;
    }
    if (state_ == State::kOffsets) {
      if (offsets_ == 2) return Fail("data_offsets has more than two numbers");
      (offsets_++ == 0 ? entry_.begin : entry_.end) = value;
      return true;
    }
    return Refuse("a number");
  }

  bool string(string_t& value) {
    if (state_ == State::kMetadata) {
      header_.metadata[key_] = std::move(value);
      return true;
    }
    if (state_ == State::kTensor && key_ == "dtype") return SetType(value);
    return Refuse("a string");
  }

  bool start_object(size_t) {
    if (state_ == State::kStart) return Enter(State::kRoot);
    if (state_ != State::kRoot) return Refuse("an object");
    if (key_ == "__metadata__") return Enter(State::kMetadata);
    entry_ = TensorEntry();
    entry_.name = key_;
    fields_ = Fields();
    offsets_ = 0;
    return Enter(State::kTensor);
  }

  bool key(string_t& name) {
    if (state_ == State::kRoot || state_ == State::kMetadata) {
      // The root's names live to the end; metadata keys only need to be unique among themselves.
      auto& seen = state_ == State::kRoot ? names_ : metadata_names_;
      if (name.size() > kMaxTensorName) return Fail("a name of more than 1024 bytes");
      if (seen.size() >= kMaxTensors) return Fail(absl::StrCat("more than ", kMaxTensors, " names"));
      if (!seen.insert(name).second) return Fail(absl::StrCat("duplicate name '", Shown(name), "'"));
    } else if (!MarkField(name)) {
      return false;
    }
    key_ = std::move(name);
    return true;
  }

  bool end_object() {
    if (state_ == State::kTensor) {
      if (!fields_.dtype || !fields_.shape || !fields_.offsets) {
        return Fail("dtype, shape and data_offsets must all be present");
      }
      header_.tensors.push_back(std::move(entry_));
    }
    state_ = state_ == State::kRoot ? State::kDone : State::kRoot;
    return true;
  }

  bool start_array(size_t) {
    if (state_ == State::kTensor && key_ == "shape") return Enter(State::kShape);
    if (state_ == State::kTensor && key_ == "data_offsets") return Enter(State::kOffsets);
    return Refuse("an array");
  }

  bool end_array() {
    if (state_ == State::kOffsets && offsets_ != 2) return Fail("data_offsets needs two numbers");
    return Enter(State::kTensor);
  }

  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) {
    return Fail(absl::StrCat("not valid JSON near byte ", position));
  }

  absl::StatusOr<SafetensorsHeader> Take(bool parsed) {
    if (!error_.empty()) return absl::InvalidArgumentError(error_);
    if (!parsed || state_ != State::kDone) return absl::InvalidArgumentError("the header is not one JSON object");
    return std::move(header_);
  }

 private:
  enum class State { kStart, kRoot, kMetadata, kTensor, kShape, kOffsets, kDone };
  struct Fields {
    bool dtype = false;
    bool shape = false;
    bool offsets = false;
  };

  bool Enter(State state) {
    state_ = state;
    return true;
  }

  bool Fail(absl::string_view what) {
    error_ = state_ == State::kTensor || state_ == State::kShape || state_ == State::kOffsets
                 ? absl::StrCat("tensor '", Shown(entry_.name), "': ", what)
                 : absl::StrCat("header: ", what);
    return false;
  }

  bool Refuse(absl::string_view what) { return Fail(absl::StrCat(what, " is not allowed at '", Shown(key_), "'")); }

  bool MarkField(const std::string& name) {
    bool* seen = name == "dtype"          ? &fields_.dtype
                 : name == "shape"        ? &fields_.shape
                 : name == "data_offsets" ? &fields_.offsets
                                          : nullptr;
    if (seen == nullptr) return Fail(absl::StrCat("unknown field '", Shown(name), "'"));
    if (*seen) return Fail(absl::StrCat("duplicate field '", name, "'"));
    *seen = true;
    return true;
  }

  bool SetType(const std::string& name) {
    for (const ElementType& type : kElementTypes) {
      if (name != type.name) continue;
      entry_.type = type.type;
      entry_.bits = type.bits;
      entry_.dtype = name;
      return true;
    }
    return Fail(absl::StrCat("dtype '", Shown(name), "' is none of the format's"));
  }

  State state_ = State::kStart;
  std::string key_;
  TensorEntry entry_;
  Fields fields_;
  int offsets_ = 0;
  absl::flat_hash_set<std::string> names_;
  absl::flat_hash_set<std::string> metadata_names_;
  SafetensorsHeader header_;
  std::string error_;
};

}  // namespace

absl::StatusOr<SafetensorsHeader> ReadSafetensorsJson(absl::string_view json) {
  HeaderReader reader;
  const bool parsed = nlohmann::json::sax_parse(json.begin(), json.end(), &reader);
  return reader.Take(parsed);
}

}  // namespace stepcast::model
