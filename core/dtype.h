#pragma once
// What the parts of a model compute in, and what people say of it.

#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace stepcast {

enum class Dtype { kAuto, kFp32, kBf16, kFp16 };

// "auto", "fp32", "bf16", "fp16".
std::string_view DtypeName(Dtype dtype);
std::optional<Dtype> DtypeFromName(std::string_view name);
inline constexpr char kDtypeNames[] = "auto, fp32, bf16, fp16";

// Parts that may be named. Those of one model are fewer.
inline constexpr std::array<std::string_view, 5> kDtypeParts = {"unet", "vae", "text_encoder", "text_encoder_2",
                                                                "classifier"};

// "unet, vae, ..."
std::string DtypePartNames();

// What one card or entry of the configuration says of a model.
struct DtypeWish {
  std::optional<Dtype> whole = std::nullopt;
  std::map<std::string, Dtype> parts = {};  // by name, of kDtypeParts; count before `whole`

  friend bool operator==(const DtypeWish&, const DtypeWish&) = default;
};

}  // namespace stepcast
