#include "clients/cli/arguments/picture_options.h"

#include <fstream>
#include <iterator>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "clients/cli/arguments/number.h"
#include "clients/cli/views/enum_names.h"

namespace stepcast::cli {
namespace {

namespace v1 = ::stepcast::v1;

constexpr char kPictures[] = "Pictures to begin with, to repaint, to follow";
constexpr size_t kMaxFileBytes = 64 << 20;  // the server's own limit is lower, and it tells it

std::string ReadPicture(const char* option, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file.is_open() || file.bad()) throw CLI::ValidationError(option, path + " cannot be read");
  if (bytes.empty() || bytes.size() > kMaxFileBytes) {
    throw CLI::ValidationError(
        option, path + " has " + std::to_string(bytes.size()) + " bytes; allowed: 1.." + std::to_string(kMaxFileBytes));
  }
  return bytes;
}

bool Exists(const std::string& path) { return std::ifstream(path).is_open(); }

// The picture that a request of --from told is given anew: it may be another one.
void DropClaim(const std::string& field, v1::GenerateRequest& request) {
  auto& sent = *request.mutable_sent_pictures();
  for (int i = sent.size() - 1; i >= 0; --i) {
    if (sent.Get(i).field() == field) sent.DeleteSubrange(i, 1);
  }
}

void AddFile(CLI::App& app, RequestEdits& edits, const char* option, const char* field,
             void (*set)(v1::GenerateRequest&, const std::string&), const char* help) {
  app.add_option_function<std::string>(
         option,
         [&edits, option, field, set](const std::string& path) {
           edits.Add([bytes = ReadPicture(option, path), field, set](v1::GenerateRequest& r) {
             DropClaim(field, r);
             set(r, bytes);
           });
         },
         help)
      ->type_name("FILE")
      ->group(kPictures);
}

void AddControl(CLI::App& app, RequestEdits& edits) {
  app.add_option_function<std::vector<std::string>>(
         "--control",
         [&edits](const std::vector<std::string>& arguments) {
           edits.AddFirst([](v1::GenerateRequest& r, std::vector<std::string>& cleared) {
             for (int i = 0; i < r.control_size(); ++i) DropClaim("control[" + std::to_string(i) + "].image", r);
             ClearFields({"control"}, r, cleared);
           });
           for (const std::string& argument : arguments) {
             ControlArgument parsed;
             if (std::string problem = ParseControl(argument, parsed); !problem.empty()) {
               throw CLI::ValidationError("--control", problem);
             }
             edits.Add([parsed, bytes = ReadPicture("--control", parsed.file)](v1::GenerateRequest& r) {
               v1::ControlInput& control = *r.add_control();
               control.set_model(parsed.model);
               control.set_image(bytes);
               if (parsed.has_scale) control.set_scale(parsed.scale);
             });
           }
         },
         "Picture to follow, the id of a ControlNet (default: the model's only one) and its strength 0..2; may be "
         "repeated")
      ->type_name("FILE[:NET[:SCALE]]")
      ->allow_extra_args(false)
      ->group(kPictures);
}

using SetReal = void (*)(v1::GenerateRequest&, double);
using SetFlag = void (*)(v1::GenerateRequest&);
using SetEnum = void (*)(v1::GenerateRequest&, int);

void AddNumber(CLI::App& app, RequestEdits& edits, const char* name, SetReal set, const char* help) {
  AddReal(
      app, name, [&edits, set](double v) { edits.Add([set, v](v1::GenerateRequest& r) { set(r, v); }); }, help)
      ->group(kPictures);
}

void AddFlag(CLI::App& app, RequestEdits& edits, const char* name, SetFlag set, const char* help) {
  app.add_flag_function(name, [&edits, set](int64_t) { edits.Add(set); }, help)->group(kPictures);
}

void AddChoice(CLI::App& app, RequestEdits& edits, const char* name, const google::protobuf::EnumDescriptor* type,
               std::pair<SetEnum, const char*> set_and_help) {
  app.add_option_function<std::string>(
         name,
         [&edits, type, set = set_and_help.first](const std::string& text) {
           const int value = EnumNames(type).at(LowerCase(text));
           edits.Add([set, value](v1::GenerateRequest& r) { set(r, value); });
         },
         set_and_help.second)
      ->check(CLI::IsMember(EnumNames(type), CLI::ignore_case))
      ->group(kPictures);
}

void AddInpaint(CLI::App& app, RequestEdits& edits) {
  AddNumber(
      app, edits, "--mask-blur", [](v1::GenerateRequest& r, double v) { r.mutable_inpaint()->set_blur(v); },
      "Softens the mask: standard deviation in pixels, 0..64");
  AddFlag(
      app, edits, "--only-masked", [](v1::GenerateRequest& r) { r.mutable_inpaint()->set_only_masked(true); },
      "Enlarge and paint only what is around the mask, and paste it back");
  AddInt(
      app, "--mask-padding",
      [&edits](int v) { edits.Add([v](v1::GenerateRequest& r) { r.mutable_inpaint()->set_padding(v); }); },
      "How much around the mask is seen with --only-masked, pixels")
      ->group(kPictures);
  AddFlag(
      app, edits, "--invert-mask", [](v1::GenerateRequest& r) { r.mutable_inpaint()->set_invert(true); },
      "Repaint where the mask is black");
  AddFlag(
      app, edits, "--differential", [](v1::GenerateRequest& r) { r.mutable_inpaint()->set_differential(true); },
      "Grey of the mask says how much may change");
  AddChoice(app, edits, "--fill", v1::InpaintFill_descriptor(),
            {[](v1::GenerateRequest& r, int v) { r.mutable_inpaint()->set_fill(static_cast<v1::InpaintFill>(v)); },
             "What is under the mask at first"});
  AddChoice(
      app, edits, "--blend", v1::BlendDomain_descriptor(),
      {[](v1::GenerateRequest& r, int v) { r.mutable_inpaint()->set_blend_domain(static_cast<v1::BlendDomain>(v)); },
       "Where what is kept is put back"});
}

}  // namespace

