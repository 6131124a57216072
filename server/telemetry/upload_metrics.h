#pragma once
// Pictures that come with requests, as Prometheus series.

#include <cstdint>

#include "absl/time/time.h"

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
class Registry;
}  // namespace prometheus

namespace stepcast {

// Thread-safety: all methods may be called from any thread.
class UploadMetrics {
 public:
  // `registry` must outlive this.
  explicit UploadMetrics(prometheus::Registry& registry);

  // Bytes of files and of what is kept of them.
  void SetHeld(int64_t bytes);
  // Requests whose pictures wait to be decoded: one more or one less.
  void AddWaiting(int by);
  // The pictures of a request were read, or refused for what they are.
  void CountRead(bool ok, absl::Duration spent);
  // There was no room for them.
  void CountNoRoom();

 private:
  prometheus::Gauge& held_;
  prometheus::Gauge& waiting_;
  prometheus::Counter& read_;
  prometheus::Counter& refused_;
  prometheus::Counter& no_room_;
  prometheus::Histogram& seconds_;
};

}  // namespace stepcast
