#include "tools/simulate/run_command.h"

#include <fstream>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "core/status_macros.h"
#include "scheduler/costs/cost_cache.h"
#include "tools/simulate/recorded_arrivals.h"
#include "tools/simulate/trace_file.h"

namespace stepcast::simulate {
namespace {

absl::Status Bad(absl::string_view option, absl::string_view came, absl::string_view allowed) {
  return absl::InvalidArgumentError(absl::StrCat("--", option, ": '", came, "' is no ", allowed));
}

absl::Status CheckWhole(absl::string_view option, int64_t came, int64_t low, int64_t high) {
  if (came >= low && came <= high) return absl::OkStatus();
  return Bad(option, absl::StrCat(came), absl::StrCat("whole number in ", low, "..", high));
}

// `low` itself is allowed unless it is `above`.
absl::Status CheckNumber(absl::string_view option, double came, double low, double high, bool above = false) {
  if (came >= low && came <= high && !(above && came == low)) return absl::OkStatus();
  return Bad(option, absl::StrCat(came), absl::StrCat("number in ", above ? "(" : "[", low, ", ", high, "]"));
}

absl::Status CheckTraffic(const RunArguments& a) {
  constexpr bool kAbove = true;
  constexpr int kMostArrivals = 10'000'000;
  for (const double load : a.loads) STEPCAST_RETURN_IF_ERROR(CheckNumber("load", load, 0.0, 100.0, kAbove));
  for (const double rate : a.rates) STEPCAST_RETURN_IF_ERROR(CheckNumber("rate", rate, 0.0, 1e6, kAbove));
  if (a.pixels_per_latent < 1 || a.pixels_per_latent > 64 || (a.pixels_per_latent & (a.pixels_per_latent - 1)) != 0) {
    return Bad("pixels-per-latent", absl::StrCat(a.pixels_per_latent), "power of two in 1..64");
  }
  STEPCAST_RETURN_IF_ERROR(CheckWhole("arrivals", a.arrivals, 1, kMostArrivals));
  STEPCAST_RETURN_IF_ERROR(CheckWhole("warm-up", a.warm_up, 0, kMostArrivals));
  STEPCAST_RETURN_IF_ERROR(CheckNumber("burstiness", a.burstiness, 0.01, 1000.0));
  for (const int64_t seed : a.seeds) STEPCAST_RETURN_IF_ERROR(CheckWhole("seed", seed, 0, INT64_MAX));
  return CheckNumber("deadline", a.deadline, 0.0, 1e6);
}

absl::Status CheckDevice(const RunArguments& a) {
  for (const int devices : a.devices) STEPCAST_RETURN_IF_ERROR(CheckWhole("devices", devices, 1, 1024));
  STEPCAST_RETURN_IF_ERROR(CheckWhole("rows", a.rows, 2, 4096));
  STEPCAST_RETURN_IF_ERROR(CheckWhole("encode-jobs", a.encode_jobs, 1, 4096));
  STEPCAST_RETURN_IF_ERROR(CheckWhole("decode-jobs", a.decode_jobs, 1, 4096));
  if (a.strict_rows != 0 && (a.strict_rows < 2 || a.strict_rows > a.rows)) {
    return Bad("strict-rows", absl::StrCat(a.strict_rows),
               absl::StrCat("whole number in 2..", a.rows, " (--rows), nor 0"));
  }
  STEPCAST_RETURN_IF_ERROR(CheckWhole("resident", a.resident, 0, 1'000'000));
  STEPCAST_RETURN_IF_ERROR(CheckNumber("encode-ms", a.encode_ms, 0.0, 1e6));
  STEPCAST_RETURN_IF_ERROR(CheckNumber("decode-ms", a.decode_ms, 0.0, 1e6));
  STEPCAST_RETURN_IF_ERROR(CheckNumber("noise", a.noise, 0.0, 0.5));
  STEPCAST_RETURN_IF_ERROR(CheckNumber("queue-delay-ms", a.queue_delay_ms, 0.0, 1e9));
  return CheckWhole("max-queued", a.max_queued, 1, 100'000);
}

absl::Status SetField(absl::string_view field, ClientClass& one) {
  const std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(field, absl::MaxSplits('=', 1));
  const auto& [name, value] = parts;
  if (field == "interactive" || field == "standard" || field == "batch") {
    one.priority = field == "interactive" ? Priority::kInteractive
                   : field == "standard"  ? Priority::kStandard
                                          : Priority::kBatch;
  } else if (name == "share") {
    if (!absl::SimpleAtod(value, &one.share) || !(one.share > 0.0 && one.share <= 1e6)) {
      return Bad("client", field, "share in (0, 1e6]");
    }
  } else if (name == "tenant") {
    one.tenant = std::string(value);
  } else if (name == "steps") {
    one.steps.clear();
    for (const absl::string_view word : absl::StrSplit(value, '/')) {
      int steps = 0;
      if (!absl::SimpleAtoi(word, &steps) || steps < 1 || steps > 1000) {
        return Bad("client", field, "list of steps in 1..1000, as 4/8/20");
      }
      one.steps.push_back(steps);
    }
  } else {
    return Bad("client", field, "priority (interactive, standard, batch), share=, tenant= or steps=");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::map<std::string, double>> ParseWeights(const std::vector<std::string>& tenants) {
  std::map<std::string, double> weights;
  for (const std::string& text : tenants) {
    const size_t equals = text.rfind('=');
    double weight = 0.0;
    if (equals == std::string::npos || !absl::SimpleAtod(text.substr(equals + 1), &weight) ||
        !(weight > 0.0 && weight <= 1e6)) {
      return Bad("tenant", text, "<name>=<weight in (0, 1e6]>");
    }
    weights[text.substr(0, equals)] = weight;
  }
  return weights;
}

absl::Status SetTraffic(const RunArguments& arguments, SweepOptions& sweep) {
  const int sources = static_cast<int>(!arguments.loads.empty()) + static_cast<int>(!arguments.rates.empty()) +
                      static_cast<int>(!arguments.trace.empty()) + static_cast<int>(!arguments.recordings.empty());
  if (sources != 1) {
    return absl::InvalidArgumentError("give exactly one of --load, --rate, --trace and --recording");
  }
  if (!arguments.clients.empty()) sweep.mix.classes.clear();
  for (const std::string& text : arguments.clients) {
    STEPCAST_ASSIGN_OR_RETURN(ClientClass one, ParseClient(text));
    sweep.mix.classes.push_back(std::move(one));
  }
  const BatchKey& native = NativeCosts(sweep.run.device)->key;
  sweep.mix.pattern.model = native.model;
  sweep.mix.pattern.latent_height = native.latent_height;
  sweep.mix.pattern.latent_width = native.latent_width;
  sweep.mix.arrivals = arguments.arrivals;
  sweep.mix.burstiness = arguments.burstiness;
  if (!arguments.trace.empty()) {
    STEPCAST_ASSIGN_OR_RETURN(sweep.trace,
                              ReadTraceFile(arguments.trace, sweep.mix.pattern, arguments.pixels_per_latent));
  } else if (!arguments.recordings.empty()) {
    STEPCAST_ASSIGN_OR_RETURN(sweep.trace, ReadArrivals(arguments.recordings));
  }
  for (const double load : arguments.loads) {
    sweep.rates.push_back(RateOfLoad(sweep.run.device, load, sweep.mix));
  }
  sweep.rates.insert(sweep.rates.end(), arguments.rates.begin(), arguments.rates.end());
  // A trace is what an operator wants to know about, from its first job on.
  sweep.warm_up = sweep.trace.empty() ? arguments.warm_up : 0;
  if (sweep.trace.empty() && sweep.warm_up >= CountArrivals(sweep.mix)) {
    return absl::InvalidArgumentError(absl::StrCat("--warm-up: the first ", arguments.warm_up, " of --arrivals ",
                                                   arguments.arrivals, " do not count, which leaves none"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ClientClass> ParseClient(const std::string& text) {
  ClientClass one;
  for (const absl::string_view field : absl::StrSplit(text, ',')) STEPCAST_RETURN_IF_ERROR(SetField(field, one));
  return one;
}

absl::StatusOr<Device> FindDevice(const std::string& costs) {
  if (costs.size() == 1) return BuiltInDevice(costs);
  // The file says itself what it was measured on, and here that is taken as said.
  std::ifstream file(costs);
  std::string line;
  if (!file || !std::getline(file, line)) {
    return absl::NotFoundError(absl::StrCat("--costs: '", costs, "' is neither L, S or C nor a file that can be read"));
  }
  absl::string_view fingerprint = line;
  if (!absl::ConsumePrefix(&fingerprint, "stepcast-costs 1 ")) {
    return absl::InvalidArgumentError(absl::StrCat("--costs: '", costs, "' is no cost cache of a server"));
  }
  Device device{.name = std::string(fingerprint), .limits = {}, .costs = {}};
  STEPCAST_ASSIGN_OR_RETURN(device.costs, ReadCostCache(costs, std::string(fingerprint)));
  if (NativeCosts(device) == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("--costs: '", costs, "' knows no denoise tick"));
  }
  return device;
}

absl::StatusOr<SweepOptions> MakeSweep(const RunArguments& arguments) {
  STEPCAST_RETURN_IF_ERROR(CheckTraffic(arguments));
  STEPCAST_RETURN_IF_ERROR(CheckDevice(arguments));
  SweepOptions sweep;
  STEPCAST_ASSIGN_OR_RETURN(sweep.run.device, FindDevice(arguments.costs));
  if (arguments.encode_ms > 0.0 || arguments.decode_ms > 0.0) {
    if (arguments.costs.size() != 1) {
      return absl::InvalidArgumentError(
          "--encode-ms and --decode-ms are for built-in devices; a cost cache has its own");
    }
    sweep.run.device = WithEnds(std::move(sweep.run.device), absl::Milliseconds(arguments.encode_ms),
                                absl::Milliseconds(arguments.decode_ms));
  }
  ExecutorLimits& limits = sweep.run.device.limits;
  limits.max_denoise_rows = arguments.rows;
  limits.max_encode_jobs = arguments.encode_jobs;
  limits.max_decode_jobs = arguments.decode_jobs;
  limits.strict_rows = arguments.strict_rows;
  if (arguments.resident > 0) limits.max_resident_jobs = arguments.resident;
  STEPCAST_RETURN_IF_ERROR(SetTraffic(arguments, sweep));
  STEPCAST_ASSIGN_OR_RETURN(sweep.run.tenant_weights, ParseWeights(arguments.tenants));
  sweep.run.policy.max_queue_delay = absl::Milliseconds(arguments.queue_delay_ms);
  sweep.run.noise = arguments.noise;
  sweep.run.admission = arguments.admission;
  sweep.run.limits.max_queued_jobs = arguments.max_queued;
  sweep.policies = arguments.policies;
  sweep.devices = arguments.devices;
  sweep.seeds.assign(arguments.seeds.begin(), arguments.seeds.end());
  sweep.deadline = arguments.deadline;
  return sweep;
}

}  // namespace stepcast::simulate
