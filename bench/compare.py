#!/usr/bin/env python3
"""Measures Stepcast beside its peer and beside its own limits, in one run; prints ratios and writes bench/results/.

    bench/compare.py [--build build/bench] [--peer-python PYTHON] [--name cpu] [--only ticks,request,...]

Every figure is the median of alternating runs, so that a machine that slows down slows both sides. Without a Python that
has diffusers the peer's columns stay empty. Quiet the machine first: the load average is written into the result.
"""
import argparse
import json
import math
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
THREADS = 2


def run(*command):
    """Runs a program and returns its JSON lines."""
    done = subprocess.run([str(c) for c in command], cwd=ROOT, check=True, capture_output=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


class Sides:
    """The two programs that are compared."""

    def __init__(self, args):
        self.engine = [args.build / "bench/engine_bench"]
        self.peer = [args.peer_python, ROOT / "bench/peer_diffusers.py"] if args.peer_python else None

    def measure(self, scenario, dtype, *flags):
        """Returns one run of each: (engine lines, peer lines or [])."""
        flags = [f"--dtype={dtype}", f"--threads={THREADS}", *flags]
        ours = run(*self.engine, scenario, *flags)
        return ours, run(*self.peer, scenario, *flags) if self.peer else []


def ticks(sides, args):
    """Milliseconds per tick and per peer's forward, for 1 .. 32 rows."""
    result = {}
    for dtype in ("fp32", "bf16"):
        runs = [sides.measure("ticks", dtype, "--repeat=3") for _ in range(args.rounds)]
        table = []
        for i, row in enumerate(runs[0][0]):
            ours = statistics.median(r[0][i]["tick_ms"] for r in runs)
            peer = statistics.median(r[1][i]["tick_ms"] for r in runs) if runs[0][1] else None
            table.append({"rows": row["rows"], "tick_ms": round(ours, 2), "peer_forward_ms": peer and round(peer, 2),
                          "ratio": peer and round(peer / ours, 2)})
        result[dtype] = table
    return result


def request(sides, args):
    """One request of 20 steps, end to end."""
    result = {}
    for dtype in ("fp32", "bf16"):
        runs = [sides.measure("jobs", dtype, "--jobs=1", "--steps=20", "--repeat=3") for _ in range(args.rounds)]
        ours = statistics.median(r[0][0]["wall_s"] for r in runs)
        peer = statistics.median(r[1][0]["wall_s"] for r in runs) if runs[0][1] else None
        result[dtype] = {"wall_s": round(ours, 4), "peer_wall_s": peer and round(peer, 4), "ratio": peer and round(peer / ours, 2)}
    return result


def concurrent(sides, args):
    """Eight requests at once against the same eight one after the other, and the bound from t(2) and t(16)."""
    result = {}
    for dtype in ("fp32", "bf16"):
        together, serial, bound = [], [], []
        for _ in range(args.rounds):
            flags = [f"--dtype={dtype}", f"--threads={THREADS}"]
            together.append(run(*sides.engine, "jobs", "--jobs=8", "--repeat=3", *flags)[0]["wall_s"])
            serial.append(run(*sides.engine, "jobs", "--jobs=8", "--repeat=3", "--policy=serial", *flags)[0]["wall_s"])
            t = {line["rows"]: line["tick_ms"] for line in run(*sides.engine, "ticks", "--max_rows=16", "--repeat=3", *flags)}
            bound.append(8 * t[2] / t[16])
        gain = statistics.median(s / t for s, t in zip(serial, together))
        result[dtype] = {"together_s": statistics.median(together), "serial_s": statistics.median(serial),
                         "gain": round(gain, 2), "bound": round(statistics.median(bound), 2),
                         "of_bound": round(gain / statistics.median(bound), 3)}
    return result


class Server:
    """stepcast-server on free ports, for as long as the `with` lasts."""

    # fifo, as the bare engine: slo may prefer smaller batches, which is its choice and not the server's cost.
    def __init__(self, build, dtype="fp32", policy="fifo"):
        self.build, self.folder = build, tempfile.TemporaryDirectory()
        config = pathlib.Path(self.folder.name) / "config.yaml"
        self.ports = pathlib.Path(self.folder.name) / "ports.json"
        config.write_text(f"models: [{{id: emoji, path: {ROOT}/models/emoji, dtype: {dtype}}}]\nthreads: {THREADS}\n"
                          f"max_rows: 32\nscheduler: {{policy: {policy}}}\nlimits: {{max_image_count: 16}}\nport_file: {self.ports}\n"
                          "listen: {port: 0, admin_port: off, metrics_port: off}\nlog: {level: error}\n")
        self.process = subprocess.Popen([build / "stepcast-server", "--config", config])

    def __enter__(self):
        while not self.ports.exists():
            if self.process.poll() is not None:
                raise RuntimeError("the server did not start")
            time.sleep(0.05)
        self.host = f"127.0.0.1:{json.loads(self.ports.read_text())['port']}"
        subprocess.run([self.build / "stepcast", "--host", self.host, "health", "--wait", "60"], check=True, capture_output=True)
        self.paint(2)
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.folder.cleanup()

    def cpu(self):
        """CPU seconds of the server so far."""
        tasks = pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(t.read_text().split()[0]) for t in tasks) * 1e-9

    def resident_mib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def paint(self, steps, *flags):
        """One request of sixteen pictures; returns the CPU seconds that it cost the server."""
        before = self.cpu()
        subprocess.run([self.build / "stepcast", "--host", self.host, "generate", "a red apple", "--count", "16",
                        "--steps", str(steps), "--sampler", "ddim", "--guidance", "2.5", "--seed", "0", "-q",
                        "-o", f"{self.folder.name}/x.png", *flags], check=True, capture_output=True)
        return self.cpu() - before


