#pragma once
// A program under test, started for real.

#include <string>
#include <vector>

namespace stepcast::e2e {

// What a finished program left.
struct ExitReport {
  int code = -1;       // exit status; 128 + signal when a signal ended it
  std::string output;  // stdout and stderr together
};

// Runs a program and waits for it.
ExitReport RunProgram(const std::vector<std::string>& arguments);

// A program that runs in the background; killed at the end of the object's life if it still runs.
class ChildProcess {
 public:
  // stdout and stderr go to `log_path`.
  ChildProcess(const std::vector<std::string>& arguments, const std::string& log_path);
  ~ChildProcess();

  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  int pid() const { return pid_; }
  bool Running();
  void Signal(int signal);
  // Waits for the end; returns the exit code (128 + signal).
  int Wait();

 private:
  int pid_ = -1;
  int code_ = -1;
  bool ended_ = false;
};

std::string ReadFile(const std::string& path);

}  // namespace stepcast::e2e
