#include "model/loading/component_cache.h"

#include <sys/stat.h>

#include <algorithm>
#include <iterator>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/sha256.h"
#include "core/status_macros.h"
#include "model/files/load_report.h"

namespace stepcast::model {
namespace {

constexpr size_t kMostDigests = 4096;
constexpr uint64_t kReadBytes = 1 << 20;

// Names the bytes of a file without reading them; "" where there is none. The time of the last change of the inode
// cannot be set back, so a file that was written anew has another name.
std::string IdentityOf(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return "";
  return absl::StrCat(info.st_dev, ":", info.st_ino, ":", info.st_size, ":", info.st_mtim.tv_sec, ".",
                      info.st_mtim.tv_nsec, ":", info.st_ctim.tv_sec, ".", info.st_ctim.tv_nsec);
}

std::string TensorLine(const std::string& name, const StoredTensor& tensor) {
  return absl::StrCat(name, " ", tensor.entry->dtype, " [", absl::StrJoin(tensor.entry->shape, ","), "]",
                      tensor.transposed ? " transposed" : "", "\n");
}

absl::Status AddBytes(const StoredTensor& tensor, Sha256& digest) {
  std::vector<char> buffer(kReadBytes);
  const uint64_t size = tensor.entry->end - tensor.entry->begin;
  for (uint64_t offset = 0; offset < size; offset += kReadBytes) {
    const absl::Span<char> piece(buffer.data(), static_cast<size_t>(std::min<uint64_t>(kReadBytes, size - offset)));
    STEPCAST_RETURN_IF_ERROR(tensor.file->Read(*tensor.entry, offset, piece));
    digest.Update({piece.data(), piece.size()});
  }
  return absl::OkStatus();
}

}  // namespace

std::shared_ptr<const void> ComponentCache::Find(const std::string& key) {
  MutexLock lock(mutex_);
  const auto found = parts_.find(key);
  return found == parts_.end() ? nullptr : found->second.lock();
}

void ComponentCache::Insert(const std::string& key, const std::shared_ptr<const void>& part) {
  MutexLock lock(mutex_);
  std::erase_if(parts_, [](const auto& entry) { return entry.second.expired(); });
  parts_.emplace(key, part);
}

absl::StatusOr<std::string> ComponentCache::DigestOf(const std::string& settings, const WeightSet& set,
                                                     const std::map<std::string, Shape>& requested) {
  std::map<std::string, std::string> identities;  // by path
  std::string key = settings;
  for (const auto& [name, shape] : requested) {
    const StoredTensor& tensor = *set.Find(name);
    const auto [file, fresh] = identities.try_emplace(tensor.file->path());
    if (fresh) file->second = IdentityOf(file->first);
    absl::StrAppend(&key, file->second, " ", tensor.entry->begin, " ", TensorLine(name, tensor));
  }
  key = Sha256Hex(key);
  {
    MutexLock lock(mutex_);
    if (const auto known = digests_.find(key); known != digests_.end()) return known->second;
  }
  Sha256 whole;
  whole.Update(settings);
  for (const auto& [name, shape] : requested) {
    const StoredTensor& tensor = *set.Find(name);
    whole.Update(TensorLine(name, tensor));
    STEPCAST_RETURN_IF_ERROR(AddBytes(tensor, whole));
  }
  std::string digest = whole.HexDigest();
  MutexLock lock(mutex_);
  if (digests_.size() >= kMostDigests) digests_.clear();
  digests_[key] = digest;
  return digest;
}

std::string PartKey(const std::string& digest, std::initializer_list<std::type_index> types, c10::ScalarType dtype,
                    c10::Device device) {
  std::string key = absl::StrCat(digest, " ", DtypeName(dtype), " ", device.str());
  for (const std::type_index& type : types) absl::StrAppend(&key, " ", type.name());
  return key;
}

std::string NetworkSettings(nlohmann::json config) {
  for (auto entry = config.begin(); entry != config.end();) {
    const bool bookkeeping = absl::StartsWith(entry.key(), "_") || entry.key() == "transformers_version" ||
                             entry.key() == "torch_dtype" || entry.key() == "dtype";
    entry = bookkeeping ? config.erase(entry) : std::next(entry);
  }
  return config.dump(-1, ' ', /*ensure_ascii=*/true, nlohmann::json::error_handler_t::replace);
}

}  // namespace stepcast::model
