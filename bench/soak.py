#!/usr/bin/env python3
"""Lives with a real server for as long as one likes: pictures, cancels, uploads, deadlines, requests that are wrong.

    bench/soak.py [--build build/dev] [--minutes 30] [--load 0.9] [--threads N] [--json FILE]

Calls come by a Poisson process at `--load` of what the server paints when it is asked without a pause (measured first).
Ends with 0 if everything holds, and with 1 otherwise:

- every call ends, and the server's books say the same: calls made are calls told, by their codes; pictures that began
  have ended; nothing waits or runs afterwards;
- memory does not grow: the slope of the resident memory after the first third, over the time that is left, is below
  --growth MiB (8);
- open files and threads are as many as before;
- health answers: the 99.9th percentile of its checks, ten a second on the admin port, is below one second.

Needs Python with grpc: that of .deps/python (./dev test installs it) is found by itself.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "clients/python/src"), str(ROOT / "bench")]
if (ROOT / ".deps/python").is_dir():
    sys.path.insert(1, str(ROOT / ".deps/python"))

import grpc  # noqa: E402

from uploads import noise_png, percentile  # noqa: E402

SERVICE = "/stepcast.v1.ImageGenerationService/Generate"
# Kind: share of the calls.
TRAFFIC = {"paint": 0.66, "pair": 0.06, "cancel": 0.10, "upload": 0.06, "deadline": 0.03, "wrong": 0.05, "bytes": 0.02,
           "spoilt": 0.02}
EXPECTED = {"paint": {"OK", "RESOURCE_EXHAUSTED"}, "pair": {"OK", "RESOURCE_EXHAUSTED"},
            "cancel": {"CANCELLED", "OK", "RESOURCE_EXHAUSTED"}, "upload": {"OK", "RESOURCE_EXHAUSTED"},
            "deadline": {"DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "OK"}, "wrong": {"INVALID_ARGUMENT"},
            "bytes": {"INVALID_ARGUMENT"}, "spoilt": {"INVALID_ARGUMENT"}}


def messages():
    subprocess.run([sys.executable, ROOT / "clients/python/generate.py"], check=True,
                   env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    from stepcast.v1 import image_generation_pb2, input_picture_pb2
    return image_generation_pb2, input_picture_pb2.RESIZE_MODE_COVER


class Server:
    def __init__(self, args, folder):
        self.log = folder / "log"
        command = [args.build / "stepcast-server", f"--models_dir={ROOT}/models", f"--control_nets_dir={ROOT}/models",
                   "--default_model=emoji", "--port=0", "--admin_port=0", "--metrics_port=0",
                   f"--port_file={folder}/ports.json"]
        if args.threads:
            command.append(f"--threads={args.threads}")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        while not (folder / "ports.json").exists():
            if self.process.poll() is not None:
                sys.exit(f"the server did not start:\n{self.log.read_text()}")
            time.sleep(0.1)
        self.ports = json.loads((folder / "ports.json").read_text())
        wait = [args.build / "stepcast", "--host", f"127.0.0.1:{self.ports['port']}", "health", "--wait", "180"]
        subprocess.run(wait, check=True)
        self.proc = pathlib.Path(f"/proc/{self.process.pid}")

    def page(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['metrics_port']}/metrics", timeout=30) as answer:
            return answer.read().decode().splitlines()

    def series(self, name):
        return sum(float(line.rsplit(" ", 1)[1]) for line in self.page() if line.startswith(name))

    def state(self):
        status = dict(line.split(":", 1) for line in (self.proc / "status").read_text().splitlines())
        return {"rss_mib": int(status["VmRSS"].split()[0]) / 1024, "threads": int(status["Threads"]),
                "files": len(list((self.proc / "fd").iterdir()))}

    def idle(self):
        return self.series("stepcast_requests_waiting") + self.series("stepcast_requests_running") == 0


class Clients:
    """Makes calls of every kind, and keeps how they ended."""

    def __init__(self, server, seed):
        self.pb, self.cover = messages()
        self.random = random.Random(seed)
        self.picture = noise_png(512)
        self.lock = threading.Lock()
        self.ends = collections.Counter()
        self.surprises = []
        options = [("grpc.max_receive_message_length", 64 << 20)]
        self.channels = [grpc.insecure_channel(f"127.0.0.1:{server.ports['port']}",
                                               [*options, ("grpc.use_local_subchannel_pool", 1)]) for _ in range(4)]

    def close(self):
        for channel in self.channels:
            channel.close()

    def request(self, kind):
        request = self.pb.GenerateRequest(prompt=self.random.choice(["a red apple", "a panda", "a lighthouse at dusk"]),
                                          steps=self.random.choice([4, 8, 12, 20]), seed=self.random.randrange(1 << 40))
        if kind == "pair":
            request.image_count = 2
            request.preview.every_n_steps = 4
        if kind in ("cancel", "deadline"):
            request.steps = 100
        if kind in ("upload", "spoilt"):
            request.init_image = self.picture if kind == "upload" else self.picture[:5000]
            request.resize_mode = self.cover
        if kind == "wrong":
            request.width = 65
            request.guidance_scale = 1e9
        return request

    def call(self, kind):
        channel = self.random.choice(self.channels)
        data = b"\xff\xff\xff" if kind == "bytes" else self.request(kind).SerializeToString()
        call = channel.unary_stream(SERVICE)(data, timeout=0.15 if kind == "deadline" else 300)
        code = "OK"
        try:
            for place, _ in enumerate(call):
                if kind == "cancel" and place == 2:
                    call.cancel()
        except grpc.RpcError as error:
            code = error.code().name
            if code not in EXPECTED[kind]:
                with self.lock:
                    self.surprises.append(f"{kind}: {code} {error.details()}")
        with self.lock:
            self.ends[f"{kind} {code}"] += 1


class Probe(threading.Thread):
    """Asks for health ten times a second."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.stopping = threading.Event()
        self.seconds = []
        self.failures = 0
        channel = grpc.insecure_channel(f"127.0.0.1:{server.ports['admin_port']}")
        self.check = channel.unary_unary("/grpc.health.v1.Health/Check")
        self.start()

    def run(self):
        while not self.stopping.wait(0.1):
            begin = time.monotonic()
            try:
                # HealthCheckRequest{service: "liveness"}; HealthCheckResponse{SERVING}.
                if self.check(b"\x0a\x08liveness", timeout=10) != b"\x08\x01":
                    self.failures += 1
            except grpc.RpcError:
                self.failures += 1
            self.seconds.append(time.monotonic() - begin)


