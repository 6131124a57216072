// stepcast-server: holds back the signals that stop it, sets what the engine's libraries read while they are loaded,
// and becomes stepcast-server-bin, which lies beside it.
//
// A program of its own, because the dynamic linker needs a second and more for LibTorch on a busy machine. Until then a
// SIGTERM would end the process without a word, or be lost where it is the first of a container; held back, it waits
// for whoever asks.

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "engine/start/engine_environment.h"

namespace {

constexpr int kExitConfig = 2;

// "/opt/stepcast/bin/stepcast-server-bin"; "" where /proc is missing.
std::string PathOfServer() {
  char path[4096];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof(path));
  if (length <= 0 || length == static_cast<ssize_t>(sizeof(path))) return "";
  return std::string(path, static_cast<size_t>(length)) + "-bin";
}

}  // namespace

int main(int, char** argv) {
  sigset_t stops;
  sigemptyset(&stops);
  sigaddset(&stops, SIGTERM);
  sigaddset(&stops, SIGINT);
  sigaddset(&stops, SIGHUP);
  sigprocmask(SIG_BLOCK, &stops, nullptr);
  stepcast::SetEngineEnvironment();
  const std::string server = PathOfServer();
  if (!server.empty()) execv(server.c_str(), argv);
  std::fprintf(stderr, "stepcast-server: cannot run %s: %s; the two belong into one folder\n",
               server.empty() ? "stepcast-server-bin, as /proc is not mounted" : server.c_str(), std::strerror(errno));
  return kExitConfig;
}
