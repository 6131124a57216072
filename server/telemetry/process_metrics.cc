#include "server/telemetry/process_metrics.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <optional>
#include <sstream>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "prometheus/client_metric.h"
#include "prometheus/metric_type.h"

namespace stepcast {
namespace {

std::string ReadAll(const char* path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Fields of /proc/self/stat from "state" on; the name before it may hold spaces and brackets.
std::vector<std::string> StatFields() {
  const std::string stat = ReadAll("/proc/self/stat");
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return {};
  return absl::StrSplit(stat.substr(name_end + 1), absl::ByAnyChar(" \n"), absl::SkipEmpty());
}

std::optional<double> Field(const std::vector<std::string>& fields, size_t index) {
  double value = 0;
  if (index >= fields.size() || !absl::SimpleAtod(fields[index], &value)) return std::nullopt;
  return value;
}

std::optional<double> BootTimeSeconds() {
  for (const absl::string_view line : absl::StrSplit(ReadAll("/proc/stat"), '\n')) {
    double seconds = 0;
    if (line.substr(0, 6) == "btime " && absl::SimpleAtod(line.substr(6), &seconds)) return seconds;
  }
  return std::nullopt;
}

std::optional<double> OpenFds() {
  DIR* const dir = opendir("/proc/self/fd");
  if (dir == nullptr) return std::nullopt;
  int entries = 0;
  while (readdir(dir) != nullptr) ++entries;
  closedir(dir);
  return entries - 3;  // ".", "..", and the descriptor that lists
}

std::optional<double> MaxFds() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return std::nullopt;
  return static_cast<double>(limit.rlim_cur);
}

struct Sample {
  const char* name;
  const char* help;
  prometheus::MetricType type;
  std::optional<double> value;
};

prometheus::MetricFamily ToFamily(const Sample& sample) {
  prometheus::MetricFamily family;
  family.name = sample.name;
  family.help = sample.help;
  family.type = sample.type;
  prometheus::ClientMetric metric;
  if (sample.type == prometheus::MetricType::Counter) metric.counter.value = *sample.value;
  if (sample.type == prometheus::MetricType::Gauge) metric.gauge.value = *sample.value;
  family.metric.push_back(std::move(metric));
  return family;
}

}  // namespace

std::vector<prometheus::MetricFamily> ProcessMetrics::Collect() const {
  const std::vector<std::string> stat = StatFields();
  // Numbering of proc(5), less the two fields before "state".
  const auto field = [&stat](int number) { return Field(stat, static_cast<size_t>(number - 3)); };
  const double ticks_per_second = static_cast<double>(sysconf(_SC_CLK_TCK));
  const double page_bytes = static_cast<double>(sysconf(_SC_PAGESIZE));

  std::optional<double> cpu_seconds;
  if (field(14) && field(15)) cpu_seconds = (*field(14) + *field(15)) / ticks_per_second;
  std::optional<double> start;
  if (const auto boot = BootTimeSeconds(); boot && field(22)) start = *boot + *field(22) / ticks_per_second;
  std::optional<double> resident;
  if (field(24)) resident = *field(24) * page_bytes;

  using Type = prometheus::MetricType;
  const Sample samples[] = {
      {"process_cpu_seconds_total", "User and system CPU time spent.", Type::Counter, cpu_seconds},
      {"process_resident_memory_bytes", "Resident memory.", Type::Gauge, resident},
      {"process_virtual_memory_bytes", "Virtual memory.", Type::Gauge, field(23)},
      {"process_open_fds", "Open file descriptors.", Type::Gauge, OpenFds()},
      {"process_max_fds", "Limit of open file descriptors.", Type::Gauge, MaxFds()},
      {"process_threads", "Threads of the process.", Type::Gauge, field(20)},
      {"process_start_time_seconds", "Start of the process, seconds since the epoch.", Type::Gauge, start},
  };
  std::vector<prometheus::MetricFamily> families;
  for (const Sample& sample : samples) {
    if (sample.value) families.push_back(ToFamily(sample));
  }
  return families;
}

}  // namespace stepcast
