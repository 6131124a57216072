#pragma once
// What is left of a painting call, over as many attempts as it takes.

#include <map>
#include <set>
#include <string>

#include "stepcast/v1/image_generation.pb.h"

namespace stepcast::cli {

// Indices of pictures are those of the whole call; an attempt may ask for one of them alone. A call of which there are
// tokens goes on with its missing pictures, one after the other; without any the whole request is sent again, with the
// seed that the server chose.
class Unfinished {
 public:
  explicit Unfinished(stepcast::v1::GenerateRequest request);

  // What the attempt asks for.
  const stepcast::v1::GenerateRequest& request() const { return request_; }

  // The picture that the attempt calls `told`.
  int IndexOf(int told) const { return alone_ < 0 ? told : alone_; }

  // Whether it is the first of the whole call. Its request counts.
  bool Accept(const stepcast::v1::Accepted& accepted);
  // "" changes nothing: the last checkpoint is the newest.
  void KeepToken(int index, const std::string& token);
  // The picture is whole; false if it was already.
  bool Finish(int index);
  bool finished(int index) const { return done_.count(index) != 0; }

  // The server refuses the token; false where none was sent that an earlier attempt had brought.
  bool DropToken();
  // Makes the next attempt's request.
  void Restart();
  // Pictures that are missing; none before a server has accepted.
  int missing() const;
  // Whether the attempt, which ended well, was for one picture of several, and others are missing.
  bool more() const { return alone_ >= 0 && finished(alone_) && missing() > 0; }
  // Of a picture that the next attempt goes on with from a token.
  bool has_token() const { return !request_.resume_token().empty(); }

 private:
  int FirstMissing() const;

  stepcast::v1::GenerateRequest request_;
  bool accepted_ = false;
  int64_t seed_ = 0;  // of the whole call
  int count_ = 0;
  int alone_ = -1;  // the one picture that the attempt asks for
  std::set<int> done_;
  std::map<int, std::string> tokens_;
};

}  // namespace stepcast::cli
