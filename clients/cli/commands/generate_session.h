#pragma once
// What a painting call has told so far, over as many attempts as it takes, and what is told of it.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "clients/cli/commands/generate.h"
#include "clients/cli/commands/unfinished.h"
#include "clients/cli/files/picture_files.h"
#include "clients/cli/views/progress_bar.h"
#include "stepcast/v1/image_generation.pb.h"

namespace stepcast::cli {

class GenerateSession {
 public:
  // All must outlive it.
  GenerateSession(const GenerateOptions& options, PictureFiles& files, ProgressBar& bar)
      : options_(options), files_(files), bar_(bar), unfinished_(options.request) {}

  // What the next attempt asks for.
  const stepcast::v1::GenerateRequest& request() const { return unfinished_.request(); }
  // Whether the server has begun to answer the attempt.
  bool started() const { return started_; }

  // Takes one event. Returns false when it cannot go on: a file could not be written, and stderr says so.
  bool On(const stepcast::v1::GenerateResponse& response);

  // Whether every picture has come. REQUIRES: the attempt ended with OK.
  bool Complete() const;
  // Whether other pictures are to be asked for. REQUIRES: the attempt ended with OK.
  bool More() const { return unfinished_.more(); }
  // Makes another attempt; `failure`: why, "" where only other pictures are left; `host`: whom it asks.
  void Restart(const std::string& failure, const std::string& host);
  // The server refuses the token of the attempt; false where there was none of an earlier one.
  bool DropToken() { return unfinished_.DropToken(); }

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
  bool OnPreview(const stepcast::v1::Preview& preview);
  template <typename Message>  // Parked or Checkpoint
  bool OnToken(const Message& message);
  bool OnChunk(const stepcast::v1::ImageChunk& chunk);
  // Tells `problem`, unless it is "". Returns whether it is.
  bool Fine(const std::string& problem);
  nlohmann::json AsJson() const;

  const GenerateOptions& options_;
  PictureFiles& files_;
  ProgressBar& bar_;
  stepcast::v1::Accepted accepted_;
  stepcast::v1::Completed completed_;
  bool started_ = false;
  int attempts_ = 1;
  int64_t evaluations_ = 0;  // told, of all attempts
  stepcast::v1::Cost cost_;  // likewise
  std::map<int, int> done_;  // evaluations, by picture, of those that a token holds
  Unfinished unfinished_;
  std::map<int, std::string> partial_;
  std::vector<Image> images_;
};

}  // namespace stepcast::cli
