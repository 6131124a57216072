#pragma once
// What a Generate call has told so far, and what is told of it.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "clients/cli/commands/generate.h"
#include "clients/cli/files/picture_files.h"
#include "clients/cli/views/progress_bar.h"
#include "stepcast/v1/image_generation.pb.h"

namespace stepcast::cli {

class GenerateSession {
 public:
  // All must outlive it.
  GenerateSession(const GenerateOptions& options, PictureFiles& files, ProgressBar& bar)
      : options_(options), files_(files), bar_(bar) {}

  // Takes one event. Returns false when it cannot go on: a file could not be written, and stderr says so.
  bool On(const stepcast::v1::GenerateResponse& response);

  // Whether every picture has come. REQUIRES: the call ended with OK.
  bool Complete() const;

  // Tells the user what was made: on stdout, or on stderr when the picture went to stdout.
  void Report() const;

 private:
  struct Image {
    std::string path;
    stepcast::v1::ImageChunk chunk;  // the last one, without data
    int64_t bytes = 0;
  };

  bool OnAccepted(const stepcast::v1::Accepted& accepted);
  bool OnProgress(const stepcast::v1::Progress& progress);
  bool OnChunk(const stepcast::v1::ImageChunk& chunk);
  // Tells `problem`, unless it is "". Returns whether it is.
  bool Fine(const std::string& problem);
  nlohmann::json AsJson() const;

  const GenerateOptions& options_;
  PictureFiles& files_;
  ProgressBar& bar_;
  stepcast::v1::Accepted accepted_;
  stepcast::v1::Completed completed_;
  std::map<int, std::string> partial_;
  std::vector<Image> images_;
};

}  // namespace stepcast::cli
