#include "server/request/pictures/read_pictures.h"

#include <algorithm>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "codec/pixels/mask_operations.h"
#include "codec/pixels/resize.h"
#include "core/sha256.h"
#include "core/status_macros.h"
#include "server/request/errors/field_violations.h"
#include "server/wire/text_limits.h"

namespace stepcast {
namespace {

InputPicture ToInputPicture(Pixels pixels) {
  Sha256 hash;
  hash.Update(absl::StrCat(pixels.width, "x", pixels.height, " RGB\n"));
  hash.Update({reinterpret_cast<const char*>(pixels.values.data()), pixels.values.size()});
  Image image = {.width = pixels.width, .height = pixels.height, .pixels = std::move(pixels.values)};
  return {.image = std::make_shared<const Image>(std::move(image)), .sha256 = hash.HexDigest()};
}

Pixels ToPixels(Image image) { return {image.width, image.height, 3, std::move(image.pixels)}; }
Pixels ToPixels(Mask mask) { return {mask.width, mask.height, 1, std::move(mask.values)}; }

SharedMask ToMask(Pixels pixels) {
  return std::make_shared<const Mask>(Mask{pixels.width, pixels.height, std::move(pixels.values)});
}

absl::Status FieldError(absl::string_view field, absl::string_view got, absl::string_view allowed) {
  FieldViolations violations;
  violations.Add(field, got, allowed);
  return violations.ToStatus();
}

// Reads the files of one request.
class Reader {
 public:
  Reader(const GenerationRequest& request, PictureFiles files, const InputPictureLimits& limits)
      : request_(std::make_shared<GenerationRequest>(request)),
        claims_(std::exchange(request_->sent_pictures, {})),
        files_(std::move(files)),
        limits_(ToDecodeLimits(limits)) {}

  absl::StatusOr<SharedRequest> Read(absl::FunctionRef<bool()> wanted) {
    // The mask first: it may say which part of the others is needed.
    STEPCAST_RETURN_IF_ERROR(ReadMask());
    for (PictureFile& file : files_.files) {
      if (!wanted()) return absl::CancelledError("nobody waits for the pictures");
      if (file.field == kMaskImage) continue;
      STEPCAST_RETURN_IF_ERROR(ReadImage(file));
    }
    std::sort(
        request_->sent_pictures.begin(), request_->sent_pictures.end(),
        [this](const SentPicture& a, const SentPicture& b) { return files_.Find(a.field) < files_.Find(b.field); });
    return request_;
  }

 private:
  // The errors of `decoded` with its field; notes what was sent, and drops the file.
  template <typename Picture>
  absl::Status Note(PictureFile& file, const absl::StatusOr<Picture>& decoded) {
    if (absl::IsInvalidArgument(decoded.status())) {
      FieldViolations violations;
      violations.AddPicture(file.field, decoded.status());
      return violations.ToStatus();
    }
    STEPCAST_RETURN_IF_ERROR(decoded.status());
    const SentPicture sent = {file.field, Sha256Hex(file.bytes), decoded->width, decoded->height};
    std::string().swap(file.bytes);
    for (const SentPicture& claim : claims_) {
      if (claim.field != sent.field || claim == sent) continue;
      return FieldError(file.field,
                        absl::StrCat("a picture of ", sent.width, "x", sent.height, " with SHA-256 ", sent.sha256),
                        absl::StrCat("the one of sent_pictures: ", claim.width, "x", claim.height, " with SHA-256 ",
                                     Quoted(claim.sha256)));
    }
    request_->sent_pictures.push_back(sent);
    return absl::OkStatus();
  }

  absl::Status ReadMask() {
    PictureFile* const file = files_.Find(kMaskImage);
    if (file == nullptr) return absl::OkStatus();
    absl::StatusOr<Mask> mask = DecodeMask(file->bytes, limits_);
    STEPCAST_RETURN_IF_ERROR(Note(*file, mask));
    const MaskSettings& settings = request_->mask_settings;
    if (settings.invert) InvertMask(&*mask);
    BlurMask(&*mask, settings.blur);
    const std::optional<Region> bounds = BoundsOf(*mask);
    if (!bounds.has_value()) STEPCAST_RETURN_IF_ERROR(OnEmptyMask());
    if (settings.only_masked) SetPart(*bounds, *mask);
    Pixels pixels = Fitted(ToPixels(*std::move(mask)));
    request_->inpainting->mask = ToMask(std::move(pixels));
    return absl::OkStatus();
  }

