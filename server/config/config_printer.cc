#include "server/config/config_printer.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "core/string_view.h"
#include "server/wire/text_limits.h"

namespace stepcast {
namespace {

constexpr size_t kLongest = 1 << 16;  // of a text: none is cut

std::string Text(const std::string& text) { return Quoted(text, kLongest); }
std::string Number(int64_t number) { return absl::StrCat(number); }
std::string Real(double number) { return absl::StrFormat("%.17g", number); }
std::string Bool(bool value) { return value ? "true" : "false"; }
std::string Span(absl::Duration span) { return span == absl::InfiniteDuration() ? "none" : absl::FormatDuration(span); }
std::string Port(const std::optional<int>& port) { return port.has_value() ? absl::StrCat(*port) : "off"; }
std::string Budget(int64_t bytes) {
  return bytes == kNoMemoryBudget ? "none" : bytes == kAutoMemoryBudget ? "auto" : absl::StrCat(bytes, "B");
}

std::string List(const std::vector<std::string>& items) { return absl::StrCat("[", absl::StrJoin(items, ", "), "]"); }

std::string Texts(const std::vector<std::string>& texts) {
  return absl::StrCat(
      "[", absl::StrJoin(texts, ", ", [](std::string* out, const std::string& text) { out->append(Text(text)); }), "]");
}

std::string Models(const std::vector<ModelSource>& models) {
  constexpr const char* kLoad[] = {"eager", "on_demand", "pinned"};
  std::vector<std::string> items;
  for (const ModelSource& model : models) {
    std::string item = absl::StrCat("{id: ", Text(model.id), ", path: ", Text(model.path),
                                    ", load: ", kLoad[static_cast<size_t>(model.loading)]);
    if (!model.devices.empty()) absl::StrAppend(&item, ", devices: ", Texts(model.devices));
    items.push_back(absl::StrCat(item, "}"));
  }
  return List(items);
}

std::string ControlNets(const std::vector<ControlNetSource>& nets) {
  std::vector<std::string> items;
  for (const ControlNetSource& net : nets) {
    items.push_back(absl::StrCat("{id: ", Text(net.id), ", path: ", Text(net.path), "}"));
  }
  return List(items);
}

using Entries = std::vector<ConfigEntry>;

Entries TenantEntries(const TenantConfig& tenant) {
  return {{"max_pictures", Number(tenant.max_pictures)},
          {"max_queued", Number(tenant.max_queued)},
          {"max_queued_work", Span(tenant.max_queued_work)},
          {"models", tenant.models.has_value() ? Texts(*tenant.models) : "all"},
          {"max_rows", Number(tenant.max_rows)},
          {"max_upload_bytes", Number(tenant.max_upload_bytes)},
          {"requests_per_second", Real(tenant.requests_per_second)},
          {"request_burst", Number(tenant.request_burst)},
          {"row_seconds_per_second", Real(tenant.row_seconds_per_second)},
          {"row_seconds_burst", Real(tenant.row_seconds_burst)}};
}

std::string NamedTenants(const TenantsConfig& tenants) {
  std::vector<std::string> items;
  for (const auto& [name, tenant] : tenants.named) {
    std::string item = absl::StrCat("{name: ", Text(name), ", weight: ", Real(tenant.weight));
    for (const ConfigEntry& entry : TenantEntries(tenant)) absl::StrAppend(&item, ", ", entry.key, ": ", entry.value);
    items.push_back(absl::StrCat(item, "}"));
  }
  return List(items);
}

void Append(const std::string& section, const Entries& entries, Entries& all) {
  for (const ConfigEntry& entry : entries) {
    all.push_back({section.empty() ? entry.key : absl::StrCat(section, ".", entry.key), entry.value});
  }
}

void AppendEngine(const ServerConfig& config, Entries& all) {
  const EngineOptions& engine = config.engine;
  const bool resident = engine.max_resident_jobs != std::numeric_limits<int>::max();
  Append("",
         {{"models", Models(engine.models)},
          {"default_model", Text(config.default_model)},
          {"control_nets", ControlNets(engine.control_nets)},
          {"control_nets_budget", Budget(engine.control_nets_budget)},
          {"loras_dir", Texts(config.loras_dirs)},
          {"loras_budget", Budget(config.loras_budget)},
          {"embeddings_dir", Text(config.embeddings_dir)},
          {"device", Text(engine.device)},
          {"dtype", Text(engine.dtype)},
          {"threads", Number(engine.threads)},
          {"devices", Texts(engine.devices)},
          {"replicas", Number(engine.replicas)},
          {"max_rows", Number(engine.max_rows)},
          {"strict_rows", engine.strict_rows == kAutoStrictRows ? "auto" : Number(engine.strict_rows)},
          {"max_resident_jobs", Number(resident ? engine.max_resident_jobs : 0)},
          {"embedding_cache_entries", Number(engine.embedding_cache_entries)},
          {"warm_up", Bool(engine.warm_up)},
          {"memory_budget", Budget(engine.memory_budget)},
          {"max_waiting_for_models", Number(config.max_waiting_for_models)}},
         all);
}

void AppendScheduler(const EngineLoopOptions& scheduler, Entries& all) {
  Append("scheduler",
         {{"policy", Text(scheduler.policy.name)},
          {"max_queue_delay", Span(scheduler.policy.max_queue_delay)},
          {"heartbeat", Span(scheduler.heartbeat)},
          {"max_queued_jobs", Number(scheduler.admission.max_queued_jobs)},
          {"max_queued_work", Span(scheduler.admission.max_queued_work)},
          {"profile.budget", Span(scheduler.profile.budget)},
          {"profile.cache_file", Text(scheduler.profile.cache_file)}},
         all);
}

void AppendListen(const ListenConfig& listen, Entries& all) {
  Append("listen",
         {{"host", Text(listen.host)},
          {"port", Number(listen.port)},
          {"admin_host", Text(listen.admin_host)},
          {"admin_port", Port(listen.admin_port)},
          {"metrics_host", Text(listen.metrics_host)},
          {"metrics_port", Port(listen.metrics_port)},
          {"allow_plaintext", Bool(listen.allow_plaintext)},
          {"socket_mode", absl::StrFormat("%04o", listen.socket_mode)}},
         all);
}

void AppendLimits(const ServerConfig& config, Entries& all) {
  const LimitsConfig& limits = config.limits;
  const InputPictureLimits& pictures = limits.input_pictures;
  Append("limits",
         {{"max_prompt_bytes", Number(limits.max_prompt_bytes)},
          {"max_prompt_chunks", Number(limits.max_prompt_chunks)},
          {"max_loras", Number(limits.max_loras)},
          {"max_steps", Number(limits.max_steps)},
          {"max_image_count", Number(limits.max_image_count)},
          {"max_side", Number(limits.max_side)},
          {"max_area", Number(limits.max_area)},
          {"max_decode_bytes", Number(config.engine.max_decode_bytes)},
          {"max_previews_per_image", Number(limits.max_previews_per_image)},
          {"max_preview_side", Number(limits.max_preview_side)},
          {"max_megapixel_steps", Real(limits.max_megapixel_steps)},
          {"max_request_bytes", Number(limits.max_request_bytes)},
          {"max_unary_response_bytes", Number(limits.max_unary_response_bytes)},
          {"image_chunk_bytes", Number(limits.image_chunk_bytes)},
          {"input_pictures.max_bytes", Number(pictures.max_bytes)},
          {"input_pictures.max_pixels", Number(pictures.max_pixels)},
          {"input_pictures.max_side", Number(pictures.max_side)},
          {"input_pictures.max_control", Number(pictures.max_control)},
          {"input_pictures.budget_bytes", Number(pictures.budget_bytes)}},
         all);
}

void AppendAccess(const ServerConfig& config, Entries& all) {
  constexpr const char* kClientAuth[] = {"none", "optional", "required"};
  Append("auth", {{"token_file", Text(config.auth.token_file)}}, all);
  Append("admin",
         {{"token_file", Text(config.admin.token_file)},
          {"tls", Bool(config.admin.tls)},
          {"channelz", Bool(config.admin.channelz)}},
         all);
  Append("tls",
         {{"cert_file", Text(config.tls.cert_file)},
          {"key_file", Text(config.tls.key_file)},
          {"client_ca_file", Text(config.tls.client_ca_file)},
          {"client_auth", kClientAuth[static_cast<size_t>(config.tls.client_auth)]}},
         all);
  Append("tenants", {{"metadata_key", Text(config.tenants.metadata_key)}, {"max", Number(config.tenants.max)}}, all);
  Append("tenants.default", TenantEntries(config.tenants.defaults), all);
  Append("tenants", {{"named", NamedTenants(config.tenants)}}, all);
}

void AppendProcess(const ServerConfig& config, Entries& all) {
  constexpr const char* kLevels[] = {"debug", "info", "warning", "error"};
  constexpr const char* kFormats[] = {"auto", "text", "json"};
  Append("",
         {{"default_deadline", Span(config.default_deadline)},
          {"drain.linger", Span(config.drain.linger)},
          {"drain.timeout", Span(config.drain.timeout)},
          {"resume.key_file", Text(config.resume.key_file)},
          {"resume.token_ttl", Span(config.resume.token_ttl)},
          {"resume.max_token_bytes", Number(config.resume.max_token_bytes)},
          {"resume.min_checkpoint_every", Number(config.resume.min_checkpoint_every)},
          {"health.stall_timeout", Span(config.health.stall_timeout)}},
         all);
  AppendAccess(config, all);
  Append("",
         {{"codec.threads", Number(config.codec.threads)},
          {"codec.max_queued", Number(config.codec.max_queued)},
          {"log.level", kLevels[static_cast<size_t>(config.log.level)]},
          {"log.format", kFormats[static_cast<size_t>(config.log.format)]},
          {"log.prompts", Bool(config.log.prompts)},
          {"reflection", Bool(config.reflection)},
          {"port_file", Text(config.port_file)},
          {"record_file", Text(config.record_file)}},
         all);
}

}  // namespace

std::vector<ConfigEntry> DescribeConfig(const ServerConfig& config) {
  Entries all;
  AppendEngine(config, all);
  AppendScheduler(config.scheduler, all);
  AppendListen(config.listen, all);
  AppendLimits(config, all);
  AppendProcess(config, all);
  return all;
}

std::string PrintConfig(const ServerConfig& config, const std::vector<ConfigEntry>& sources) {
  std::string page;
  std::vector<std::string> open;  // sections that the last line is in
  for (const ConfigEntry& entry : DescribeConfig(config)) {
    std::vector<std::string> path = absl::StrSplit(entry.key, '.');
    const std::string name = std::move(path.back());
    path.pop_back();
    const auto common = std::mismatch(open.begin(), open.end(), path.begin(), path.end()).second - path.begin();
    for (size_t i = static_cast<size_t>(common); i < path.size(); ++i) {
      absl::StrAppend(&page, std::string(2 * i, ' '), path[i], ":\n");
    }
    open = path;
    absl::StrAppend(&page, std::string(2 * path.size(), ' '), name, ": ", entry.value);
    const auto source =
        std::find_if(sources.begin(), sources.end(), [&](const ConfigEntry& other) { return other.key == entry.key; });
    absl::StrAppend(&page, source == sources.end() ? "" : absl::StrCat("  # ", source->value), "\n");
  }
  return page;
}

std::vector<std::string> ChangedKeys(const ServerConfig& a, const ServerConfig& b) {
  const Entries before = DescribeConfig(a);
  const Entries after = DescribeConfig(b);
  std::vector<std::string> changed;
  for (size_t i = 0; i < before.size(); ++i) {
    if (before[i].value != after[i].value) changed.push_back(before[i].key);
  }
  return changed;
}

}  // namespace stepcast
