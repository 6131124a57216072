#pragma once
// What systemd (Type=notify) and its kin are told: one datagram a message, to the socket that NOTIFY_SOCKET names.

#include <memory>
#include <string>
#include <string_view>

#include "absl/time/time.h"

namespace stepcast {

// Where the process was not started by one, every method does nothing.
//
// Thread-safety: methods belong to one thread.
class ServiceManager {
 public:
  struct Environment {
    std::string socket = {};  // NOTIFY_SOCKET: a path, or "@name" for an abstract one; "": there is nobody to tell
    std::string watchdog_usec = {};  // WATCHDOG_USEC
    std::string watchdog_pid = {};   // WATCHDOG_PID
  };

  // Reads the environment of the process.
  static Environment FromProcess();

  explicit ServiceManager(const Environment& environment);
  ~ServiceManager();

  ServiceManager(const ServiceManager&) = delete;
  ServiceManager& operator=(const ServiceManager&) = delete;

  void Ready();
  void Reloading();  // Ready follows
  void Stopping();
  void Status(std::string_view words);

  // Says once in half of the watchdog's time that all is well, as long as it is called: with `live` false it is silent,
  // and after the whole time the manager starts the process anew.
  void Watch(bool live, absl::Time now);

  // How often it must be told; infinite without a watchdog.
  absl::Duration watchdog() const { return watchdog_; }

 private:
  void Tell(const std::string& message);

  int socket_ = -1;
  std::string address_ = {};  // of sendto: a leading NUL for an abstract one
  absl::Duration watchdog_ = absl::InfiniteDuration();
  absl::Time told_ = absl::InfinitePast();
};

}  // namespace stepcast