def interval(ratios):
    """Mean and half width of a 95 % interval."""
    half = 1.96 * statistics.stdev(ratios) / math.sqrt(len(ratios))
    return {"mean_percent": round(100 * (statistics.mean(ratios) - 1), 2), "plus_minus_percent": round(100 * half, 2)}


def overhead(sides, args):
    """CPU of server, scheduler and streaming over the bare engine loop, and of previews; sixteen pictures."""
    server_over_engine, previews_over_none = [], []
    with Server(args.build) as server:
        sides_of_a_pair = [
            lambda: run(*sides.engine, "jobs", "--jobs=16", "--steps=50", "--repeat=1", f"--threads={THREADS}")[0]["cpu_s"],
            lambda: server.paint(50),
            lambda: server.paint(50, "--preview-every", "5"),
        ]
        for pair in range(args.pairs):
            # Forwards, then backwards: a core that is warm or boosted favours nobody.
            order = range(3) if pair % 2 == 0 else range(2, -1, -1)
            cost = {side: sides_of_a_pair[side]() for side in order}
            server_over_engine.append(cost[1] / cost[0])
            previews_over_none.append(cost[2] / cost[1])
    return {"server_over_engine": interval(server_over_engine), "previews_every_5": interval(previews_over_none),
            "pairs": args.pairs}


def memory(sides, args):
    """Resident memory of a server that has painted, beyond a process that only loaded its libraries."""
    empty = subprocess.Popen([args.build / "stepcast-server", "--check_config", "--models_dir", ROOT / "models"],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, _, usage = os.wait4(empty.pid, 0)
    baseline = usage.ru_maxrss / 1024
    weights = sum(f.stat().st_size for f in (ROOT / "models/emoji").rglob("*.safetensors")) * 2 / 2**20  # fp16 files, fp32
    with Server(args.build) as server:
        server.paint(20)
        resident = server.resident_mib()
    return {"libraries_only_mib": round(baseline, 1), "resident_mib": round(resident, 1), "weights_fp32_mib": round(weights, 1),
            "allowed_mib": round(baseline + 1.2 * weights + 64, 1)}


def tail(sides, args):
    """p99 over p50 of a tick with two other busy processes on the machine."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        lines = run(*sides.engine, "ticks", "--max_rows=16", "--repeat=20", "--previews=1", f"--threads={THREADS}")
    finally:
        for process in busy:
            process.kill()
            process.wait()
    return [{"rows": line["rows"], "p50_ms": line["tick_ms"], "p99_ms": line["p99_ms"],
             "ratio": round(line["p99_ms"] / line["tick_ms"], 2)} for line in lines]


MEASUREMENTS = {f.__name__: f for f in (ticks, request, concurrent, overhead, memory, tail)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/bench")
    parser.add_argument("--peer-python", default=os.environ.get("STEPCAST_PEER_PYTHON"))
    parser.add_argument("--name", default="cpu")
    parser.add_argument("--only", default=",".join(MEASUREMENTS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=10)
    args = parser.parse_args()
    args.build = args.build.resolve()
    sides = Sides(args)
    model = next((l.split(":", 1)[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "unknown")
    result = {"cpu": model, "threads": THREADS, "load_before": os.getloadavg()[0]}
    for name in args.only.split(","):
        result[name] = MEASUREMENTS[name](sides, args)
        print(json.dumps({name: result[name]}, indent=1), flush=True)
    path = ROOT / "bench/results" / f"{args.name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"written: {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
