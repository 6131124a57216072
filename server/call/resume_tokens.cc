#include "server/call/resume_tokens.h"

#include <openssl/crypto.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "core/sha256.h"
#include "server/request/errors/status_mapping.h"

namespace stepcast {
namespace {

// What stands before the state, byte by byte; numbers are little-endian.
//
//     0  "SCR1"    8  expiry, seconds since 1970   16  evaluations done
//    20  SHA-256 in hex of the picture, the model, the arithmetic: 3 x 64
constexpr std::string_view kMagic = "SCR1";
constexpr size_t kDigest = 64;
constexpr size_t kHead = 20 + 3 * kDigest;
constexpr size_t kMac = 32;

template <typename Number>
void Append(Number number, std::string& bytes) {
  for (size_t i = 0; i < sizeof(Number); ++i) bytes.push_back(static_cast<char>(number >> (8 * i)));
}

uint64_t NumberAt(std::string_view bytes, size_t at, size_t size) {
  uint64_t number = 0;
  for (size_t i = 0; i < size; ++i) number |= uint64_t{static_cast<uint8_t>(bytes[at + i])} << (8 * i);
  return number;
}

std::array<uint8_t, kMac> MacOf(const std::string& key, std::string_view bytes) {
  std::array<uint8_t, kMac> mac{};
  unsigned size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(bytes.data()),
       bytes.size(), mac.data(), &size);
  return mac;
}

bool Signs(const std::string& key, std::string_view bytes, std::string_view mac) {
  return CRYPTO_memcmp(MacOf(key, bytes).data(), mac.data(), kMac) == 0;
}

absl::Status Invalid(absl::string_view why) {
  return MakeError({.reason = v1::ERROR_REASON_RESUME_TOKEN_INVALID,
                    .message = absl::StrCat("resume_token: ", why, "; send the request without it")});
}

std::string NumericsDigest(const ResumeBinding& binding) { return Sha256Hex(binding.numerics); }

// A name in a prompt says nothing of the vectors behind it. `place`: of the prompt in the request.
void UpdateInversions(size_t place, const PromptTokens& tokens, Sha256& weights) {
  for (const UsedInversion& used : tokens.inversions) weights.Update(absl::StrCat(place, ":", used.file->sha256));
}

}  // namespace

ResumeBinding BindingOf(const GenerationRequest& request, const std::string& numerics) {
  Sha256 weights;  // of whatever has any
  weights.Update(request.model->sha256);
  std::string dtypes = DescribeDtypes(*request.model);
  for (const ControlInput& control : request.control) {
    const auto net = std::ranges::find(request.model->control_nets, control.model, &ControlNetInfo::id);
    if (net == request.model->control_nets.end()) continue;
    weights.Update(net->sha256);
    absl::StrAppend(&dtypes, " ", net->dtype);
  }
  for (const LoraInput& lora : request.loras) weights.Update(lora.sha256);
  for (size_t i = 0; i < request.prompt_parts.size(); ++i) {
    UpdateInversions(i + 1, request.prompt_parts[i].tokens, weights);
  }
  UpdateInversions(0, request.negative_tokens, weights);
  return {.picture = "", .model = weights.HexDigest(), .numerics = absl::StrCat(dtypes, " ", numerics)};
}

std::string PictureDigest(const v1::GenerateRequest& effective, int image_index) {
  v1::GenerateRequest picture = effective;
  picture.set_seed(effective.seed() + image_index);
  picture.clear_image_count();
  picture.clear_output();
  picture.clear_preview();
  picture.clear_priority();
  picture.clear_validate_only();
  picture.clear_resume_token();
  picture.clear_checkpoint_every();
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    picture.SerializeToCodedStream(&coded);
  }
  return Sha256Hex(bytes);
}

std::string ResumeTokens::Issue(const ResumeBinding& binding, const JobSaved& saved) const {
  if (saved.state == nullptr || static_cast<int64_t>(kHead + saved.state->size() + kMac) > options_.max_bytes)
    return "";
  std::string token(kMagic);
  token.reserve(kHead + saved.state->size() + kMac);
  Append(uint32_t{0}, token);
  Append(static_cast<uint64_t>(absl::ToUnixSeconds(clock_.Now() + options_.ttl)), token);
  Append(static_cast<uint32_t>(saved.evaluations_done), token);
  absl::StrAppend(&token, binding.picture, binding.model, NumericsDigest(binding), *saved.state);
  const std::array<uint8_t, kMac> mac = MacOf(options_.keys.front(), token);
  token.append(reinterpret_cast<const char*>(mac.data()), mac.size());
  return token;
}

absl::StatusOr<ResumePoint> ResumeTokens::Read(std::string_view token, const ResumeBinding& binding) const {
  // Nothing is believed before it is known to be ours.
  if (token.size() < kHead + kMac || static_cast<int64_t>(token.size()) > options_.max_bytes) {
    return Invalid("it is damaged, or of another deployment");
  }
  const std::string_view signed_part = token.substr(0, token.size() - kMac);
  const std::string_view mac = token.substr(token.size() - kMac);
  const auto signs = [&](const std::string& key) { return Signs(key, signed_part, mac); };
  if (std::ranges::none_of(options_.keys, signs) || signed_part.substr(0, kMagic.size()) != kMagic) {
    return Invalid("it is damaged, or of another deployment");
  }
  if (absl::FromUnixSeconds(static_cast<int64_t>(NumberAt(token, 8, 8))) <= clock_.Now())
    return Invalid("it has expired");
  const auto digest = [&](size_t i) { return token.substr(20 + i * kDigest, kDigest); };
  if (digest(1) != binding.model)
    return Invalid("it is of another model, or of other weights, also of a ControlNet or a textual inversion");
  if (digest(0) != binding.picture) return Invalid("it is of another request or picture");
  if (digest(2) != NumericsDigest(binding)) {
    return Invalid("it was made in other arithmetic (device, instruction set, threads or dtype)");
  }
  return ResumePoint{.evaluations = static_cast<int>(NumberAt(token, 16, 4)),
                     .state = std::string(signed_part.substr(kHead))};
}

}  // namespace stepcast
