#pragma once
// Just enough of an HTTP/2 client to send what no well-behaved gRPC client sends.

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace stepcast {

enum class FrameType : uint8_t {
  kData = 0,
  kHeaders = 1,
  kReset = 3,
  kSettings = 4,
  kPing = 6,
  kGoAway = 7,
  kWindowUpdate = 8,
  kContinuation = 9
};

struct Frame {
  FrameType type = FrameType::kData;
  uint8_t flags = 0;
  uint32_t stream = 0;
  std::string payload = {};
};

inline constexpr uint8_t kEndStream = 1;
inline constexpr uint8_t kAck = 1;
inline constexpr uint8_t kEndHeaders = 4;

// One plaintext connection to 127.0.0.1. Blocking; an answer that does not come within 20 s counts as the end.
class Http2Client {
 public:
  explicit Http2Client(int port);
  ~Http2Client();
  Http2Client(const Http2Client&) = delete;
  Http2Client& operator=(const Http2Client&) = delete;

  bool connected() const { return fd_ >= 0; }
  // Whether the end that was told was none: nothing came.
  bool timed_out() const { return timed_out_; }

  // False when the peer is gone.
  bool Send(const Frame& frame);
  // Opens `stream` with a call of `method` ("/package.Service/Method") and further headers.
  bool StartCall(uint32_t stream, std::string_view method,
                 const std::vector<std::pair<std::string, std::string>>& headers = {});
  // One gRPC message, as large as it may be: waits for the peer to open its window, or to answer before all is sent,
  // which returns false. `end` closes our side.
  bool SendMessage(uint32_t stream, bool compressed, std::string_view bytes, bool end = true);
  // The beginning of a message that claims to have `size` bytes.
  bool SendPart(uint32_t stream, uint32_t size, std::string_view bytes);

  // The next frame but settings, pings and window updates of the peer, which are dealt with here; nullopt at the end.
  std::optional<Frame> Receive();
  // All that comes until the peer's side of `stream` ends, headers and data as they came, one after the other; what
  // comes when the connection ends first too.
  std::string ReceiveUntilEnd(uint32_t stream);

 private:
  bool SendData(uint32_t stream, std::string_view bytes, bool end);
  std::optional<Frame> Read();
  void Handle(const Frame& frame);

  int fd_ = -1;
  bool timed_out_ = false;
  std::deque<Frame> waiting_;      // read while sending
  int64_t window_ = 65535;         // what we may send, on the connection
  int64_t stream_window_ = 65535;  // and on the stream that sends
  int64_t initial_window_ = 65535;
};

}  // namespace stepcast
