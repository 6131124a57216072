#!/usr/bin/env python3
"""Writes what is derived from deploy/observability: the Grafana dashboards and the PrometheusRule of the Kubernetes component.

Panels are the tables below, so that a change is a line in a review and not a page of exported JSON.
Run it after changing a panel or a rule; `--check` writes nothing and exits with 1 where a file is not what it would write.
"""
import json
import pathlib
import sys

import yaml

OBSERVABILITY = pathlib.Path(__file__).resolve().parent.parent.parent / "deploy" / "observability"
WHERE = 'job=~"$job", instance=~"$instance"'
CALLS = f'{WHERE}, method=~"Generate|GenerateImage"'
MODEL = f'{WHERE}, model=~"$model"'


def rate(metric, by, where=WHERE):
    return f"sum by ({by}) (rate({metric}{{{where}}}[$__rate_interval]))"


def total(metric, where=WHERE):
    return f"sum(rate({metric}{{{where}}}[$__rate_interval]))"


def gauge(metric, by):
    return f"sum by ({by}) ({metric}{{{WHERE}}})"


def percentiles(metric, where=WHERE):
    buckets = f"sum by (le) (rate({metric}_bucket{{{where}}}[$__rate_interval]))"
    return [(f"histogram_quantile({p / 100:g}, {buckets})", f"p{p}") for p in (50, 95, 99)]


