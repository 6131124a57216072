#!/usr/bin/env python3
"""deploy/observability against the real server: every metric, label and value that a rule or panel names is there from the start.

    observability_test.py <folder of the binaries>

With promtool (`./dev test observability` brings it) every expression is also parsed by Prometheus itself.
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

try:
    import yaml
except ImportError:
    print("skipped: needs python3-yaml")
    sys.exit(77)

import promql
import scrape

ROOT = scrape.ROOT
OBSERVABILITY = ROOT / "deploy" / "observability"
# What Prometheus adds: to every series of a target, and by itself.
TARGET_LABELS = {"job", "instance", "namespace", "pod"}
FOREIGN = {"up": {"job", "instance"}, "ALERTS": {"alertname", "alertstate", "severity"},
           "DCGM_FI_DEV_XID_ERRORS": {"gpu", "Hostname"}}
PROMTOOL = shutil.which("promtool")
GRAFANA = {"$__rate_interval": "5m", "$__range": "1h"}


def rules():
    """(group, rule) of every rule file."""
    for path in sorted((OBSERVABILITY / "rules").glob("*.yaml")):
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                yield path.name, rule


def dashboards():
    for path in sorted((OBSERVABILITY / "dashboards").glob("*.json")):
        yield path.name, json.loads(path.read_text())


def panel_expressions():
    for name, board in dashboards():
        for annotation in board["annotations"]["list"]:
            yield f"{name}: annotation", annotation["expr"]
        for panel in board["panels"]:
            for target in panel.get("targets", []):
                yield f"{name}: {panel['title']}", target["expr"]


def readable(expression):
    """A panel's expression as Prometheus gets it, for all values of the variables."""
    for name, value in GRAFANA.items():
        expression = expression.replace(name, value)
    return re.sub(r"\$\w+", ".*", expression)


def expressions():
    for name, rule in rules():
        yield f"{name}: {rule.get('record') or rule['alert']}", rule["expr"]
    for name, expression in panel_expressions():
        yield name, readable(expression)


def matches(how, wanted, value):
    if how in ("=", "!="):
        return value == wanted
    return re.fullmatch(wanted, value) is not None


class ScrapeTest(unittest.TestCase):
    """Needs the server; one scrape before any call serves all."""

    @classmethod
    def setUpClass(cls):
        with scrape.running_server(BINARIES) as ports:
            cls.page = scrape.page(ports)
        cls.names, cls.values = scrape.series(cls.page)
        # With the labels that each keeps.
        cls.recorded = {rule["record"]: promql.parse(rule["expr"])[1] for _, rule in rules() if "record" in rule}

    def test_every_series_that_is_named_exists_before_the_first_call(self):
        for where, expression in expressions():
            for selector in promql.parse(expression)[0]:
                with self.subTest(where=where, metric=selector.name):
                    self.check_selector(selector)

    def check_selector(self, selector):
        if selector.name in FOREIGN or ":" in selector.name:
            known = FOREIGN.get(selector.name, self.recorded.get(selector.name))
            self.assertIsNotNone(known, f"no rule records {selector.name}")
            self.assertLessEqual({label for label, _, _ in selector.matchers}, known | TARGET_LABELS, selector.name)
            return
        self.assertIn(selector.name, self.names)
        for label, how, wanted in selector.matchers:
            if label in TARGET_LABELS:
                continue
            told = [labels[label] for labels in self.names[selector.name] if label in labels]
            self.assertTrue(told, f"{selector.name} has no label {label}")
            for alternative in wanted.split("|") if how == "=~" else [wanted]:
                self.assertTrue(alternative == "" or any(matches(how, alternative, value) for value in told),
                                f"{selector.name}: no {label} is {alternative}, but {sorted(set(told))}")

    def test_labels_to_group_by_exist(self):
        known = {label for all_labels in self.names.values() for labels in all_labels for label in labels}
        known |= TARGET_LABELS | set().union(*FOREIGN.values())
        for where, expression in expressions():
            self.assertLessEqual(promql.parse(expression)[1], known, where)

    def test_every_metric_is_shown_or_watched(self):
        used = {selector.name for _, expression in expressions() for selector in promql.parse(expression)[0]}
        mine = {re.sub("_(bucket|sum|count)$", "", name) for name in self.names if name.startswith("stepcast_")}
        self.assertEqual(mine - {re.sub("_(bucket|sum|count)$", "", name) for name in used}, set())

    def test_counters_start_at_zero(self):
        for (name, labels), value in self.values.items():
            if name.startswith("stepcast_") and name.endswith(("_total", "_count")):
                self.assertEqual(value, 0, f"{name}{labels} before any call")

    def test_every_method_and_reason_has_its_series(self):
        methods = {method for path in (ROOT / "proto" / "stepcast" / "v1").glob("*.proto")
                   for method in re.findall(r"^  rpc (\w+)", path.read_text(), re.MULTILINE)}
        self.assertEqual({labels["method"] for labels in self.names["stepcast_requests_total"]}, methods)
        documented = set(re.findall(r"^## ([A-Z_]+)$", (ROOT / "docs" / "errors.md").read_text(), re.MULTILINE))
        # Those end a call that was admitted, or was not refused.
        reasons = documented - {"CLIENT_CANCELLED", "CLIENT_STALLED", "NUMERIC_FAULT"} | {"UNKNOWN"}
        self.assertEqual({labels["reason"] for labels in self.names["stepcast_rejected_total"]}, reasons)

    def test_the_table_of_metrics_is_what_the_server_tells(self):
        table = (ROOT / "docs" / "operations.md").read_text().split("## Metrics")[1].split("\n## ")[0]
        documented = set(re.findall(r"`(stepcast_[a-z_]+)`", table))
        told = {re.sub("_(bucket|sum|count)$", "", name) for name in self.names if name.startswith("stepcast_")}
        # Told only where there is TLS.
        self.assertEqual(documented - {"stepcast_tls_certificate_expiry_timestamp_seconds"}, told)

    @unittest.skipUnless(PROMTOOL, "no promtool")
    def test_promtool_accepts_the_page(self):
        run = subprocess.run([PROMTOOL, "check", "metrics"], input=self.page, text=True, capture_output=True, check=False)
        self.assertEqual((run.returncode, run.stdout + run.stderr), (0, ""))


