#pragma once
// `stepcast-simulate run`: options as a command line gives them, made into a sweep.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/simulate/sweep.h"

namespace stepcast::simulate {

// What the command line holds; words that need parsing are still words.
struct RunArguments {
  std::string costs = "L";  // L, S, C, or a server's cost cache file
  std::vector<std::string> policies = {"slo", "fifo", "request_level", "serial"};
  std::vector<double> loads = {};  // at most one of loads, rates, trace, recording
  std::vector<double> rates = {};
  std::string trace = "";
  int pixels_per_latent = kVaeScale;         // of the trace's widths and heights
  std::vector<std::string> recordings = {};  // one for each device of the server
  std::vector<std::string> clients = {};     // "interactive,share=0.1,tenant=a,steps=20/30"
  std::vector<std::string> tenants = {};     // "a=3"
  int arrivals = 3'300;
  int warm_up = 300;
  double burstiness = 1.0;
  std::vector<int64_t> seeds = {1, 2, 3};
  double deadline = 0.0;
  std::vector<int> devices = {1};
  int rows = 16, encode_jobs = 8, decode_jobs = 4, strict_rows = 0, resident = 0;  // resident 0: no bound
  double encode_ms = 0.0, decode_ms = 0.0;                                         // of the built-in devices
  double noise = 0.0;
  double queue_delay_ms = 0.0;  // request_level's
  bool admission = false;
  int max_queued = 100'000;
};

// Errors: INVALID_ARGUMENT naming the option, what came and what is allowed; those of the files.
absl::StatusOr<SweepOptions> MakeSweep(const RunArguments& arguments);

// "interactive,share=0.1,tenant=a,steps=20/30"; a priority, and fields in any order; all optional.
absl::StatusOr<ClientClass> ParseClient(const std::string& text);

// A built-in device by its letter, else the one whose cost cache lies at that path.
absl::StatusOr<Device> FindDevice(const std::string& costs);

}  // namespace stepcast::simulate
