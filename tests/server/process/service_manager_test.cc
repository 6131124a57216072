#include "server/process/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace stepcast {
namespace {

// What a manager would read.
class ServiceManagerTest : public testing::Test {
 protected:
  ServiceManagerTest() {
    path_ = absl::StrCat("/tmp/stepcast_notify_", getpid(), ".sock");
    unlink(path_.c_str());
    socket_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    std::strncpy(at.sun_path, path_.c_str(), sizeof(at.sun_path) - 1);
    EXPECT_EQ(bind(socket_, reinterpret_cast<const sockaddr*>(&at), sizeof(at)), 0);
  }
  ~ServiceManagerTest() override {
    close(socket_);
    unlink(path_.c_str());
  }

  // "" when nothing came.
  std::string Next() const {
    char buffer[512];
    const ssize_t size = recv(socket_, buffer, sizeof(buffer), 0);
    return size < 0 ? "" : std::string(buffer, static_cast<size_t>(size));
  }

  std::string path_;
  int socket_ = -1;
};

TEST_F(ServiceManagerTest, StatesAreTold) {
  ServiceManager manager({.socket = path_});
  manager.Ready();
  EXPECT_EQ(Next(), "READY=1\nSTATUS=serving");
  manager.Reloading();
  EXPECT_THAT(Next(), testing::MatchesRegex("RELOADING=1\nMONOTONIC_USEC=[0-9]+\nSTATUS=.*"));
  manager.Stopping();
  EXPECT_EQ(Next(), "STOPPING=1\nSTATUS=draining");
}

TEST_F(ServiceManagerTest, TheWatchdogHearsOfALiveServerInTime) {
  ServiceManager manager({.socket = path_, .watchdog_usec = "10000000", .watchdog_pid = absl::StrCat(getpid())});
  EXPECT_EQ(manager.watchdog(), absl::Seconds(10));
  const absl::Time start = absl::UnixEpoch();
  manager.Watch(true, start);
  EXPECT_EQ(Next(), "WATCHDOG=1");
  manager.Watch(true, start + absl::Seconds(4));
  EXPECT_EQ(Next(), "") << "not more often than needed";
  manager.Watch(true, start + absl::Seconds(5));
  EXPECT_EQ(Next(), "WATCHDOG=1");
  manager.Watch(false, start + absl::Seconds(60));
  EXPECT_EQ(Next(), "") << "a server that stalls is to be started anew";
}

TEST_F(ServiceManagerTest, AWatchdogOfAnotherProcessIsNotOurs) {
  EXPECT_EQ(ServiceManager({.socket = path_, .watchdog_usec = "1000000", .watchdog_pid = "1"}).watchdog(),
            absl::InfiniteDuration());
  EXPECT_EQ(ServiceManager({.socket = path_, .watchdog_usec = "soon"}).watchdog(), absl::InfiniteDuration());
}

TEST_F(ServiceManagerTest, WithoutAManagerNothingHappens) {
  const std::string sockets[] = {"", "relative", "/no/such/socket", std::string(200, 'a')};
  for (const std::string& socket : sockets) {
    ServiceManager manager({.socket = socket, .watchdog_usec = "1000000"});
    manager.Ready();
    manager.Watch(true, absl::UnixEpoch());
    manager.Stopping();
  }
  EXPECT_EQ(Next(), "");
}

}  // namespace
}  // namespace stepcast
