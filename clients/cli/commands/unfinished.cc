#include "clients/cli/commands/unfinished.h"

#include <algorithm>
#include <utility>

namespace stepcast::cli {

namespace v1 = ::stepcast::v1;

Unfinished::Unfinished(v1::GenerateRequest request) : request_(std::move(request)) {
  if (has_token()) tokens_[0] = request_.resume_token();
}

bool Unfinished::Accept(const v1::Accepted& accepted) {
  if (alone_ >= 0) return false;
  const bool first = !accepted_;
  accepted_ = true;
  seed_ = accepted.request().seed();
  count_ = accepted.request().has_image_count() ? accepted.request().image_count() : 1;
  return first;
}

void Unfinished::KeepToken(int index, const std::string& token) {
  if (!token.empty() && !finished(index)) tokens_[index] = token;
}

bool Unfinished::Finish(int index) {
  tokens_.erase(index);
  return done_.insert(index).second;
}

bool Unfinished::DropToken() { return alone_ >= 0 && tokens_.erase(alone_) > 0; }

void Unfinished::Restart() {
  if (!accepted_) return;
  request_.set_seed(seed_);
  if (tokens_.empty() && alone_ < 0) return;
  // None is missing where only the end of the call was lost.
  const int missing = FirstMissing();
  alone_ = missing >= 0 ? missing : std::max(alone_, 0);
  request_.set_seed(seed_ + alone_);
  request_.set_image_count(1);
  const auto token = tokens_.find(alone_);
  request_.set_resume_token(token == tokens_.end() ? "" : token->second);
}

int Unfinished::missing() const { return count_ - static_cast<int>(done_.size()); }

int Unfinished::FirstMissing() const {
  for (int index = 0; index < count_; ++index) {
    if (!finished(index)) return index;
  }
  return -1;
}

}  // namespace stepcast::cli
