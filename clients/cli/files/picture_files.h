#pragma once
// The files of one `stepcast generate`: pictures, and the previews beside them.

#include <map>
#include <string>
#include <string_view>

#include "clients/cli/files/output_file.h"

namespace stepcast::cli {

// "out/apple.png" -> "out/apple-2.png" for picture 2 of several; unchanged for a single one.
std::string OutputPath(const std::string& output, int image_index, int image_count);

// Every other function that can fail returns "" or the reason.
class PictureFiles {
 public:
  struct Plan {
    std::string output;             // "apple.png", "-"
    int count = 1;                  // pictures
    std::string preview_extension;  // ".jpg" for "apple.preview.jpg"; "": no previews
  };

  explicit PictureFiles(Plan plan);
  // Removes the previews: they are only for the time of painting.
  ~PictureFiles();

  struct Verdict {
    std::string problem;  // "": none
    bool usage = false;   // what was asked for makes no sense, whatever the disk says
  };

  // Whether all can be written, before anything is painted.
  Verdict Check();

  // Tells how the picture's file is called in `name`.
  std::string WritePicture(int image_index, std::string_view bytes, std::string& name);
  std::string WritePreview(int image_index, std::string_view bytes);
  void RemovePreview(int image_index);

  // Known after Check(): pictures go to stdout, so nothing else may.
  bool use_stdout() const { return use_stdout_; }

 private:
  OutputFile& Picture(int image_index);
  OutputFile& Preview(int image_index);
  std::string CheckStream(const OutputFile& file) const;

  const Plan plan_;
  std::map<int, OutputFile> pictures_;
  std::map<int, OutputFile> previews_;
  bool use_stdout_ = false;
};

}  // namespace stepcast::cli
