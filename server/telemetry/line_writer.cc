#include "server/telemetry/line_writer.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <thread>
#include <utility>

#include "core/clock.h"

namespace stepcast {
namespace {

// Until all of it is out; false when nobody will ever read it: the pipe is broken, the disk full.
bool WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<size_t>(written));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      pollfd writable{.fd = fd, .events = POLLOUT, .revents = 0};
      poll(&writable, 1, -1);
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

}  // namespace

LineWriter& LineWriter::Start(int fd) {
  auto* const writer = new LineWriter(fd);
  std::thread([writer] { writer->Run(); }).detach();
  return *writer;
}

void LineWriter::Write(std::string line) {
  MutexLock lock(mutex_);
  if (lines_.size() >= kMaxLines || bytes_ + line.size() > kMaxBytes) {
    ++dropped_;
    return;
  }
  bytes_ += line.size();
  lines_.push_back(std::move(line));
  filled_.NotifyOne();
}

bool LineWriter::Flush(absl::Duration patience) {
  const absl::Time end = RealClock().Now() + patience;
  MutexLock lock(mutex_);
  while (!lines_.empty()) {
    const absl::Duration left = end - RealClock().Now();
    if (left <= absl::ZeroDuration()) return false;
    emptied_.WaitFor(mutex_, left);
  }
  return true;
}

int64_t LineWriter::dropped() const {
  MutexLock lock(mutex_);
  return dropped_;
}

void LineWriter::Run() {
  while (true) {
    std::string line;
    {
      MutexLock lock(mutex_);
      while (lines_.empty()) filled_.Wait(mutex_);
      line = lines_.front();
    }
    const bool written = WriteAll(fd_, line);
    MutexLock lock(mutex_);
    if (!written) ++dropped_;
    bytes_ -= line.size();
    lines_.pop_front();
    if (lines_.empty()) emptied_.NotifyAll();
  }
}

}  // namespace stepcast
