#include "server/telemetry/logging.h"

#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>
#include <signal.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "core/mutex.h"
#include "core/string_view.h"
#include "server/telemetry/line_writer.h"

namespace stepcast {
namespace {

std::atomic<bool> g_json{false};

spdlog::level::level_enum SpdlogLevel(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

LineWriter& Writer() {
  static LineWriter& writer = LineWriter::Start(STDERR_FILENO);
  return writer;
}

// Hands lines to a thread of their own: a pipe that nobody reads must stall nobody.
class QueueSink final : public spdlog::sinks::base_sink<std::mutex> {
 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t text;
    formatter_->format(message, text);
    Writer().Write(std::string(text.data(), text.size()));
  }
  void flush_() override {}
};

// Our own logger: libraries that use spdlog's default one keep theirs.
spdlog::logger& Logger() {
  static spdlog::logger* const logger = [] {
    auto* made = new spdlog::logger("stepcast", std::make_shared<QueueSink>());
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
    return made;
  }();
  return *logger;
}

std::string Quoted(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// Foreign libraries' lines, at most a few per second whatever a client sends.
void LogForeign(LogLevel level, std::string_view library, std::string_view text) {
  static Mutex* const mutex = new Mutex;
  static LogLimiter* const limiter = new LogLimiter(10, absl::Seconds(10), RealClock());
  int64_t suppressed = 0;
  // Lines that nobody sees hold none back that somebody would.
  if (!Logger().should_log(SpdlogLevel(level))) return;
  if (level != LogLevel::kError) {
    MutexLock lock(*mutex);
    if (!limiter->Allow(suppressed)) return;
  }
  Log(level, text, {{"logger", library}, {"suppressed", suppressed}});
}

void OnGprLog(gpr_log_func_args* args) {
  // A port that cannot be bound; Listener reports it in one clear line.
  const bool told = absl::StrContains(args->message, "No address added out of total");
  const bool error = args->severity == GPR_LOG_SEVERITY_ERROR;
  const LogLevel level = error && !told ? LogLevel::kWarning : LogLevel::kDebug;
  LogForeign(level, "grpc", args->message);
}

// Errors here are a client's malformed bytes; the call itself is refused and logged with its reason.
void OnProtobufLog(google::protobuf::LogLevel level, const char*, int, const std::string& message) {
  LogForeign(level == google::protobuf::LOGLEVEL_FATAL ? LogLevel::kError : LogLevel::kDebug, "protobuf", message);
}

}  // namespace

void InitLogging(const LogConfig& config) {
  const bool json =
      config.format == LogFormat::kJson || (config.format == LogFormat::kAuto && isatty(STDERR_FILENO) == 0);
  g_json = json;
  Logger().set_level(SpdlogLevel(config.level));
  Logger().set_pattern(json ? R"({"ts":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})" : "%Y-%m-%dT%H:%M:%S.%eZ %l %v",
                       spdlog::pattern_time_type::utc);
  gpr_set_log_function(OnGprLog);
  gpr_set_log_verbosity(GPR_LOG_SEVERITY_ERROR);
  google::protobuf::SetLogHandler(OnProtobufLog);
  signal(SIGPIPE, SIG_IGN);
}

void SetLogLevel(LogLevel level) { Logger().set_level(SpdlogLevel(level)); }

bool FlushLog(absl::Duration patience) { return Writer().Flush(patience); }

int64_t DroppedLogLines() { return Writer().dropped(); }

void Log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) {
  Log(level, message, absl::MakeConstSpan(fields.begin(), fields.size()));
}

void Log(LogLevel level, std::string_view message, absl::Span<const LogField> fields) {
  const spdlog::level::level_enum spdlog_level = SpdlogLevel(level);
  if (!Logger().should_log(spdlog_level)) return;
  const std::string body = g_json ? JsonBody(message, fields) : TextBody(message, fields);
  Logger().log(spdlog_level, spdlog::string_view_t(body.data(), body.size()));
}

void LogAccess(const AccessRecord& record) {
  std::vector<LogField> fields = {{"method", record.method},
                                  {"code", record.code},
                                  {"reason", record.reason},
                                  {"model", record.model},
                                  {"tenant", record.tenant},
                                  {"token", record.token},
                                  {"request_id", record.request_id},
                                  {"trace_id", record.trace_id},
                                  {"span_id", record.span_id},
                                  {"peer", record.peer},
                                  {"duration_ms", absl::ToDoubleMilliseconds(record.duration)},
                                  {"queue_ms", absl::ToDoubleMilliseconds(record.work.queued)},
                                  {"encode_ms", absl::ToDoubleMilliseconds(record.work.stages.encode)},
                                  {"denoise_ms", absl::ToDoubleMilliseconds(record.work.stages.denoise)},
                                  {"decode_ms", absl::ToDoubleMilliseconds(record.work.stages.decode)},
                                  {"evaluations", record.work.evaluations},
                                  {"row_evaluations", record.work.cost.row_evaluations},
                                  {"device_ms", absl::ToDoubleMilliseconds(record.work.cost.device_time)},
                                  {"bytes", record.bytes}};
  if (!record.prompt.empty()) fields.push_back({"prompt", record.prompt});
  Log(LogLevel::kInfo, "call", fields);
}

std::string JsonBody(std::string_view message, absl::Span<const LogField> fields) {
  std::string body = absl::StrCat("\"msg\":", Quoted(message));
  for (const LogField& field : fields) {
    absl::StrAppend(&body, ",\"", ToAbsl(field.key), "\":");
    if (const auto* text = std::get_if<std::string_view>(&field.value)) absl::StrAppend(&body, Quoted(*text));
    if (const auto* integer = std::get_if<int64_t>(&field.value)) absl::StrAppend(&body, *integer);
    // NaN and infinities have no JSON form: nlohmann writes null.
    if (const auto* real = std::get_if<double>(&field.value)) absl::StrAppend(&body, nlohmann::json(*real).dump());
  }
  return body;
}

std::string TextBody(std::string_view message, absl::Span<const LogField> fields) {
  // Quotes in a message stand for themselves. Pairs of backslashes first, so that none is torn.
  std::string body = absl::StrReplaceAll(absl::Utf8SafeCEscape(ToAbsl(message)),
                                         {{R"(\\)", R"(\\)"}, {R"(\")", R"(")"}, {R"(\')", R"(')"}});
  for (const LogField& field : fields) {
    absl::StrAppend(&body, " ", ToAbsl(field.key), "=");
    if (const auto* text = std::get_if<std::string_view>(&field.value)) {
      const bool plain = !text->empty() && text->find_first_of(" \"\\\t\r\n=") == std::string_view::npos;
      absl::StrAppend(&body, plain ? absl::Utf8SafeCEscape(ToAbsl(*text)) : Quoted(*text));
    }
    if (const auto* integer = std::get_if<int64_t>(&field.value)) absl::StrAppend(&body, *integer);
    if (const auto* real = std::get_if<double>(&field.value)) absl::StrAppend(&body, *real);
  }
  return body;
}

bool LogLimiter::Allow(int64_t& suppressed) {
  const absl::Time now = clock_.Now();
  if (now - window_start_ >= period_) {
    window_start_ = now;
    written_ = 0;
  }
  if (written_ >= burst_) {
    ++suppressed_;
    return false;
  }
  ++written_;
  suppressed = suppressed_;
  suppressed_ = 0;
  return true;
}

}  // namespace stepcast
