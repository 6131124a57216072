#include "clients/cli/files/output_format.h"

#include <filesystem>
#include <map>

#include "clients/cli/views/enum_names.h"

namespace stepcast::cli {
namespace {

namespace v1 = ::stepcast::v1;

const std::map<std::string, v1::ImageFormat> kExtensions = {{".png", v1::IMAGE_FORMAT_PNG},
                                                            {".jpg", v1::IMAGE_FORMAT_JPEG},
                                                            {".jpeg", v1::IMAGE_FORMAT_JPEG},
                                                            {".webp", v1::IMAGE_FORMAT_WEBP}};

}  // namespace

std::string SettleFormat(const std::string& output, v1::ImageFormat asked, v1::ImageFormat& format) {
  format = asked;
  const std::string extension = LowerCase(std::filesystem::path(output).extension().string());
  if (output == "-" || extension.empty() || extension == ".") return "";
  const auto known = kExtensions.find(extension);
  if (known == kExtensions.end()) {
    if (asked != v1::IMAGE_FORMAT_UNSPECIFIED) return "";
    return "-o " + output + ": no picture can be written as " + extension +
           "; allowed: .png, .jpg, .jpeg, .webp, or any name with --format";
  }
  if (asked == v1::IMAGE_FORMAT_UNSPECIFIED) format = known->second;
  if (format == known->second) return "";
  return "-o " + output + " and --format " + EnumName(v1::ImageFormat_descriptor(), asked) +
         " contradict each other; leave --format away, or change the name";
}

std::string ExtensionOf(v1::ImageFormat format) {
  switch (format) {
    case v1::IMAGE_FORMAT_JPEG:
      return ".jpg";
    case v1::IMAGE_FORMAT_WEBP:
      return ".webp";
    default:
      return ".png";
  }
}

}  // namespace stepcast::cli