# A row is (title, panels); a panel (title, unit, what it shows, [(expression, legend)...], options).
SERVICE = [
    ("Now", [
        ("Replicas that answer", "short", "Targets of the scrape job that Prometheus reaches.",
         [('sum(up{job=~"$job", instance=~"$instance"})', "")], {"type": "stat", "width": 4}),
        ("Pictures waiting", "short", "Admitted and not started.",
         [(f"sum(stepcast_requests_waiting{{{WHERE}}})", "")], {"type": "stat", "width": 4}),
        ("Pictures being painted", "short", "Started and not finished.",
         [(f"sum(stepcast_requests_running{{{WHERE}}})", "")], {"type": "stat", "width": 4}),
        ("Devices up", "short", "Devices that work; a lost one counts no more until its process restarts.",
         [(f"sum(stepcast_device_up{{{WHERE}}})", "")], {"type": "stat", "width": 4}),
        ("Error budget burn, 1 h", "short", "1 spends the budget in 30 days; the fast alert is at 14.4.",
         [('max(stepcast:errors:ratio_rate1h{job=~"$job"}) / scalar(stepcast:errors:budget)', "")],
         {"type": "stat", "width": 4}),
        ("Latency budget burn, 1 h", "short", "Likewise, of calls that take more than 30 s.",
         [('max(stepcast:slow:ratio_rate1h{job=~"$job"}) / scalar(stepcast:slow:budget)', "")],
         {"type": "stat", "width": 4}),
    ]),
    ("Traffic", [
        ("Calls by code", "reqps", "Generate and GenerateImage, as they end.",
         [(rate("stepcast_requests_total", "code", f'{CALLS}, model=~"$model|"'), "{{code}}")], {"stack": True}),
        ("Pictures by outcome", "ops", "succeeded, failed, cancelled, expired.",
         [(rate("stepcast_images_total", "finish_reason", MODEL), "{{finish_reason}}")], {"stack": True}),
        ("Finished pictures by model", "ops", "Those that succeeded.",
         [(rate("stepcast_images_total", "model", f'{MODEL}, finish_reason="succeeded"'), "{{model}}")], {"stack": True}),
    ]),
    ("Latency", [
        ("Calls that succeeded", "s", "From receipt to the end.",
         percentiles("stepcast_request_duration_seconds", f'{MODEL}, outcome="succeeded"'), {}),
        ("Wait for the first tick", "s", "From arrival of a picture to its first tick.",
         percentiles("stepcast_queue_wait_seconds"), {}),
        ("Time to the first preview", "s", "From arrival of a request to its first preview on the wire.",
         percentiles("stepcast_time_to_first_preview_seconds"), {}),
        ("Calls by duration", "s", "How many calls took how long.",
         [(f'sum by (le) (increase(stepcast_request_duration_seconds_bucket{{{MODEL}, outcome="succeeded"}}'
           "[$__rate_interval]))", "{{le}}")], {"type": "heatmap"}),
    ]),
    ("Queue", [
        ("Waiting by replica", "short", "Pictures admitted and not started.",
         [(gauge("stepcast_requests_waiting", "instance"), "{{instance}}")], {"stack": True}),
        ("Being painted by replica", "short", "Pictures started and not finished.",
         [(gauge("stepcast_requests_running", "instance"), "{{instance}}")], {"stack": True}),
        ("Refusals by reason", "reqps", "Calls refused before any work (docs/errors.md).",
         [(rate("stepcast_rejected_total", "reason"), "{{reason}}")], {"stack": True}),
    ]),
    ("Errors", [
        ("Share of calls that fail through the server", "percentunit", "Of those that the server had to answer.",
         [('stepcast:errors:ratio_rate5m{job=~"$job"}', "5 min"), ('stepcast:errors:ratio_rate1h{job=~"$job"}', "1 h"),
          ("stepcast:errors:budget", "budget")], {}),
        ("Share of slow calls", "percentunit", "Finished calls that took more than 30 s.",
         [('stepcast:slow:ratio_rate5m{job=~"$job"}', "5 min"), ('stepcast:slow:ratio_rate1h{job=~"$job"}', "1 h"),
          ("stepcast:slow:budget", "budget")], {}),
        ("Clients that stopped reading", "ops", "Calls that the server ended for it.",
         [(rate("stepcast_stalled_clients_total", "instance"), "{{instance}}")], {}),
        ("Unfinished pictures", "ops", "Handed out by a drain, with a token to go on from or without; taken up again.",
         [(rate("stepcast_parked_total", "token"), "handed out, token: {{token}}"),
          (rate("stepcast_resumed_total", "instance"), "taken up by {{instance}}")], {}),
    ]),
    ("Tenants", [
        ("Device time by tenant", "percentunit", "Device seconds a second; tenants that are not configured are _other.",
         [(rate("stepcast_tenant_device_seconds_total", "tenant"), "{{tenant}}")], {"stack": True, "width": 16}),
        ("Share of the device time", "percentunit", "Over the range shown.",
         [(f"sum by (tenant) (increase(stepcast_tenant_device_seconds_total{{{WHERE}}}[$__range])) / ignoring (tenant)"
           f" group_left() sum(increase(stepcast_tenant_device_seconds_total{{{WHERE}}}[$__range]))", "{{tenant}}")],
         {"type": "bargauge", "width": 8}),
        ("Rows by tenant", "cps", "Rows of denoiser forwards; a guided evaluation is two.",
         [(rate("stepcast_tenant_row_evaluations_total", "tenant"), "{{tenant}}")], {"stack": True}),
        ("Calls by tenant and outcome", "reqps", "Finished painting calls; refused ones were not let in.",
         [(rate("stepcast_tenant_calls_total", "tenant, outcome"), "{{tenant}} {{outcome}}")], {"stack": True}),
    ]),
    ("Operation", [
        ("Files read again", "ops", "Configuration, tokens, certificates; failed: the log says why, the old ones stay.",
         [(rate("stepcast_config_reloads_total", "what, result"), "{{what}} {{result}}")], {}),
        ("Quarantine", "ops", "Pictures that made the engine fail, and requests refused for asking for one again.",
         [(rate("stepcast_quarantine_total", "event"), "{{event}}")], {}),
        ("Log lines dropped", "ops", "Nobody reads the log in time.",
         [(rate("stepcast_log_lines_dropped_total", "instance"), "{{instance}}")], {}),
    ]),
]
ENGINE = [
    ("Devices", [
        ("Busy", "percentunit", "Time in ticks.",
         [(rate("stepcast_device_busy_seconds_total", "instance, device"), "{{instance}} {{device}}")], {}),
        ("Busy by phase", "percentunit", "Encoding prompts, denoising, previews of tiny decoders, decoding pictures.",
         [(rate("stepcast_device_busy_seconds_total", "phase"), "{{phase}}")], {"stack": True}),
        ("Time since the last tick", "s", "Only a trouble where work waits.",
         [(f"time() - max by (instance, device) (stepcast_engine_last_progress_timestamp_seconds{{{WHERE}}})",
           "{{instance}} {{device}}")], {}),
        ("Pictures by device", "short", "Waiting, being painted, and of those the ones whose latents are in host memory.",
         [(gauge("stepcast_device_waiting", "device"), "waiting {{device}}"),
          (gauge("stepcast_device_running", "device"), "painted {{device}}"),
          (gauge("stepcast_device_parked", "device"), "parked {{device}}")], {}),
    ]),
    ("Rows and ticks", [
        ("Rows per denoise tick", "short", "Near max_rows the device is full.",
         [(f"{rate('stepcast_batch_rows_sum', 'model', MODEL)} / {rate('stepcast_batch_rows_count', 'model', MODEL)}",
           "{{model}}")], {}),
        ("Ticks by rows", "short", "How many ticks had how many rows.",
         [(f"sum by (le) (increase(stepcast_batch_rows_bucket{{{MODEL}}}[$__rate_interval]))", "{{le}}")],
         {"type": "heatmap"}),
        ("Duration of ticks, p95", "s", "By phase.",
         [("histogram_quantile(0.95, sum by (le, phase) (rate(stepcast_tick_duration_seconds_bucket"
           f"{{{WHERE}}}[$__rate_interval])))", "{{phase}}")], {}),
        ("Error of predicted ticks, median", "percentunit", "Above 10 % the promises of the cost model are poor.",
         [("histogram_quantile(0.5, sum by (le, phase) (rate(stepcast_tick_prediction_error_ratio_bucket"
           f"{{{WHERE}}}[$__rate_interval])))", "{{phase}}")], {}),
    ]),
    ("Waste", [
        ("Evaluations", "ops", "Wasted ones belong to pictures that were never delivered.",
         [(rate("stepcast_steps_total", "kind", MODEL), "{{kind}}")], {"stack": True}),
        ("Share that is wasted", "percentunit", "Cancelled, failed and expired pictures.",
         [(f"""{total('stepcast_steps_total', f'{MODEL}, kind="wasted"')} / {total('stepcast_steps_total', MODEL)}""", "")],
         {}),
        ("Encoded prompts found in the cache", "percentunit", "Those need no encode tick.",
         [(f"""{total('stepcast_embedding_cache_lookups_total', f'{WHERE}, result="hit"')}"""
           f" / {total('stepcast_embedding_cache_lookups_total')}", "")], {}),
    ]),
    ("Previews and files", [
        ("Previews by result", "ops", "Replaced by a newer one is how it works; dropped: encoders or readers are too slow.",
         [(rate("stepcast_previews_total", "result"), "{{result}}")], {"stack": True}),
        ("Encoding of a picture", "s", "PNG, JPEG or WebP.", percentiles("stepcast_image_encode_seconds"), {}),
        ("Pictures in the engine", "s", "From arrival to the last tick.",
         percentiles("stepcast_image_duration_seconds", f'{MODEL}, outcome="succeeded"'), {}),
    ]),
    ("Pictures that come with requests", [
        ("Requests with pictures", "reqps", "Read, refused for their pictures, or without room for them.",
         [(rate("stepcast_uploads_total", "result"), "{{result}}")], {"stack": True}),
        ("Reading them", "s", "Decoding and resizing, for each request.", percentiles("stepcast_upload_decode_seconds"), {}),
        ("Held in memory", "bytes", "Files and what is kept of them, of limits.input_pictures.budget_bytes.",
         [(gauge("stepcast_upload_bytes", "instance"), "{{instance}}")], {"width": 4}),
        ("Waiting to be read", "short", "Requests.", [(gauge("stepcast_uploads_waiting", "instance"), "{{instance}}")],
         {"width": 4}),
    ]),
    ("LoRAs", [
        ("LoRAs of requests", "ops", "In memory already, loaded, or failed; many loaded: loras_budget is too small.",
         [(rate("stepcast_loras_total", "result"), "{{result}}")], {"stack": True}),
        ("Held", "short", "LoRAs in memory.", [(gauge("stepcast_loras_held", "instance"), "{{instance}}")], {"width": 4}),
        ("Their bytes", "bytes", "On a device.", [(gauge("stepcast_lora_bytes", "instance"), "{{instance}}")],
         {"width": 4}),
    ]),
    ("Memory and models", [
        ("Weights on devices", "bytes", "In memory, what is shared counted once; and the budget where there is one.",
         [(f"sum by (instance, device, kind) (stepcast_device_memory_bytes{{{WHERE}}})",
           "{{instance}} {{device}} {{kind}}")], {}),
        ("Weights by model", "bytes", "0: not in memory.",
         [(f"max by (model) (stepcast_model_memory_bytes{{{MODEL}}})", "{{model}}")], {"stack": True}),
        ("Loads and unloads", "ops", "Many of both: the memory budget is too small for what is asked for.",
         [(rate("stepcast_model_loads_total", "model, result", MODEL), "{{model}} {{result}}"),
          (rate("stepcast_model_unloads_total", "model", MODEL), "{{model}} unloaded")], {}),
        ("Models", "short", "What is served.",
         [(f"max by (model, dtype, device, sha256) (stepcast_model_info{{{MODEL}}})", "")], {"type": "table", "width": 24}),
    ]),
    ("Process", [
        ("CPU", "short", "Cores.", [(rate("process_cpu_seconds_total", "instance"), "{{instance}}")], {}),
        ("Resident memory", "bytes", "", [(gauge("process_resident_memory_bytes", "instance"), "{{instance}}")], {}),
        ("File descriptors in use", "percentunit", "Of the limit, at which no more connections are accepted.",
         [(f"max by (instance) (process_open_fds{{{WHERE}}} / process_max_fds{{{WHERE}}})", "{{instance}}")], {}),
        ("Builds", "short", "What runs where.",
         [(f"max by (instance, version, commit) (stepcast_build_info{{{WHERE}}})", "")], {"type": "table", "width": 24}),
    ]),
]


