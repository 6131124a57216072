#pragma once
// Spans of time on the wire.

#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"

namespace stepcast {

// Rounded towards zero to nanoseconds. REQUIRES: finite.
inline google::protobuf::Duration ToProto(absl::Duration span) {
  google::protobuf::Duration proto;
  proto.set_seconds(absl::IDivDuration(span, absl::Seconds(1), &span));
  proto.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(span)));
  return proto;
}

}  // namespace stepcast
