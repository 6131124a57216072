#pragma once
// One line on the terminal that shows how far the pictures are.

#include <cstdio>
#include <string>
#include <vector>

namespace stepcast::cli {

// Draws to a stream while it is a terminal; silent otherwise.
class ProgressBar {
 public:
  // `out` is usually stderr, so that stdout stays clean for --json.
  explicit ProgressBar(std::FILE* out);
  ~ProgressBar();

  // One picture's evaluations. `eta_s` < 0: unknown; `queue_position` > 0: still waiting.
  void Update(int image_index, int done, int total, int queue_position, double eta_s);

  // Clears the line, so that other output may follow.
  void Clear();

 private:
  struct Picture {
    int done = 0;
    int total = 0;
  };

  std::FILE* const out_;
  const bool terminal_;
  bool drawn_ = false;
  std::vector<Picture> pictures_;
};

// "[#######-------------]  35 %  7/20  2.1 s left", without colour; a pure function, for tests.
std::string RenderBar(int done, int total, int queue_position, double eta_s);

}  // namespace stepcast::cli
