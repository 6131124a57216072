// init_image, resize_mode, sent_pictures, and the sizes of all pictures.

#include <string>

#include "absl/strings/str_cat.h"
#include "server/request/checks/picture_checks.h"
#include "server/wire/proto_enums.h"
#include "server/wire/text_limits.h"

namespace stepcast {
namespace {

constexpr absl::string_view kResizeModes = "RESIZE_MODE_EXACT, RESIZE_MODE_FIT, RESIZE_MODE_COVER, RESIZE_MODE_STRETCH";

bool HasControlImage(const RequestContext& context) {
  for (int i = 0; i < context.wire.control_size(); ++i) {
    if (context.pictures != nullptr && context.pictures->Find(ControlImage(i)) != nullptr) return true;
  }
  return false;
}

void CheckInitImage(const RequestContext& context, FieldViolations& violations) {
  const ModelInfo& info = context.info();
  const bool is_set = context.wire.has_init_image();
  if (is_set && !info.encodes_pictures) {
    return violations.Add(kInitImage, "a picture", absl::StrCat("unset (", info.id, " does not encode pictures)"));
  }
  if (is_set || info.image_input == ImageInput::kNone) return;
  violations.Add(kInitImage, "nothing",
                 absl::StrCat("a picture (", info.id,
                              info.image_input == ImageInput::kPicture ? " is told what to change in one)"
                                                                       : " is made for inpainting)"));
}

void CheckResizeMode(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations) {
  const v1::ResizeMode wire = context.wire.resize_mode();
  if (wire == v1::RESIZE_MODE_UNSPECIFIED) return;
  if (!v1::ResizeMode_IsValid(wire)) {
    violations.Add("resize_mode", absl::StrCat(static_cast<int>(wire)), kResizeModes);
  } else if (!context.wire.has_init_image() && !HasControlImage(context)) {
    violations.Add("resize_mode", v1::ResizeMode_Name(wire), "unset without a picture");
  } else if (context.wire.inpaint().only_masked() && wire != v1::RESIZE_MODE_EXACT) {
    violations.Add("resize_mode", v1::ResizeMode_Name(wire), "unset beside inpaint.only_masked");
  } else {
    resolved.resize_mode = *FromProto(wire);
  }
}

std::string SizeText(int width, int height) { return absl::StrCat(width, "x", height, " pixels"); }

// Whether the picture of `field` has the wanted size, after rounding where that is to happen.
void CheckExactSize(const RequestContext& context, absl::string_view field, const PictureHeader& header,
                    const GenerationRequest& resolved, FieldViolations& violations) {
  const int multiple = context.model_limits.size_multiple;
  const int width = header.upright_width();
  const int height = header.upright_height();
  if (width - width % multiple == resolved.width && height - height % multiple == resolved.height) return;
  violations.Add(
      field, SizeText(width, height),
      absl::StrCat(SizeText(resolved.width, resolved.height), ", or a resize_mode other than RESIZE_MODE_EXACT"));
}

// Of masks, and where only a part is painted of all pictures: the same as init_image.
void CheckSameSize(absl::string_view field, const PictureHeader& header, const PictureHeader& init,
                   FieldViolations& violations) {
  if (header.upright_width() == init.upright_width() && header.upright_height() == init.upright_height()) return;
  violations.Add(field, SizeText(header.upright_width(), header.upright_height()),
                 absl::StrCat(SizeText(init.upright_width(), init.upright_height()), ", the size of init_image"));
}

void CheckSizes(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations) {
  const PictureFile* const init = context.pictures->Find(kInitImage);
  const bool only_masked = context.wire.inpaint().only_masked();
  const bool size_is_known = !violations.Has("width") && !violations.Has("height");
  for (const PictureFile& file : context.pictures->files) {
    if (!file.header.ok() || violations.Has(file.field)) continue;
    const bool has_init = init != nullptr && init->header.ok();
    if (has_init && &file != init && (only_masked || file.field == kMaskImage)) {
      CheckSameSize(file.field, *file.header, *init->header, violations);
    } else if (!only_masked && size_is_known && resolved.resize_mode == ResizeMode::kExact) {
      CheckExactSize(context, file.field, *file.header, resolved, violations);
    }
  }
  if (!only_masked || init == nullptr || !init->header.ok()) return;
  resolved.mask_settings.whole_width = init->header->upright_width();
  resolved.mask_settings.whole_height = init->header->upright_height();
}

void CheckSentPictures(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations) {
  for (int i = 0; i < context.wire.sent_pictures_size(); ++i) {
    const v1::SentPicture& sent = context.wire.sent_pictures(i);
    if (context.pictures == nullptr || context.pictures->Find(sent.field()) == nullptr) {
      violations.Add(absl::StrCat("sent_pictures[", i, "]"),
                     absl::StrCat("a picture of ", Quoted(sent.field()), ", which holds none"),
                     absl::StrCat("the picture with SHA-256 ", Quoted(sent.sha256()), " in ", Quoted(sent.field())));
      continue;
    }
    resolved.sent_pictures.push_back({sent.field(), sent.sha256(), sent.width(), sent.height()});
  }
}

}  // namespace

std::optional<PictureHeader> SizeGivingPicture(const RequestContext& context, std::string* field) {
  const v1::GenerateRequest& wire = context.wire;
  const bool exact = wire.resize_mode() == v1::RESIZE_MODE_UNSPECIFIED || wire.resize_mode() == v1::RESIZE_MODE_EXACT;
  if (!exact || wire.inpaint().only_masked() || context.pictures == nullptr) return std::nullopt;
  for (const PictureFile& file : context.pictures->files) {
    if (file.field == kMaskImage || !file.header.ok()) continue;
    *field = file.field;
    return *file.header;
  }
  return std::nullopt;
}

void CheckPictures(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations) {
  CheckInitImage(context, violations);
  if (context.pictures != nullptr) {
    for (const PictureFile& file : context.pictures->files) {
      if (!file.header.ok() && !violations.Has(file.field)) violations.AddPicture(file.field, file.header.status());
    }
  }
  CheckResizeMode(context, resolved, violations);
  CheckSentPictures(context, resolved, violations);
  if (context.pictures != nullptr) CheckSizes(context, resolved, violations);
}

}  // namespace stepcast