  absl::Status OnEmptyMask() {
    if (request_->mask_settings.only_masked) {
      return FieldError(kMaskImage, "a mask that repaints nothing", "one with white, or without inpaint.only_masked");
    }
    request_->warnings.push_back(
        absl::StrCat(kMaskImage, " repaints nothing: it has no ", request_->mask_settings.invert ? "black" : "white"));
    return absl::OkStatus();
  }

  void SetPart(const Region& bounds, const Mask& mask) {
    const CropWish wish = {
        .padding = request_->mask_settings.padding, .width = request_->width, .height = request_->height};
    part_ = CropRegion(bounds, wish, mask.width, mask.height);
    request_->paste_back = PasteBack{.mask = std::make_shared<const Mask>(mask),
                                     .left = part_->left,
                                     .top = part_->top,
                                     .width = part_->width,
                                     .height = part_->height};
  }

  // Of the request's size.
  Pixels Fitted(Pixels pixels) const {
    if (part_.has_value()) return Resize(Crop(pixels, *part_), request_->width, request_->height, ResizeMode::kFit);
    if (pixels.width == request_->width && pixels.height == request_->height) return pixels;
    return Resize(pixels, request_->width, request_->height, request_->resize_mode);
  }

  absl::Status ReadImage(PictureFile& file) {
    absl::StatusOr<Image> image = DecodeImage(file.bytes, limits_);
    STEPCAST_RETURN_IF_ERROR(Note(file, image));
    const bool is_init = file.field == kInitImage;
    if (is_init && part_.has_value()) request_->paste_back->original = std::make_shared<const Image>(*image);
    InputPicture picture = ToInputPicture(Fitted(ToPixels(*std::move(image))));
    if (is_init) {
      request_->init_image = std::move(picture);
      return absl::OkStatus();
    }
    for (size_t i = 0; i < request_->control.size(); ++i) {
      if (file.field == ControlImage(static_cast<int>(i))) request_->control[i].image = picture;
    }
    return absl::OkStatus();
  }

  const std::shared_ptr<GenerationRequest> request_;
  const std::vector<SentPicture> claims_;
  PictureFiles files_;
  const DecodeLimits limits_;
  std::optional<Region> part_;  // of the pictures, where only that is painted
};

}  // namespace

absl::StatusOr<SharedRequest> ReadPictures(const GenerationRequest& request, PictureFiles files,
                                           const InputPictureLimits& limits, absl::FunctionRef<bool()> wanted) {
  try {
    return Reader(request, std::move(files), limits).Read(wanted);
  } catch (const std::bad_alloc&) {
    return absl::InternalError("no memory to read a picture");
  }
}

absl::StatusOr<SharedRequest> WithPicturesOf(const GenerationRequest& request, const GenerationRequest& read) {
  if (request.width != read.width || request.height != read.height || request.control.size() != read.control.size()) {
    return MakeError({.reason = v1::ERROR_REASON_MODEL_LOADING,
                      .message = "the model was read anew and takes pictures of another size; send the request again",
                      .retry_after = absl::Seconds(1)});
  }
  auto filled = std::make_shared<GenerationRequest>(request);
  filled->init_image = read.init_image;
  if (read.inpainting.has_value()) filled->inpainting->mask = read.inpainting->mask;
  for (size_t i = 0; i < read.control.size(); ++i) filled->control[i].image = read.control[i].image;
  filled->paste_back = read.paste_back;
  filled->sent_pictures = read.sent_pictures;
  return filled;
}

int64_t KeptBytes(const GenerationRequest& request, const PictureFiles& files) {
  int64_t bytes = 0;
  for (const PictureFile& file : files.files) {
    const int64_t channels = file.field == kMaskImage ? 1 : 3;
    bytes += channels * request.width * request.height;
    if (!request.mask_settings.only_masked || !file.header.ok()) continue;
    if (file.field == kInitImage || file.field == kMaskImage) {
      bytes += channels * file.header->width * file.header->height;
    }
  }
  return bytes;
}

}  // namespace stepcast