def capacity(clients, seconds):
    """Pictures per second of eight people who never pause."""
    end = time.monotonic() + seconds
    count = 0
    lock = threading.Lock()

    def work():
        nonlocal count
        while time.monotonic() < end:
            clients.call("paint")
            with lock:
                count += 1

    begin = time.monotonic()
    people = [threading.Thread(target=work) for _ in range(8)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    return count / (time.monotonic() - begin)


def soak(args, server, clients, rate):
    """Calls at `rate`; the states of the server meanwhile, (seconds, state)."""
    rng = random.Random(args.seed)
    states = []
    begin = time.monotonic()
    due = next_state = begin
    with concurrent.futures.ThreadPoolExecutor(max_workers=256) as pool:
        while due < begin + 60 * args.minutes:
            if due >= next_state:
                states.append((time.monotonic() - begin, server.state()))
                next_state += args.minutes
                server.page()
            time.sleep(max(0.0, due - time.monotonic()))
            pool.submit(clients.call, rng.choices(list(TRAFFIC), TRAFFIC.values())[0])
            due += rng.expovariate(rate)
    while not server.idle():
        time.sleep(0.2)
    return states


def slope(states):
    """MiB by which the memory grows over the time of the last two thirds, by least squares."""
    late = [(at, state["rss_mib"]) for at, state in states[len(states) // 3:]]
    if len(late) < 3:
        return float("nan")
    fit = statistics.linear_regression(*zip(*late))
    return fit.slope * (late[-1][0] - late[0][0])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/dev")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--load", type=float, default=0.9)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--growth", type=float, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the server is taken along
    with tempfile.TemporaryDirectory() as name:
        server = Server(args, pathlib.Path(name))
        try:
            report, claims = run(args, server)
        finally:
            server.process.send_signal(signal.SIGTERM)
            ended = server.process.wait(timeout=120)
        claims["the server drains and ends with 0"] = ended == 0
        report["claims"] = claims
    text = json.dumps(report, indent=1)
    print(text)
    if args.json:
        args.json.write_text(text + "\n")
    sys.exit(0 if all(claims.values()) else 1)


def run(args, server):
    clients = Clients(server, args.seed)
    for kind in TRAFFIC:  # every thread and file that there will be
        clients.call(kind)
    full = capacity(clients, 10)
    time.sleep(1)
    before = server.state()
    probe = Probe(server)
    states = soak(args, server, clients, args.load * full)
    probe.stopping.set()
    probe.join()
    calls = sum(clients.ends.values())
    books = {"told": server.series("stepcast_requests_total{"),
             "ended": server.series("stepcast_image_duration_seconds_count"),
             "counted": server.series("stepcast_images_total{"),
             "tenants_s": server.series("stepcast_tenant_device_seconds_total"),
             "busy_s": server.series("stepcast_device_busy_seconds_total")}
    clients.close()
    time.sleep(2)  # connections are taken down
    after = server.state()
    growth = slope(states)
    slowest = percentile(probe.seconds, 0.999)
    report = {"minutes": args.minutes, "load": args.load, "pictures_per_second_at_full_load": round(full, 2),
              "machine_load": os.getloadavg()[0], "calls": calls, "ends": dict(sorted(clients.ends.items())),
              "surprises": clients.surprises[:10], "before": before, "after": after, "books": books,
              "rss_growth_mib": round(growth, 2), "health_checks": len(probe.seconds),
              "health_p50_ms": round(1e3 * percentile(probe.seconds, 0.5), 2),
              "health_p999_ms": round(1e3 * slowest, 1)}
    claims = {"every call ended as its kind may": not clients.surprises,
              "calls made are calls told": books["told"] == calls,
              "pictures that were let in have ended": books["ended"] == books["counted"],
              "tenants are charged what devices were busy": abs(books["tenants_s"] - books["busy_s"]) < 1e-6 * calls,
              f"memory grows by less than {args.growth} MiB": growth < args.growth,
              "files are back": after["files"] <= before["files"],
              "threads are back": after["threads"] <= before["threads"] + 1,
              "health answers within a second": slowest < 1 and probe.failures == 0}
    return report, claims


if __name__ == "__main__":
    main()
