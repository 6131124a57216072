#include "model/weights/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/status_macros.h"
#include "model/weights/safetensors_sax.h"

namespace stepcast::model {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors data is used as it lies in the file");

absl::Status Malformed(absl::string_view what) { return absl::InvalidArgumentError(what); }

// The number of bytes the shape needs, or nothing if its bits do not fit 64, or fill no whole bytes.
std::optional<uint64_t> ByteSize(const TensorEntry& entry) {
  uint64_t elements = 1;
  for (const int64_t dim : entry.shape) {
    if (__builtin_mul_overflow(elements, static_cast<uint64_t>(dim), &elements)) return std::nullopt;
  }
  uint64_t bits = 0;
  if (__builtin_mul_overflow(elements, static_cast<uint64_t>(entry.bits), &bits)) return std::nullopt;
  return bits % 8 == 0 ? std::optional<uint64_t>(bits / 8) : std::nullopt;
}

// Tensors, sorted by offset, must cover the buffer exactly: no hole, no overlap, no trailer.
absl::Status CheckTiling(const std::vector<TensorEntry>& tensors, uint64_t data_size) {
  uint64_t at = 0;
  for (const TensorEntry& entry : tensors) {
    if (entry.end < entry.begin) {
      return Malformed(absl::StrCat("tensor '", entry.name, "': data_offsets run backwards"));
    }
    if (entry.begin != at) {
      return Malformed(absl::StrCat("tensor '", entry.name, "' begins at ", entry.begin,
                                    ", but the one before ends at ", at,
                                    ": the data must have no holes and no overlap"));
    }
    const std::optional<uint64_t> needed = ByteSize(entry);
    if (!needed.has_value()) {
      return Malformed(absl::StrCat("tensor '", entry.name, "': shape [", absl::StrJoin(entry.shape, ", "), "] of ",
                                    entry.dtype, " overflows, or fills no whole bytes"));
    }
    if (*needed != entry.end - entry.begin) {
      return Malformed(absl::StrCat("tensor '", entry.name, "': shape [", absl::StrJoin(entry.shape, ", "), "] needs ",
                                    *needed, " bytes, data_offsets give ", entry.end - entry.begin));
    }
    at = entry.end;
  }
  if (at != data_size) {
    return Malformed(absl::StrCat("tensors end at ", at, ", but the data buffer has ", data_size,
                                  " bytes: the file is truncated or has a trailer"));
  }
  return absl::OkStatus();
}

// What a site answers instead of a file.
bool IsWebPage(absl::string_view start) {
  start = absl::StripLeadingAsciiWhitespace(start);
  return absl::StartsWithIgnoreCase(start, "<!doctype html") || absl::StartsWithIgnoreCase(start, "<html") ||
         absl::StartsWithIgnoreCase(start, "<head") || absl::StartsWithIgnoreCase(start, "<?xml");
}

absl::Status InFile(const absl::Status& status, const std::string& path) {
  return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

}  // namespace

int64_t BytesPerElement(StoredType type) {
  switch (type) {
    case StoredType::kF32:
      return 4;
    case StoredType::kF16:
    case StoredType::kBf16:
      return 2;
    case StoredType::kF64:
    case StoredType::kI64:
      return 8;
    case StoredType::kUnread:
      break;
  }
  return 0;
}

absl::StatusOr<SafetensorsHeader> ParseSafetensorsHeader(absl::string_view json, uint64_t data_size) {
  if (json.empty() || json.front() != '{') return Malformed("the header does not start with '{'");
  STEPCAST_ASSIGN_OR_RETURN(SafetensorsHeader header, ReadSafetensorsJson(json));
  // Empty tensors share their begin with their neighbour, so the end decides.
  std::sort(header.tensors.begin(), header.tensors.end(), [](const TensorEntry& a, const TensorEntry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  STEPCAST_RETURN_IF_ERROR(CheckTiling(header.tensors, data_size));
  return header;
}

absl::StatusOr<SafetensorsFile> SafetensorsFile::Open(const std::string& path) {
  STEPCAST_ASSIGN_OR_RETURN(DataFile opened, DataFile::Open(path));
  auto file = std::make_shared<const DataFile>(std::move(opened));
  std::string start(static_cast<size_t>(std::min<uint64_t>(file->size(), kMaxLfsPointer)), '\0');
  STEPCAST_RETURN_IF_ERROR(file->Read(0, absl::MakeSpan(start)));
  if (IsLfsPointer(start)) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is a git-lfs pointer, not the weights: run `git lfs pull` in the model's folder"));
  }
  if (IsWebPage(start)) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, " is a web page, not weights: the download needs a login or another address; fetch it again"));
  }
  uint64_t length = 0;
  if (start.size() < sizeof(length)) return InFile(Malformed("shorter than the 8 bytes of the header length"), path);
  std::memcpy(&length, start.data(), sizeof(length));
  if (length > kMaxHeaderBytes || length > file->size() - sizeof(length)) {
    return InFile(Malformed(absl::StrCat("the header claims ", length, " bytes; the file has ", file->size(),
                                         ", the limit is ", kMaxHeaderBytes)),
                  path);
  }
  std::string json(static_cast<size_t>(length), '\0');
  STEPCAST_RETURN_IF_ERROR(file->Read(sizeof(length), absl::MakeSpan(json)));
  const uint64_t begin = sizeof(length) + length;
  absl::StatusOr<SafetensorsHeader> header = ParseSafetensorsHeader(json, file->size() - begin);
  if (!header.ok()) return InFile(header.status(), path);
  return SafetensorsFile(std::move(file), *std::move(header), begin);
}

absl::StatusOr<std::string> SafetensorsFile::Bytes(const TensorEntry& entry) const {
  std::string bytes(static_cast<size_t>(entry.end - entry.begin), '\0');
  STEPCAST_RETURN_IF_ERROR(Read(entry, 0, absl::MakeSpan(bytes)));
  return bytes;
}

}  // namespace stepcast::model
