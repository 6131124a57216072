#include "server/process/service_manager.h"

#include <grpc/support/time.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/string_view.h"
#include "server/config/environment.h"

namespace stepcast {
namespace {

// RELOADING=1 goes with the machine's monotonic clock, by which systemd orders it and the READY=1 that follows.
int64_t MonotonicMicros() {
  const gpr_timespec now = gpr_now(GPR_CLOCK_MONOTONIC);
  return int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
}

}  // namespace

ServiceManager::Environment ServiceManager::FromProcess() {
  return {.socket = EnvironmentVariable("NOTIFY_SOCKET"),
          .watchdog_usec = EnvironmentVariable("WATCHDOG_USEC"),
          .watchdog_pid = EnvironmentVariable("WATCHDOG_PID")};
}

ServiceManager::ServiceManager(const Environment& environment) {
  const bool usable = environment.socket.size() > 1 && environment.socket.size() < sizeof(sockaddr_un::sun_path) &&
                      (environment.socket[0] == '/' || environment.socket[0] == '@');
  if (!usable) return;
  address_ = environment.socket;
  if (address_[0] == '@') address_[0] = '\0';
  // A manager that does not read must not hold the server up.
  socket_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  int64_t micros = 0;
  int64_t pid = 0;
  const bool ours = environment.watchdog_pid.empty() ||
                    (absl::SimpleAtoi(environment.watchdog_pid, &pid) && pid == static_cast<int64_t>(getpid()));
  if (ours && absl::SimpleAtoi(environment.watchdog_usec, &micros) && micros > 0)
    watchdog_ = absl::Microseconds(micros);
}

ServiceManager::~ServiceManager() {
  if (socket_ >= 0) close(socket_);
}

void ServiceManager::Tell(const std::string& message) {
  if (socket_ < 0) return;
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  std::memcpy(to.sun_path, address_.data(), address_.size());
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size());
  // Whether it arrives is the manager's business: without READY=1 it ends the process, which is its answer to a broken
  // socket, too.
  [[maybe_unused]] const ssize_t sent =
      sendto(socket_, message.data(), message.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&to), size);
}

void ServiceManager::Ready() { Tell("READY=1\nSTATUS=serving"); }

void ServiceManager::Reloading() {
  Tell(absl::StrCat("RELOADING=1\nMONOTONIC_USEC=", MonotonicMicros(), "\nSTATUS=reading the configuration again"));
}

void ServiceManager::Stopping() { Tell("STOPPING=1\nSTATUS=draining"); }

void ServiceManager::Status(std::string_view words) { Tell(absl::StrCat("STATUS=", ToAbsl(words))); }

void ServiceManager::Watch(bool live, absl::Time now) {
  if (!live || now - told_ < watchdog_ / 2) return;
  told_ = now;
  Tell("WATCHDOG=1");
}

}  // namespace stepcast
