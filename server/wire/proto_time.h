#pragma once
// Times and spans of time on the wire.

#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"

namespace stepcast {

// Rounded towards zero to nanoseconds. REQUIRES: finite.
inline google::protobuf::Duration ToProto(absl::Duration span) {
  google::protobuf::Duration proto;
  proto.set_seconds(absl::IDivDuration(span, absl::Seconds(1), &span));
  proto.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(span)));
  return proto;
}

// As above. REQUIRES: finite.
inline google::protobuf::Timestamp ToProto(absl::Time time) {
  const google::protobuf::Duration since = ToProto(time - absl::UnixEpoch());
  google::protobuf::Timestamp proto;
  proto.set_seconds(since.seconds());
  proto.set_nanos(since.nanos());
  return proto;
}

}  // namespace stepcast
