#include "tools/simulate/command_line.h"

#include <fstream>
#include <memory>
#include <set>
#include <string>

#include <CLI/CLI.hpp>

#include "absl/strings/str_cat.h"
#include "core/clock.h"
#include "tools/simulate/bench_report.h"
#include "tools/simulate/replay.h"
#include "tools/simulate/report.h"
#include "tools/simulate/run_command.h"

namespace stepcast::simulate {
namespace {

// As grep and diff: 1 says that the answer is no, 2 that there is none.
constexpr int kNo = 1;
constexpr int kTrouble = 2;

struct Output {
  std::ostream& out;
  std::ostream& err;

  int Complain(const absl::Status& status) const {
    err << "stepcast-simulate: " << status.message() << "\n";
    return kTrouble;
  }
};

// "" writes nothing, "-" to the standard output.
absl::Status WriteJson(const Output& output, const std::string& path, const std::string& json) {
  if (path.empty()) return absl::OkStatus();
  if (path == "-") {
    output.out << json << "\n";
    return absl::OkStatus();
  }
  std::ofstream file(path, std::ios::binary);
  file << json << "\n";
  file.close();
  return file ? absl::OkStatus() : absl::UnavailableError(absl::StrCat("cannot write '", path, "'"));
}

void AddDevice(CLI::App& run, RunArguments& a) {
  run.add_option(
         "--costs", a.costs,
         "L (launch-bound), S (SDXL-like), C (compute-bound), Q (small and fast), or a server's cost cache file")
      ->capture_default_str();
  run.add_option("--devices", a.devices, "Numbers of equal devices to try, as 1,2,4")
      ->delimiter(',')
      ->capture_default_str();
  run.add_option("--rows", a.rows, "Most denoise rows a tick; a guided job is two")->capture_default_str();
  run.add_option("--strict-rows", a.strict_rows, "Every denoise tick has this many rows; 0: free mode");
  run.add_option("--encode-jobs", a.encode_jobs, "Most prompts an encode tick")->capture_default_str();
  run.add_option("--decode-jobs", a.decode_jobs, "Most pictures a decode tick")->capture_default_str();
  run.add_option("--resident", a.resident, "Started jobs the device's memory holds; more are parked; 0: no limit");
  run.add_option("--encode-ms", a.encode_ms, "Cost of a prompt on a built-in device, milliseconds");
  run.add_option("--decode-ms", a.decode_ms, "Cost of a picture on a built-in device, milliseconds");
  run.add_option("--noise", a.noise, "Standard deviation of a tick's time, 0..0.5; 0: none");
}

void AddTraffic(CLI::App& run, RunArguments& a) {
  run.add_option("--load", a.loads, "Offered work over what one device does with full batches, as 0.6,0.8")
      ->delimiter(',');
  run.add_option("--rate", a.rates, "Offered requests a second, as 0.5,1,2")->delimiter(',');
  run.add_option("--trace", a.trace, "CSV or JSON lines of arrivals");
  run.add_option("--pixels-per-latent", a.pixels_per_latent,
                 "Pixels that are one latent in the trace's width and height: the model's, 1, 2, 4, .. 64")
      ->capture_default_str();
  run.add_option("--recording", a.recordings,
                 "A server's recording: its arrivals, cancels and deadlines; one for each device, as run.rec,run.rec.1")
      ->delimiter(',');
  run.add_option("--client", a.clients,
                 "A kind of client, as interactive,share=0.1,tenant=a,steps=20/30; repeat for more kinds");
  run.add_option("--arrivals", a.arrivals, "Requests a run")->capture_default_str();
  run.add_option("--warm-up", a.warm_up, "First requests of a run that do not count, fewer than --arrivals")
      ->capture_default_str();
  run.add_option("--burstiness", a.burstiness, "Squared coefficient of variation of gaps: 1 Poisson, more: bursts")
      ->capture_default_str();
  run.add_option("--seed", a.seeds, "Seeds of the runs, as 1,2,3")->delimiter(',')->capture_default_str();
  run.add_option("--deadline", a.deadline, "Deadline of requests without one, in isolated times; 0: none");
}

void AddServer(CLI::App& run, RunArguments& a) {
  run.add_option("--policy", a.policies, "Policies, as slo,fifo")->delimiter(',')->capture_default_str();
  run.add_option("--tenant", a.tenants, "Weight of a tenant, as a=3; repeat for more");
  run.add_option("--queue-delay-ms", a.queue_delay_ms, "How long request_level waits for a batch to fill");
  run.add_flag("--admission", a.admission, "Refuse who cannot be served in time, as a server does");
  run.add_option("--max-queued", a.max_queued, "With --admission: most jobs that wait")->capture_default_str();
}

int RunSweep(const Output& output, const RunArguments& arguments, const std::string& json, const std::string& plots) {
  const auto sweep = MakeSweep(arguments);
  if (!sweep.ok()) return output.Complain(sweep.status());
  const auto points = Sweep(*sweep);
  if (!points.ok()) return output.Complain(points.status());
  if (json != "-") output.out << ToText(*points);
  absl::Status written = WriteJson(output, json, ToJson(sweep->run.device.name, *points));
  const std::set<double> loads(arguments.loads.begin(), arguments.loads.end());
  if (written.ok() && !plots.empty()) written = WritePlots(plots, Plots(*points, {loads.begin(), loads.end()}));
  return written.ok() ? 0 : output.Complain(written);
}

int RunReplay(const Output& output, const std::string& path, const std::string& json) {
  const auto recording = RecordingReader::Open(path);
  if (!recording.ok()) return output.Complain(recording.status());
  const auto report = Replay(**recording);
  if (!report.ok()) return output.Complain(report.status());
  if (json != "-") output.out << ToText(*report);
  const absl::Status written = WriteJson(output, json, ToJson(*report));
  if (!written.ok()) return output.Complain(written);
  return report->exact() ? 0 : kNo;
}

int RunBench(const Output& output, const AcceptanceOptions& options, const std::string& only, const std::string& json) {
  const auto claims =
      MeasureClaims(options, only, [&](const std::string& scene) { output.err << "measuring: " << scene << "\n"; });
  if (claims.empty())
    return output.Complain(absl::InvalidArgumentError(absl::StrCat("--only: no scene is called '", only, "'")));
  if (json != "-") output.out << ToText(claims);
  const absl::Status written = WriteJson(output, json, ToJson(claims));
  if (!written.ok()) return output.Complain(written);
  return AllHold(claims) ? 0 : kNo;
}

}  // namespace

int RunCommandLine(int argc, const char* const* argv, std::ostream& out, std::ostream& err) {
  const Output output{out, err};
  CLI::App app("The scheduler of stepcast-server on a virtual clock");
  app.require_subcommand(1);
  std::string json, plots, path;
  const auto add_output = [&](CLI::App& command, bool with_plots) {
    command.add_option("--json", json, "Write results as JSON to this file; '-': to the standard output");
    if (with_plots) command.add_option("--plots", plots, "Write plots (SVG) to this folder");
  };

  RunArguments arguments;
  CLI::App& run = *app.add_subcommand("run", "Serve a trace with each policy and compare");
  AddTraffic(run, arguments);
  AddDevice(run, arguments);
  AddServer(run, arguments);
  add_output(run, true);

  CLI::App& replay = *app.add_subcommand("replay", "Repeat a recorded run and check that every plan is made again");
  replay.add_option("recording", path, "File that a server recorded (record_file)")->required();
  add_output(replay, false);

  AcceptanceOptions acceptance{.wall = &RealClock()};
  std::string only;
  CLI::App& bench = *app.add_subcommand("bench", "Measure what docs/scheduling.md claims");
  bench.add_option("--arrivals", acceptance.arrivals, "Requests a run; the first 300 do not count")
      ->check(CLI::Range(400, 1'000'000))
      ->capture_default_str();
  bench.add_option("--seeds", acceptance.seeds, "Runs a measurement")->check(CLI::Range(1, 100))->capture_default_str();
  bench.add_option("--only", only,
                   "One scene: latency, goodput, overload, interactive, tenants, shares, bursts, phases or cancels");
  add_output(bench, false);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // The library has a status of its own for every kind of mistake.
    return app.exit(error, out, err) == 0 ? 0 : kTrouble;
  }
  if (run.parsed()) return RunSweep(output, arguments, json, plots);
  if (replay.parsed()) return RunReplay(output, path, json);
  return RunBench(output, acceptance, only, json);
}

}  // namespace stepcast::simulate
