// SIGTERM in the first moments of the server's life, also where it is the first process of its namespace, as in a
// container: there the kernel drops a signal that nobody has blocked or handles.

#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/server_fixture.h"

namespace stepcast::e2e {
namespace {

std::string ProcFile(int pid, const std::string& name) { return ReadFile("/proc/" + std::to_string(pid) + "/" + name); }

// Whether the process holds SIGTERM back.
bool HoldsSigterm(int pid) {
  const std::string status = ProcFile(pid, "status");
  const size_t found = status.find("SigBlk:");
  if (found == std::string::npos) return false;
  return (std::strtoull(status.c_str() + found + 7, nullptr, 16) & (1ULL << (SIGTERM - 1))) != 0;
}

std::string Program(int pid) {
  char path[4096];
  const ssize_t length = readlink(("/proc/" + std::to_string(pid) + "/exe").c_str(), path, sizeof(path));
  return length <= 0 ? "" : std::string(path, static_cast<size_t>(length));
}

// A moment in the life of the process `pid` whose output is at `log`, in order.
struct Moment {
  const char* name;
  std::function<bool(int pid, const std::string& log)> reached;
};

std::vector<Moment> Moments() {
  return {
      {"the launcher runs", [](int pid, const std::string&) { return HoldsSigterm(pid); }},
      {"the program begins to load", [](int pid, const std::string&) { return Program(pid).ends_with("-bin"); }},
      {"LibTorch is being loaded",
       [](int pid, const std::string&) { return ProcFile(pid, "maps").find("libtorch_cpu") != std::string::npos; }},
      {"the log begins", [](int, const std::string& log) { return !ReadFile(log).empty(); }},
  };
}

class EarlySignalsTest : public testing::Test {
 protected:
  std::string Log() const { return testing::TempDir() + "stepcast_early_" + std::to_string(getpid()) + ".log"; }

  std::vector<std::string> ServerCommand() const {
    return {BinaryPath("stepcast-server"),
            std::string("--models_dir=") + STEPCAST_SOURCE_DIR + "/models",
            "--port=0",
            "--admin_port=0",
            "--metrics_port=0",
            "--profile_budget=0"};
  }

  // Sends SIGTERM to the server at `moment` and expects it to end by itself. `pid_of`: the server's pid, 0 while
  // unknown.
  void StopAt(const Moment& moment, ChildProcess& process, const std::function<int()>& pid_of) {
    SCOPED_TRACE(moment.name);
    int pid = 0;
    while (process.Running() && ((pid = pid_of()) == 0 || !moment.reached(pid, Log()))) sched_yield();
    ASSERT_TRUE(process.Running()) << "ended before: " << ReadFile(Log());
    kill(pid, SIGTERM);
    // A signal that is lost ends in a server that serves.
    while (process.Running()) {
      if (ReadFile(Log()).find("\"serving\"") != std::string::npos) {
        ADD_FAILURE() << "the signal was lost";
        return;
      }
      sched_yield();
    }
    EXPECT_EQ(process.Wait(), 0) << ReadFile(Log());
    EXPECT_THAT(ReadFile(Log()), testing::HasSubstr("stopped"));
  }
};

TEST_F(EarlySignalsTest, SigtermAtAnyMomentEndsTheServer) {
  for (const Moment& moment : Moments()) {
    ChildProcess process(ServerCommand(), Log());
    StopAt(moment, process, [&] { return process.pid(); });
  }
}

TEST_F(EarlySignalsTest, SigtermEndsTheFirstProcessOfANamespace) {
  const std::vector<std::string> in_namespace = {"unshare", "--pid", "--fork", "--mount-proc", "--kill-child"};
  std::vector<std::string> probe = in_namespace;
  probe.emplace_back("true");
  if (RunProgram({"sh", "-c", "command -v unshare"}).code != 0 || RunProgram(probe).code != 0) {
    GTEST_SKIP() << "this process may not make PID namespaces";
  }
  for (const Moment& moment : Moments()) {
    std::vector<std::string> command = in_namespace;
    for (const std::string& word : ServerCommand()) command.push_back(word);
    ChildProcess process(command, Log());
    const std::string children = "task/" + std::to_string(process.pid()) + "/children";
    StopAt(moment, process, [&] {
      const int pid = std::atoi(ProcFile(process.pid(), children).c_str());
      return pid != 0 && ProcFile(pid, "comm").find("unshare") == std::string::npos ? pid : 0;
    });
  }
}

}  // namespace
}  // namespace stepcast::e2e
