#include "engine/job/saved_job.h"

#include <bit>
#include <cstring>

#include "absl/status/status.h"

namespace stepcast::engine {
namespace {

static_assert(std::endian::native == std::endian::little, "the bytes are those of memory");

constexpr size_t kDimensions = 4;
// Larger than any picture that a model paints, and far from where a product could overflow.
constexpr int64_t kMaxExtent = int64_t{1} << 20;
constexpr int64_t kMaxValues = int64_t{1} << 28;

constexpr uint32_t kHasNextNormal = 1;
constexpr uint32_t kBegun = 2;

// All but the values, in this order and without padding between.
struct Head {
  uint32_t format = 1;
  int32_t stage = 0;
  int64_t shape[kDimensions] = {};
  double next_normal = 0.0;
  uint32_t flags = 0;
  int32_t next_word = 0;
  uint32_t words[sampling::NoiseGenerator::kWords] = {};
};
static_assert(sizeof(Head) == 56 + 4 * sampling::NoiseGenerator::kWords);

}  // namespace

std::string EncodeSaved(const SavedJob& job, absl::Span<const float> values) {
  Head head;
  head.stage = job.stage;
  for (size_t i = 0; i < kDimensions; ++i) head.shape[i] = job.shape[i];
  head.next_normal = job.generator.next_normal.value_or(0.0);
  head.flags = (job.generator.next_normal.has_value() ? kHasNextNormal : 0) | (job.begun ? kBegun : 0);
  head.next_word = job.generator.next_word;
  std::memcpy(head.words, job.generator.words.data(), sizeof(head.words));
  std::string bytes(sizeof(Head) + values.size() * sizeof(float), '\0');
  std::memcpy(bytes.data(), &head, sizeof(Head));
  std::memcpy(bytes.data() + sizeof(Head), values.data(), values.size() * sizeof(float));
  return bytes;
}

absl::StatusOr<SavedJob> DecodeSaved(absl::string_view bytes) {
  const absl::Status foreign = absl::InvalidArgumentError("what was saved is not in the form of this version");
  Head head;
  if (bytes.size() < sizeof(Head)) return foreign;
  std::memcpy(&head, bytes.data(), sizeof(Head));
  if (head.format != 1 || head.next_word < 0 || head.next_word > sampling::NoiseGenerator::kWords) return foreign;
  SavedJob job{.stage = head.stage, .begun = (head.flags & kBegun) != 0};
  int64_t count = 1;
  for (const int64_t extent : head.shape) {
    if (extent < 1 || extent > kMaxExtent) return foreign;
    count *= extent;
    if (count > kMaxValues) return foreign;
    job.shape.push_back(extent);
  }
  if (bytes.size() - sizeof(Head) != static_cast<size_t>(count) * sizeof(float)) return foreign;
  std::memcpy(job.generator.words.data(), head.words, sizeof(head.words));
  job.generator.next_word = head.next_word;
  if ((head.flags & kHasNextNormal) != 0) job.generator.next_normal = head.next_normal;
  job.values.resize(static_cast<size_t>(count));
  std::memcpy(job.values.data(), bytes.data() + sizeof(Head), bytes.size() - sizeof(Head));
  return job;
}

}  // namespace stepcast::engine