class FilesTest(unittest.TestCase):
    def test_each_alert_says_whom_it_wakes_and_what_to_do(self):
        runbook = (ROOT / "docs" / "runbook.md").read_text()
        sections = re.findall(r"^## (Stepcast\w+)$", runbook, re.MULTILINE)
        alerts = [rule for _, rule in rules() if "alert" in rule]
        self.assertEqual(sorted(sections), sorted(rule["alert"] for rule in alerts))
        for rule in alerts:
            self.assertIn(rule["labels"]["severity"], ("page", "ticket"), rule["alert"])
            self.assertEqual(set(rule["annotations"]), {"summary", "description", "runbook"}, rule["alert"])
            self.assertEqual(rule["annotations"]["runbook"], f"docs/runbook.md#{rule['alert'].lower()}")

    def test_each_alert_is_tested_both_quiet_and_firing(self):
        quiet, fires = set(), set()
        for path in (OBSERVABILITY / "rules_tests").glob("*.yaml"):
            for group in yaml.safe_load(path.read_text())["tests"]:
                for case in group.get("alert_rule_test", []):
                    (fires if case["exp_alerts"] else quiet).add(case["alertname"])
        alerts = {rule["alert"] for _, rule in rules() if "alert" in rule}
        self.assertEqual((alerts - quiet, alerts - fires), (set(), set()))

    def test_dashboards_can_be_provisioned(self):
        uids = [board["uid"] for _, board in dashboards()]
        self.assertEqual(len(uids), len(set(uids)))
        for name, board in dashboards():
            self.assertNotIn("id", board, name)  # Grafana gives it
            ids = [panel["id"] for panel in board["panels"]]
            self.assertEqual(len(ids), len(set(ids)), name)
            taken = set()
            for panel in board["panels"]:
                at = panel["gridPos"]
                cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
                self.assertFalse(taken & cells, f"{name}: {panel['title']} lies on another panel")
                self.assertLessEqual(at["x"] + at["w"], 24, f"{name}: {panel['title']}")
                taken |= cells

    def test_derived_files_are_up_to_date(self):
        run = subprocess.run([sys.executable, ROOT / "tools" / "dashboards" / "make_dashboards.py", "--check"],
                             text=True, capture_output=True, check=False)
        self.assertEqual((run.returncode, run.stdout), (0, ""))

    @unittest.skipUnless(PROMTOOL, "no promtool")
    def test_prometheus_parses_every_expression(self):
        with tempfile.TemporaryDirectory() as folder:
            panels = pathlib.Path(folder) / "panels.yaml"
            panels.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": [
                {"record": f"panel:{i}", "expr": readable(expression)} for i, (_, expression) in enumerate(panel_expressions())]}]}))
            files = [str(path) for path in sorted((OBSERVABILITY / "rules").glob("*.yaml"))]
            run = subprocess.run([PROMTOOL, "check", "rules", *files, panels], text=True, capture_output=True, check=False)
            self.assertEqual(run.returncode, 0, run.stdout + run.stderr)


if __name__ == "__main__":
    BINARIES = sys.argv.pop(1)
    unittest.main()