def panel(number, spec, x, y):
    """One panel of Grafana's schema 39, at (x, y) of its 24 columns."""
    title, unit, text, queries, options = spec
    kind = options.get("type", "timeseries")
    custom = {"fillOpacity": 20 if options.get("stack") else 5, "showPoints": "never"}
    if options.get("stack"):
        custom["stacking"] = {"mode": "normal", "group": "A"}
    made = {
        "id": number, "type": kind, "title": title, "description": text,
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "gridPos": {"x": x, "y": y, "w": width(spec), "h": 4 if kind == "stat" else 8},
        "fieldConfig": {"defaults": {"unit": unit, "custom": custom if kind == "timeseries" else {}}, "overrides": []},
        "targets": [{"refId": chr(65 + i), "expr": expression, "legendFormat": legend or "__auto",
                     "instant": kind in ("table", "bargauge"), "range": kind not in ("table", "bargauge"),
                     "format": kind if kind in ("table", "heatmap") else "time_series"}
                    for i, (expression, legend) in enumerate(queries)],
    }
    if kind == "timeseries":
        made["fieldConfig"]["defaults"]["min"] = 0
        made["options"] = {"legend": {"displayMode": "list", "placement": "bottom"},
                           "tooltip": {"mode": "multi", "sort": "desc"}}
    if kind == "heatmap":
        made["options"] = {"calculate": False, "yAxis": {"unit": unit}, "color": {"mode": "scheme", "scheme": "Blues"}}
    return made


