#pragma once
// What the program returns to the shell, and how it tells what went wrong.

#include <string>

#include <grpcpp/grpcpp.h>

namespace stepcast::cli {

// Stable; scripts rely on them.
enum ExitCode : int {
  kOk = 0,
  kFailed = 1,          // the server failed, or a file (or stdout) could not be written
  kUsage = 2,           // a mistake in the arguments, or in a file that they name: no picture was asked for
  kInvalidRequest = 3,  // the server refused a value: fix the request
  kUnavailable = 4,     // no server, draining, still loading: try again later or elsewhere
  kOverloaded = 5,      // queue full, or no time for the deadline: back off
  kDeadline = 6,        // --deadline or --timeout passed
  kInterrupted = 130,   // Ctrl-C, SIGTERM, SIGHUP
};

// The exit code that belongs to `status`.
ExitCode ExitCodeOf(const grpc::Status& status);

// A readable account of `status`: the message, and one line per violated field with what came and what is
// allowed, read from google.rpc details.
std::string Describe(const grpc::Status& status);

}  // namespace stepcast::cli
