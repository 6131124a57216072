#include "clients/cli/views/progress_bar.h"

#include <unistd.h>

#include <algorithm>

namespace stepcast::cli {

std::string RenderBar(int done, int total, int queue_position, double eta_s) {
  constexpr int kWidth = 28;
  if (queue_position > 0) return "waiting, " + std::to_string(queue_position) + " ahead";
  const double fraction = total > 0 ? std::clamp(static_cast<double>(done) / total, 0.0, 1.0) : 0.0;
  const int filled = static_cast<int>(fraction * kWidth);
  char tail[64];
  std::snprintf(tail, sizeof(tail), "] %3.0f %%  %d/%d", fraction * 100, done, total);
  std::string line = "[" + std::string(filled, '#') + std::string(kWidth - filled, '-') + tail;
  if (eta_s >= 0) {
    std::snprintf(tail, sizeof(tail), "  %.1f s left", eta_s);
    line += tail;
  }
  return line;
}

ProgressBar::ProgressBar(std::FILE* out) : out_(out), terminal_(isatty(fileno(out)) == 1) {}

ProgressBar::~ProgressBar() { Clear(); }

void ProgressBar::Update(int image_index, int done, int total, int queue_position, double eta_s) {
  if (!terminal_ || image_index < 0) return;
  if (pictures_.size() <= static_cast<size_t>(image_index)) pictures_.resize(image_index + 1);
  pictures_[image_index] = {done, total};
  Picture sum;
  for (const Picture& picture : pictures_) {
    sum.done += picture.done;
    sum.total += picture.total;
  }
  std::fprintf(out_, "\r\033[K%s", RenderBar(sum.done, sum.total, queue_position, eta_s).c_str());
  std::fflush(out_);
  drawn_ = true;
}

void ProgressBar::Clear() {
  if (!drawn_) return;
  std::fprintf(out_, "\r\033[K");
  std::fflush(out_);
  drawn_ = false;
}

}  // namespace stepcast::cli