std::string ParseControl(const std::string& text, ControlArgument& control) {
  control = {.file = text};
  if (Exists(text)) return "";
  const size_t last = text.rfind(':');
  if (last == std::string::npos) return text + " cannot be read";
  const std::string tail = text.substr(last + 1);
  const size_t before = text.rfind(':', last == 0 ? 0 : last - 1);
  if (before != std::string::npos && before < last && ParseNumber(tail, control.scale).empty()) {
    control.has_scale = true;
    control.file = text.substr(0, before);
    control.model = text.substr(before + 1, last - before - 1);
  } else {
    control.file = text.substr(0, last);
    control.model = tail;
  }
  return Exists(control.file) ? "" : control.file + " cannot be read";
}

void AddPictureOptions(CLI::App& app, RequestEdits& edits) {
  AddFile(
      app, edits, "--image", "init_image", [](v1::GenerateRequest& r, const std::string& v) { r.set_init_image(v); },
      "Picture to begin with: PNG, JPEG or WebP; gives the size where nothing else does");
  AddFile(
      app, edits, "--mask", "mask_image", [](v1::GenerateRequest& r, const std::string& v) { r.set_mask_image(v); },
      "What to repaint of it: white, or what is drawn on a transparent ground");
  AddNumber(
      app, edits, "--strength", [](v1::GenerateRequest& r, double v) { r.set_strength(v); },
      "How much of it may change, above 0, at most 1");
  AddChoice(app, edits, "--resize", v1::ResizeMode_descriptor(),
            {[](v1::GenerateRequest& r, int v) { r.set_resize_mode(static_cast<v1::ResizeMode>(v)); },
             "How pictures are brought to --width and --height"});
  AddNumber(
      app, edits, "--image-guidance", [](v1::GenerateRequest& r, double v) { r.set_image_guidance_scale(v); },
      "How closely models that follow instructions keep to it, 0..30");
  AddFlag(
      app, edits, "--invert", [](v1::GenerateRequest& r) { r.set_invert(true); },
      "Begin with the noise that it would be painted from");
  AddInpaint(app, edits);
  AddControl(app, edits);
}

}  // namespace stepcast::cli