def width(spec):
    return spec[4].get("width", 8 if spec[4].get("type") != "table" else 24)


def variable(name, query, label):
    return {"name": name, "label": label, "type": "query", "query": {"query": query, "refId": name},
            "definition": query, "datasource": {"type": "prometheus", "uid": "${datasource}"}, "refresh": 2,
            "includeAll": True, "allValue": ".*", "multi": True, "current": {"text": "All", "value": "$__all"}, "sort": 1}


def dashboard(uid, title, other, rows):
    panels, y = [], 0
    for name, specs in rows:
        panels.append({"id": len(panels) + 1, "type": "row", "title": name, "collapsed": False, "panels": [],
                       "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}})
        x, y, tallest = 0, y + 1, 0
        for spec in specs:
            if x + width(spec) > 24:
                x, y, tallest = 0, y + tallest, 0
            panels.append(panel(len(panels) + 1, spec, x, y))
            x, tallest = x + width(spec), max(tallest, panels[-1]["gridPos"]["h"])
        y += tallest
    return {
        "uid": uid, "title": title, "tags": ["stepcast"], "schemaVersion": 39, "version": 1, "editable": False,
        "timezone": "browser", "refresh": "30s", "time": {"from": "now-6h", "to": "now"}, "graphTooltip": 1,
        "links": [{"title": other[1], "type": "link", "url": f"/d/{other[0]}", "keepTime": True, "includeVars": True}],
        "annotations": {"list": [{
            "name": "Alerts", "enable": True, "iconColor": "red", "titleFormat": "{{alertname}}",
            "datasource": {"type": "prometheus", "uid": "${datasource}"},
            "expr": 'ALERTS{alertname=~"Stepcast.*", alertstate="firing"}'}]},
        "templating": {"list": [
            {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
            variable("job", "label_values(stepcast_build_info, job)", "Job"),
            variable("instance", 'label_values(stepcast_build_info{job=~"$job"}, instance)', "Replica"),
            variable("model", 'label_values(stepcast_model_info{job=~"$job"}, model)', "Model")]},
        "panels": panels,
    }


def prometheus_rule():
    """The operator's object with the groups of rules/; gpu.yaml is left out, it needs dcgm-exporter."""
    groups = []
    for name in ("recording.yaml", "alerts.yaml"):
        groups += yaml.safe_load((OBSERVABILITY / "rules" / name).read_text())["groups"]
    made = {"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule", "metadata": {"name": "stepcast"},
            "spec": {"groups": groups}}
    return ("# Written by tools/dashboards/make_dashboards.py from rules/.\n" +
            yaml.safe_dump(made, sort_keys=False, width=10000))


def main():
    service, engine = ("stepcast-service", "Stepcast: service"), ("stepcast-engine", "Stepcast: engine")
    files = {
        "dashboards/service.json": json.dumps(dashboard(*service, engine, SERVICE), indent=1) + "\n",
        "dashboards/engine.json": json.dumps(dashboard(*engine, service, ENGINE), indent=1) + "\n",
        "prometheus-rule.yaml": prometheus_rule(),
    }
    stale = [name for name, text in files.items()
             if not (OBSERVABILITY / name).is_file() or (OBSERVABILITY / name).read_text() != text]
    if "--check" in sys.argv[1:]:
        for name in stale:
            print(f"deploy/observability/{name} is not what tools/dashboards/make_dashboards.py writes")
        return 1 if stale else 0
    for name in stale:
        (OBSERVABILITY / name).write_text(files[name])
    return 0


if __name__ == "__main__":
    sys.exit(main())
