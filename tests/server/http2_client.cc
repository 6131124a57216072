#include "tests/server/http2_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace stepcast {
namespace {

constexpr char kPreface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr size_t kFrameHeader = 9;
constexpr size_t kMaxPayload = 16384;

std::string BigEndian(uint32_t value, int bytes) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) text += static_cast<char>(value >> (8 * i));
  return text;
}

uint32_t FromBigEndian(std::string_view text) {
  uint32_t value = 0;
  for (const char c : text) value = value << 8 | static_cast<uint8_t>(c);
  return value;
}

// HPACK's integer with seven bits of prefix.
std::string HpackSize(size_t size) {
  if (size < 127) return {static_cast<char>(size)};
  std::string text = "\x7f";
  for (size -= 127; size >= 128; size >>= 7) text += static_cast<char>((size & 0x7f) | 0x80);
  return text + static_cast<char>(size);
}

// HPACK's "literal, never put into the table".
std::string Literal(const std::string& name, const std::string& value) {
  return std::string(1, '\0') + HpackSize(name.size()) + name + HpackSize(value.size()) + value;
}

// What Handle answers, and no caller waits for.
bool IsDealtWith(const Frame& frame) {
  return frame.type == FrameType::kSettings || frame.type == FrameType::kWindowUpdate ||
         (frame.type == FrameType::kPing && (frame.flags & kAck) == 0);
}

}  // namespace

Http2Client::Http2Client(int port) {
  fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const timeval patience{.tv_sec = 20, .tv_usec = 0};
  setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  const int at_once = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof(at_once));
  const std::string hello(kPreface);
  if (connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof(to)) != 0 ||
      send(fd_, hello.data(), hello.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(hello.size()) ||
      !Send({.type = FrameType::kSettings})) {
    close(fd_);
    fd_ = -1;
  }
}

Http2Client::~Http2Client() {
  if (fd_ >= 0) close(fd_);
}

bool Http2Client::Send(const Frame& frame) {
  std::string bytes = BigEndian(static_cast<uint32_t>(frame.payload.size()), 3);
  bytes += static_cast<char>(frame.type);
  bytes += static_cast<char>(frame.flags);
  bytes += BigEndian(frame.stream, 4) + frame.payload;
  for (size_t sent = 0; sent < bytes.size();) {
    const ssize_t n = send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) return false;
    sent += static_cast<size_t>(n);
  }
  return true;
}

bool Http2Client::StartCall(uint32_t stream, std::string_view method,
                            const std::vector<std::pair<std::string, std::string>>& headers) {
  std::string block = Literal(":method", "POST") + Literal(":scheme", "http") + Literal(":path", std::string(method)) +
                      Literal(":authority", "localhost") + Literal("te", "trailers") +
                      Literal("content-type", "application/grpc");
  for (const auto& [name, value] : headers) block += Literal(name, value);
  stream_window_ = initial_window_;
  for (bool first = true; first || !block.empty(); first = false) {
    const std::string part = block.substr(0, kMaxPayload);
    block.erase(0, part.size());
    if (!Send({.type = first ? FrameType::kHeaders : FrameType::kContinuation,
               .flags = block.empty() ? kEndHeaders : uint8_t{0},
               .stream = stream,
               .payload = part})) {
      return false;
    }
  }
  return true;
}

bool Http2Client::SendMessage(uint32_t stream, bool compressed, std::string_view bytes, bool end) {
  std::string message(1, compressed ? '\1' : '\0');
  message += BigEndian(static_cast<uint32_t>(bytes.size()), 4);
  message += bytes;
  return SendData(stream, message, end);
}

bool Http2Client::SendPart(uint32_t stream, uint32_t size, std::string_view bytes) {
  std::string message(1, '\0');
  message += BigEndian(size, 4);
  message += bytes;
  return SendData(stream, message, /*end=*/false);
}

bool Http2Client::SendData(uint32_t stream, std::string_view rest, bool end) {
  size_t sent = 0;
  while (sent < rest.size()) {
    while (std::min(window_, stream_window_) <= 0) {
      std::optional<Frame> frame = Read();
      if (!frame.has_value()) return false;
      Handle(*frame);
      if (IsDealtWith(*frame)) continue;
      waiting_.push_back(*std::move(frame));
      return false;
    }
    const size_t room = static_cast<size_t>(std::min(window_, stream_window_));
    const size_t size = std::min({rest.size() - sent, kMaxPayload, room});
    const bool last = end && sent + size == rest.size();
    if (!Send({.type = FrameType::kData,
               .flags = last ? kEndStream : uint8_t{0},
               .stream = stream,
               .payload = std::string(rest.substr(sent, size))})) {
      return false;
    }
    sent += size;
    window_ -= static_cast<int64_t>(size);
    stream_window_ -= static_cast<int64_t>(size);
  }
  return true;
}

std::optional<Frame> Http2Client::Receive() {
  if (!waiting_.empty()) {
    const Frame frame = std::move(waiting_.front());
    waiting_.pop_front();
    return frame;
  }
  while (std::optional<Frame> frame = Read()) {
    Handle(*frame);
    if (!IsDealtWith(*frame)) return frame;
  }
  return std::nullopt;
}

std::string Http2Client::ReceiveUntilEnd(uint32_t stream) {
  std::string all;
  while (const std::optional<Frame> frame = Receive()) {
    if (frame->stream != stream && frame->stream != 0) continue;
    all += frame->payload;
    const bool ends = frame->type == FrameType::kData || frame->type == FrameType::kHeaders;
    if (frame->type == FrameType::kReset || frame->type == FrameType::kGoAway) break;
    if (ends && (frame->flags & kEndStream) != 0) break;
  }
  return all;
}

std::optional<Frame> Http2Client::Read() {
  const auto fill = [this](std::string& buffer) {
    if (buffer.empty()) return true;
    const ssize_t n = recv(fd_, buffer.data(), buffer.size(), MSG_WAITALL);
    timed_out_ = n < 0 && errno == EAGAIN;
    return n == static_cast<ssize_t>(buffer.size());
  };
  std::string head(kFrameHeader, '\0');
  if (fd_ < 0 || !fill(head)) return std::nullopt;
  Frame frame{.type = static_cast<FrameType>(head[3]),
              .flags = static_cast<uint8_t>(head[4]),
              .stream = FromBigEndian(std::string_view(head).substr(5)) & 0x7fffffff};
  frame.payload.resize(FromBigEndian(std::string_view(head).substr(0, 3)));
  if (!fill(frame.payload)) return std::nullopt;
  return frame;
}

void Http2Client::Handle(const Frame& frame) {
  if (frame.type == FrameType::kWindowUpdate)
    (frame.stream == 0 ? window_ : stream_window_) += FromBigEndian(frame.payload);
  if ((frame.flags & kAck) != 0) return;
  if (frame.type == FrameType::kSettings) {
    for (size_t i = 0; i + 6 <= frame.payload.size(); i += 6) {
      const std::string_view entry = std::string_view(frame.payload).substr(i, 6);
      constexpr uint32_t kInitialWindow = 4;
      if (FromBigEndian(entry.substr(0, 2)) == kInitialWindow) {
        stream_window_ += static_cast<int64_t>(FromBigEndian(entry.substr(2))) - initial_window_;
        initial_window_ = FromBigEndian(entry.substr(2));
      }
    }
    Send({.type = FrameType::kSettings, .flags = kAck});
  }
  if (frame.type == FrameType::kPing) Send({.type = FrameType::kPing, .flags = kAck, .payload = frame.payload});
}

}  // namespace stepcast
