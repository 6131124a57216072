#include "clients/cli/views/top_view.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <map>

namespace stepcast::cli {
namespace {

namespace v1 = ::stepcast::v1;

// Ticks shown per device.
constexpr int kShownTicks = 4;

double Seconds(const google::protobuf::Duration& d) { return d.seconds() + d.nanos() * 1e-9; }

__attribute__((format(printf, 1, 2))) std::string Format(const char* format, ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(line, sizeof(line), format, arguments);
  va_end(arguments);
  return line;
}

// "850ms", "4.2s", "95s", "12m", "3h": at most five characters for anything below 1,000 hours.
std::string Span(double seconds) {
  const double size = std::abs(seconds);
  if (size < 0.9995) return Format("%.0fms", seconds * 1e3);
  if (size < 9.95) return Format("%.1fs", seconds);
  if (size < 99.5) return Format("%.0fs", seconds);
  if (size < 99.5 * 60) return Format("%.0fm", seconds / 60);
  return Format("%.0fh", seconds / 3600);
}

// "TICK_PHASE_DENOISE" -> "denoise".
std::string Word(const std::string& name, size_t prefix) {
  std::string word = name.substr(std::min(prefix, name.size()));
  for (char& c : word) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return word;
}
std::string Phase(v1::TickPhase phase) { return Word(v1::TickPhase_Name(phase), 11); }

// Text of the server's, fit for a terminal: no control characters.
std::string Plain(const std::string& text, size_t width) {
  std::string plain;
  for (const char c : text) plain += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  if (plain.size() > width) plain = plain.substr(0, width - 1) + "~";
  return plain;
}

std::string Bar(int done, int total, int width) {
  const int filled = total > 0 ? std::clamp(done * width / total, 0, width) : 0;
  return std::string(static_cast<size_t>(filled), '#') + std::string(static_cast<size_t>(width - filled), '.');
}

// The last five digits: enough to tell apart what is seen at once, and the columns stay where they are.
int ShortId(int64_t job_id) { return static_cast<int>(job_id % 100'000); }

// The lines of one device.
class DevicePart {
 public:
  DevicePart(const TopFrame& frame, const v1::DeviceSchedule& device) : frame_(frame), device_(device) {
    for (const v1::Tick& tick : frame.ticks) {
      if (tick.device() == device.device().name()) ticks_.push_back(&tick);
    }
  }

  std::vector<std::string> Lines() const {
    const v1::Device& device = device_.device();
    std::vector<std::string> lines = {Format(
        "%-8s %-8s %3d waiting %3d running  left %-5s  %5.1f ticks/s  %3.0f%% busy", Plain(device.name(), 8).c_str(),
        Word(v1::DeviceState_Name(device.state()), 13).c_str(), device.queue().waiting(), device.queue().running(),
        Span(Seconds(device_.backlog())).c_str(), static_cast<double>(ticks_.size()) / frame_.seconds, 100 * Busy())};
    if (!ticks_.empty()) lines.push_back(Rows());
    if (const v1::TickCost* cost = Native()) lines.push_back(Curve(*cost));
    for (size_t i = ticks_.size() - std::min<size_t>(ticks_.size(), kShownTicks); i < ticks_.size(); ++i) {
      lines.push_back(TickLine(*ticks_[i]));
    }
    return lines;
  }

 private:
  double Busy() const {
    double busy = 0;
    for (const v1::Tick* tick : ticks_) busy += Seconds(tick->measured_cost());
    return std::min(1.0, busy / frame_.seconds);
  }

  // "  12 denoise ticks, rows 5.2 of 16:  3x2  1x4  8x6": how often which row count; "  2 in parts": ticks with an
  // evaluation that does not fit one.
  std::string Rows() const {
    std::map<int, int> counts;
    int ticks = 0, in_parts = 0;
    long long rows = 0;
    for (const v1::Tick* tick : ticks_) {
      if (tick->key().phase() != v1::TICK_PHASE_DENOISE) continue;
      ++counts[tick->rows()];
      ++ticks;
      rows += tick->rows();
      const auto& jobs = tick->jobs();
      in_parts += std::any_of(jobs.begin(), jobs.end(),
                              [](const v1::TickJob& job) { return job.rows() < job.evaluation_rows(); });
    }
    std::string line = Format("  %d denoise ticks", ticks);
    if (ticks == 0) return line;
    line += Format(", rows %.1f of %d:", static_cast<double>(rows) / ticks, device_.device().max_rows());
    for (const auto& [count, times] : counts) line += Format("  %dx%d", times, count);
    if (in_parts > 0) line += Format("  %d in parts", in_parts);
    return line;
  }

  // The curve of what was denoised last; of an idle device the first one.
  const v1::TickCost* Native() const {
    const auto denoises = [](const auto& what) { return what->key().phase() == v1::TICK_PHASE_DENOISE; };
    const auto last = std::find_if(ticks_.rbegin(), ticks_.rend(), denoises);
    const v1::TickCost* first = nullptr;
    for (const v1::TickCost& cost : device_.costs()) {
      if (!denoises(&cost)) continue;
      if (last != ticks_.rend() && SameKey((*last)->key(), cost.key())) return &cost;
      if (first == nullptr) first = &cost;
    }
    return first;
  }

  static bool SameKey(const v1::TickKey& a, const v1::TickKey& b) {
    return a.model() == b.model() && a.latent_height() == b.latent_height() && a.latent_width() == b.latent_width();
  }

  // "  emoji 16x16 by rows  2 14ms  4 23ms  16 80ms  knee 6": row counts that are powers of two.
  static std::string Curve(const v1::TickCost& cost) {
    std::string line = Format("  %s %dx%d by rows", Plain(cost.key().model(), 14).c_str(), cost.key().latent_width(),
                              cost.key().latent_height());
    for (const v1::CostPoint& point : cost.points()) {
      if ((point.rows() & (point.rows() - 1)) != 0) continue;
      line += Format("  %d %s", point.rows(), Span(Seconds(point.cost())).c_str());
    }
    return line + Format("  knee %d", cost.knee());
  }

  static std::string TickLine(const v1::Tick& tick) {
    std::string line = Format("  #%lld %-7s %s", static_cast<long long>(tick.plan_id()),
                              Phase(tick.key().phase()).c_str(), Plain(tick.key().model(), 14).c_str());
    if (tick.key().latent_width() > 0) line += Format(" %dx%d", tick.key().latent_width(), tick.key().latent_height());
    line += Format("  %d rows  %s", tick.rows(), Span(Seconds(tick.measured_cost())).c_str());
    if (tick.has_predicted_cost()) line += Format(" (said %s)", Span(Seconds(tick.predicted_cost())).c_str());
    line += " ";
    for (const v1::TickJob& job : tick.jobs()) {
      line += Format(" %d@%d%s", ShortId(job.job_id()), job.position(), job.failed() ? "!" : "");
    }
    return line;
  }

  const TopFrame& frame_;
  const v1::DeviceSchedule& device_;
  std::vector<const v1::Tick*> ticks_;
};

constexpr char kJobHeader[] = "   ID STATE    MODEL           SIZE          DONE PRI TENANT     AGE   DUE  LEFT";

std::string JobLine(const v1::ScheduledJob& job) {
  const std::string done = Format("%d/%d", job.position(), job.evaluations());
  const std::string size = Format("%dx%d", job.width(), job.height());
  return Format("%5d %-8s %-10s %9s %5s %7s %-3s %-8s %5s %5s %5s", ShortId(job.job_id()),
                Word(v1::JobState_Name(job.state()), 10).c_str(), Plain(job.model(), 10).c_str(), size.c_str(),
                Bar(job.position(), job.evaluations(), 5).c_str(), done.c_str(),
                Word(v1::Priority_Name(job.priority()), 9).substr(0, 3).c_str(), Plain(job.tenant(), 8).c_str(),
                Span(Seconds(job.age())).c_str(),
                job.has_deadline_in() ? Span(Seconds(job.deadline_in())).c_str() : "-",
                job.has_predicted_finish_in() ? Span(Seconds(job.predicted_finish_in())).c_str() : "-");
}

// What runs before what waits, then the older.
std::vector<const v1::ScheduledJob*> JobsInOrder(const v1::GetScheduleResponse& schedule) {
  std::vector<const v1::ScheduledJob*> jobs;
  for (const v1::DeviceSchedule& device : schedule.devices()) {
    for (const v1::ScheduledJob& job : device.jobs()) jobs.push_back(&job);
  }
  std::sort(jobs.begin(), jobs.end(), [](const auto* a, const auto* b) {
    const bool a_waits = a->state() == v1::JOB_STATE_WAITING;
    const bool b_waits = b->state() == v1::JOB_STATE_WAITING;
    return a_waits != b_waits ? b_waits : a->job_id() < b->job_id();
  });
  return jobs;
}

// One line per tenant; nothing when there is but one.
void AddTenants(const v1::GetScheduleResponse& schedule, std::vector<std::string>& lines) {
  if (schedule.tenants_size() < 2) return;
  double all = 0;
  for (const v1::TenantSchedule& tenant : schedule.tenants()) all += Seconds(tenant.device_time());
  lines.push_back("TENANT           WEIGHT  WAITING  RUNNING  DEVICE TIME  OF ALL");
  for (const v1::TenantSchedule& tenant : schedule.tenants()) {
    const double had = Seconds(tenant.device_time());
    lines.push_back(Format("%-16s %6.3g  %7d  %7d  %11s  %4.0f %%", Plain(tenant.tenant(), 16).c_str(), tenant.weight(),
                           tenant.waiting(), tenant.running(), Span(had).c_str(), all > 0 ? 100 * had / all : 0.0));
  }
}

}  // namespace

std::string RenderTop(const TopFrame& frame, int width, int height) {
  int waiting = 0;
  int running = 0;
  for (const v1::DeviceSchedule& device : frame.schedule.devices()) {
    waiting += device.device().queue().waiting();
    running += device.device().queue().running();
  }
  std::vector<std::string> lines = {Format("stepcast top  %s  policy %s  %d waiting  %d running",
                                           Plain(frame.host, 30).c_str(), Plain(frame.schedule.policy(), 14).c_str(),
                                           waiting, running)};
  if (frame.dropped > 0) lines.back() += Format("  %lld ticks missed", frame.dropped);
  for (const v1::DeviceSchedule& device : frame.schedule.devices()) {
    for (std::string& line : DevicePart(frame, device).Lines()) lines.push_back(std::move(line));
  }
  AddTenants(frame.schedule, lines);
  lines.emplace_back(kJobHeader);
  const std::vector<const v1::ScheduledJob*> jobs = JobsInOrder(frame.schedule);
  for (size_t i = 0; i < jobs.size(); ++i) {
    // The last line tells what does not fit.
    if (static_cast<int>(lines.size()) + 1 >= height && i + 1 < jobs.size()) {
      lines.push_back(Format("      ... and %zu more", jobs.size() - i));
      break;
    }
    lines.push_back(JobLine(*jobs[i]));
  }
  lines.resize(std::min(lines.size(), static_cast<size_t>(std::max(height, 1))));
  std::string text;
  for (std::string& line : lines) text += line.substr(0, static_cast<size_t>(width)) + "\n";
  return text;
}

}  // namespace stepcast::cli
