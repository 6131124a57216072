"""Several real servers, a real Envoy in front of them, and people who ask for pictures."""
import contextlib
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

import yaml

import scrape
from scrape import ROOT

PATIENCE = 120  # seconds for what takes few; a busy machine is slow


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {PATIENCE} s")
        time.sleep(0.02)


class Replica:
    """A server on ports that it keeps when it is started again, as a pod keeps its name."""

    def __init__(self, binaries, folder, name, config="", flags=()):
        self.binaries, self.folder, self.name = binaries, pathlib.Path(folder), name
        self.ports = {key: free_port() for key in ("port", "admin_port", "metrics_port")}
        self.config = self.folder / f"{name}.yaml"
        self.config.write_text(config)
        self.flags = flags
        self.process = None

    @property
    def address(self):
        return f"127.0.0.1:{self.ports['port']}"

    def start(self):
        with open(self.folder / f"{self.name}.log", "a") as log:
            self.process = subprocess.Popen(
                [f"{self.binaries}/stepcast-server", "--config", self.config, "--profile_budget=0", "--threads=1",
                 *(f"--{key}={value}" for key, value in self.ports.items()), *self.flags],
                cwd=ROOT, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env={**os.environ, "GOMP_SPINCOUNT": "200"})
        subprocess.run([f"{self.binaries}/stepcast", "--host", self.address, "health", "--wait", str(PATIENCE), "--while-pid",
                        str(self.process.pid)], check=True, stdout=subprocess.DEVNULL)
        return self

    def drain(self):
        """SIGTERM, and waits; what a rolling update does to a pod."""
        self.process.terminate()
        return self.process.wait(PATIENCE)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            # The second signal skips the drain.
            self.process.terminate()
            self.process.terminate()
            self.process.wait(PATIENCE)

    def value(self, metric, **labels):
        """The sum over the series of `metric` that have these labels."""
        _, values = scrape.series(scrape.page(self.ports))
        return sum(value for (name, pairs), value in values.items()
                   if name == metric and labels.items() <= dict(pairs).items())

    def painted(self):
        return self.value("stepcast_images_total", finish_reason="succeeded")


def manager(config):
    """The HTTP connection manager of an Envoy configuration."""
    return config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]


def endpoints(ports):
    return [{"lb_endpoints": [{"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}}
                              for port in ports]}]


def envoy_configuration(path, clusters, listener, admin):
    """A shipped configuration with its replicas, {cluster: [Replica]}, and ports of this machine."""
    config = yaml.safe_load(pathlib.Path(path).read_text())
    config["admin"]["address"]["socket_address"]["port_value"] = admin
    resources = config["static_resources"]
    resources["listeners"][0]["address"]["socket_address"] = {"address": "127.0.0.1", "port_value": listener}
    for cluster in resources["clusters"]:
        if cluster["name"] in clusters:
            cluster["type"] = "STATIC"
            cluster["load_assignment"]["endpoints"] = endpoints(replica.ports["port"] for replica in clusters[cluster["name"]])
    return config


class Envoy:
    """Envoy with a shipped configuration, ready once it knows that all of its replicas are."""

    def __init__(self, program, folder, configuration, clusters, change=lambda config: None):
        self.port, self.admin = free_port(), free_port()
        config = envoy_configuration(configuration, clusters, self.port, self.admin)
        change(config)
        path = pathlib.Path(folder) / f"envoy-{self.port}.yaml"
        path.write_text(yaml.safe_dump(config))
        self.log = path.with_suffix(".log")
        with open(self.log, "w") as log:
            self.process = subprocess.Popen([program, "--config-path", path, "--concurrency", "1", "--use-dynamic-base-id",
                                             "--log-level", "warn"], stdout=log, stderr=log)
        self.ports = {replica.ports["port"] for replicas in clusters.values() for replica in replicas}
        wait_until(lambda: self.healthy() == len(self.ports), f"Envoy sees {len(self.ports)} replicas")

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def ask(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request("GET", path)
            return connection.getresponse().read().decode()

    def healthy(self):
        """How many replicas it sends calls to; -1 while it starts."""
        if self.process.poll() is not None:
            raise RuntimeError(self.log.read_text()[-4000:])
        with contextlib.suppress(OSError, ValueError):
            clusters = json.loads(self.ask("/clusters?format=json"))["cluster_statuses"]
            ready = {host["address"]["socket_address"]["port_value"] for cluster in clusters for host in cluster.get("host_statuses", [])
                     if not any(key.startswith("failed") for key in host["health_status"])}
            return len(ready & self.ports)
        return -1

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)


class Crowd:
    """`people` threads that each ask for the next picture as soon as one has come, until they are told to stop."""

    def __init__(self, people, paint):
        self._paint, self._enough, self._lock = paint, threading.Event(), threading.Lock()
        self.pictures, self.failures = [], []
        self._threads = [threading.Thread(target=self._ask, args=(number,), daemon=True) for number in range(people)]
        for thread in self._threads:
            thread.start()

    def _ask(self, number):
        asked = 0
        while not self._enough.is_set():
            seed, asked = number * 100_000 + asked, asked + 1
            try:
                made = self._paint(seed)
            except Exception as error:  # the test tells of it
                with self._lock:
                    self.failures.append(error)
                continue
            with self._lock:
                self.pictures.append((seed, made))

    def count(self):
        with self._lock:
            return len(self.pictures)

    def wait_for(self, more):
        """Until `more` pictures have come from now on."""
        aim = self.count() + more
        wait_until(lambda: self.count() >= aim or self.failures, f"{more} more pictures")

    def finish(self):
        """Lets everybody have the last picture; the pictures and failures are then complete."""
        self._enough.set()
        for thread in self._threads:
            thread.join(PATIENCE)
        return self
