#include "clients/cli/files/picture_files.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <utility>

namespace stepcast::cli {
namespace {

// Servers allow far fewer; they, not this program, refuse absurd counts.
constexpr int kMaxChecked = 64;

}  // namespace

std::string OutputPath(const std::string& output, int image_index, int image_count) {
  if (image_count <= 1) return output;
  std::filesystem::path path(output);
  const std::string extension = path.extension().string();
  path.replace_extension();
  return path.string() + "-" + std::to_string(image_index) + extension;
}

PictureFiles::PictureFiles(Plan plan) : plan_(std::move(plan)) {}

PictureFiles::~PictureFiles() {
  for (auto& [index, file] : previews_) file.RemoveIfMade();
}

OutputFile& PictureFiles::Picture(int image_index) {
  return pictures_.try_emplace(image_index, OutputPath(plan_.output, image_index, plan_.count)).first->second;
}

OutputFile& PictureFiles::Preview(int image_index) {
  std::filesystem::path path(OutputPath(plan_.output, image_index, plan_.count));
  path.replace_extension(".preview" + plan_.preview_extension);
  return previews_.try_emplace(image_index, path.string()).first->second;
}

// What one stream of bytes is not good for.
std::string PictureFiles::CheckStream(const OutputFile& file) const {
  if (plan_.count > 1) return "-o " + file.name() + " is one stream; several pictures (--count) need a file name";
  if (file.is_stdout() && !plan_.preview_extension.empty()) {
    return "-o " + file.name() + " leaves no file name for the previews of --watch: name a file";
  }
  if (file.is_stdout() && isatty(STDOUT_FILENO) == 1) {
    return "a picture is no text for a terminal: name a file with -o, or redirect standard output";
  }
  return "";
}

PictureFiles::Verdict PictureFiles::Check() {
  std::error_code ignored;  // what cannot be looked at is found out below
  const auto status = std::filesystem::status(plan_.output, ignored);
  const bool special = plan_.output == "-" || std::filesystem::is_other(status);
  OutputFile named(plan_.output);
  // Said before waiting for the reader of a pipe.
  if (special && plan_.count > 1) return {CheckStream(named), true};
  if (special || plan_.count <= 1) {
    OutputFile& file = pictures_.try_emplace(0, plan_.output).first->second;
    if (std::string problem = file.Check(); !problem.empty()) return {problem};
    use_stdout_ = file.is_stdout();
    if (file.is_stream()) {
      if (std::string problem = CheckStream(file); !problem.empty()) return {problem, true};
    }
  }
  for (int i = 0; i < std::min(plan_.count, kMaxChecked); ++i) {
    if (std::string problem = Picture(i).Check(); !problem.empty()) return {problem};
    if (plan_.preview_extension.empty()) continue;
    if (std::string problem = Preview(i).Check(); !problem.empty()) return {problem};
  }
  return {};
}

std::string PictureFiles::WritePicture(int image_index, std::string_view bytes, std::string& name) {
  OutputFile& file = Picture(image_index);
  name = file.name();
  return file.Write(bytes);
}

std::string PictureFiles::WritePreview(int image_index, std::string_view bytes) {
  return Preview(image_index).Write(bytes);
}

void PictureFiles::RemovePreview(int image_index) {
  if (!plan_.preview_extension.empty()) Preview(image_index).RemoveIfMade();
}

}  // namespace stepcast::cli
