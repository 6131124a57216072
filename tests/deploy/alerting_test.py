#!/usr/bin/env python3
"""The shipped rules in a real Prometheus with a real Alertmanager: a replica dies, a queue overflows; alerts arrive and are resolved.

    alerting_test.py <folder of the binaries> <folder of prometheus, promtool and prometheus-alertmanager>

Every duration of the rules is a sixtieth here (a minute is a second), nothing else of them is changed.
"""
import contextlib
import http.server
import json
import pathlib
import queue
import re
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

import yaml

import scrape

OBSERVABILITY = scrape.ROOT / "deploy" / "observability"
PATIENCE = 90  # seconds for an alert that takes some fifteen; a busy machine is slow
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def faster(text):
    """The rules with every duration divided by 60, at least a second."""
    return re.sub(r"(?<=[\[ e])(\d+)([smhd])(?=[\]\s]|$)", lambda m: f"{max(1, int(m[1]) * SECONDS[m[2]] // 60)}s", text,
                  flags=re.MULTILINE)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Webhook:
    """What Alertmanager would send to people."""

    def __init__(self):
        told = self.told = queue.Queue()

        class Receiver(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                for alert in body["alerts"]:
                    told.put((alert["labels"]["alertname"], alert["status"]))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def expect(self, alert, status):
        """Waits until people are told; what else they are told meanwhile does not matter."""
        while True:
            try:
                if self.told.get(timeout=PATIENCE) == (alert, status):
                    return
            except queue.Empty:
                raise AssertionError(f"nobody was told that {alert} is {status}") from None


class AlertingTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = contextlib.ExitStack()
        cls.folder = pathlib.Path(cls.stack.enter_context(tempfile.TemporaryDirectory()))
        cls.webhook = Webhook()
        cls.stack.callback(cls.webhook.server.shutdown)
        cls.targets = cls.folder / "targets.json"
        cls.targets.write_text("[]")
        alertmanager, prometheus = free_port(), free_port()
        cls.write_configuration(alertmanager)
        cls.start("prometheus-alertmanager", "--config.file=alertmanager.yaml", "--cluster.listen-address=",
                  f"--web.listen-address=127.0.0.1:{alertmanager}", "--storage.path=alertmanager")
        cls.start("prometheus", "--config.file=prometheus.yaml", f"--web.listen-address=127.0.0.1:{prometheus}",
                  "--storage.tsdb.path=tsdb", "--rules.alert.resend-delay=1s")

    @classmethod
    def write_configuration(cls, alertmanager):
        for name in ("recording.yaml", "alerts.yaml"):
            (cls.folder / name).write_text(faster((OBSERVABILITY / "rules" / name).read_text()))
        shipped = yaml.safe_load((OBSERVABILITY / "prometheus.yaml").read_text())
        shipped["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
        shipped["rule_files"] = [pathlib.Path(name).name for name in shipped["rule_files"]]
        shipped["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{alertmanager}"]
        job = shipped["scrape_configs"][0]
        del job["static_configs"]
        job["file_sd_configs"] = [{"files": ["targets.json"], "refresh_interval": "1s"}]
        (cls.folder / "prometheus.yaml").write_text(yaml.safe_dump(shipped))

        shipped = yaml.safe_load((OBSERVABILITY / "alertmanager.yaml").read_text())
        shipped["route"] |= {"group_wait": "0s", "group_interval": "1s"}
        for receiver in shipped["receivers"]:
            receiver["webhook_configs"] = [{"url": f"http://127.0.0.1:{cls.webhook.server.server_port}/", "send_resolved": True}]
        (cls.folder / "alertmanager.yaml").write_text(yaml.safe_dump(shipped))

    @classmethod
    def start(cls, program, *flags):
        log = cls.stack.enter_context(open(cls.folder / f"{program}.log", "w"))
        process = subprocess.Popen([f"{TOOLS}/{program}", *flags], cwd=cls.folder, stdout=log, stderr=log)
        cls.stack.callback(process.wait)
        cls.stack.callback(process.kill)

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()

    def scrape_this(self, ports):
        """The replica keeps its name whatever its port is."""
        fresh = self.folder / "targets.new"
        fresh.write_text(json.dumps([{"targets": [f"127.0.0.1:{ports['metrics_port']}"], "labels": {"instance": "replica"}}]))
        fresh.rename(self.targets)

    def test_a_dead_replica_is_told_and_its_return_too(self):
        self.webhook.expect("StepcastNoReplica", "firing")
        with scrape.running_server(BINARIES) as ports:
            self.scrape_this(ports)
            self.webhook.expect("StepcastNoReplica", "resolved")
        self.webhook.expect("StepcastNoReplica", "firing")

    def test_refusals_are_told_and_their_end_too(self):
        (self.folder / "server.yaml").write_text("scheduler:\n  max_queued_jobs: 1\n")
        with scrape.running_server(BINARIES, ["--config", str(self.folder / "server.yaml")]) as ports:
            self.scrape_this(ports)
            enough = threading.Event()
            refused = threading.Thread(target=self.ask_for_too_much, args=(ports, enough))
            refused.start()
            try:
                self.webhook.expect("StepcastRefusing", "firing")
            finally:
                enough.set()
                refused.join()
            self.webhook.expect("StepcastRefusing", "resolved")

    def ask_for_too_much(self, ports, enough):
        while not enough.is_set():
            subprocess.run([f"{BINARIES}/stepcast", "--host", f"127.0.0.1:{ports['port']}", "generate", "a red apple", "--count", "4",
                            "-o", str(self.folder / "apple.png")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
            enough.wait(0.2)


if __name__ == "__main__":
    BINARIES, TOOLS = sys.argv[1:3]
    del sys.argv[1:3]
    unittest.main()
