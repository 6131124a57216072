#!/usr/bin/env python3
"""Measures what uploads cost those who paint: ticks of a server that paints, with and without clients that send pictures.

    bench/uploads.py [--build build/bench] [--model models/emoji] [--clients 50] [--seconds 20] [--rounds 3] [--threads N]

Painters (the command line client) keep the server busy throughout, with pictures of so many steps that all of them are
in every tick. In every other round `--clients` others send a 4000 x 4000 PNG of 8 MiB each, over and over, with
validate_only: it is decoded, resized and dropped. They are idle-class processes (`chrt --idle`): elsewhere they would
have cores of their own. Prints medians over the rounds of p50 and p99 of the time between ends of ticks that all
painters share, from the server's recording, how long uploads took, and the CPU time of the server's threads per upload,
by niceness. With `--threads 1` on two cores one is free for the rest; with 2 both are busy.
"""
import argparse
import json
import os
import pathlib
import random
import signal
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.request
import zlib

ROOT = pathlib.Path(__file__).resolve().parent.parent


def noise_png(side):
    """A grey PNG of 4 bits per pixel that nothing compresses."""
    rng = random.Random(1)
    row_bytes = side // 2
    rows = b"".join(b"\0" + rng.randbytes(row_bytes) for _ in range(side))

    def chunk(kind, data):
        body = kind + data
        return len(data).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")

    header = side.to_bytes(4, "big") * 2 + bytes([4, 0, 0, 0, 0])
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 1)) +
            chunk(b"IEND", b""))


class Crowd:
    """Threads that run a program over and over until told to stop."""

    def __init__(self, count, command):
        self.stopping = threading.Event()
        self.ok = self.refused = 0
        self.seconds = []
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.work, args=(command,)) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def work(self, command):
        while not self.stopping.is_set():
            start = time.monotonic()
            done = subprocess.run(command, capture_output=True, check=False)
            with self.lock:
                if done.returncode == 0:
                    self.ok += 1
                    self.seconds.append(time.monotonic() - start)
                else:
                    self.refused += 1

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()


def tick_gaps(recording, painters):
    """Seconds between the ends of ticks with `painters` pictures in each, with the time of each since its begin."""
    now, last, gaps, full = 0.0, None, [], {}
    denoising = set()
    for line in recording.read_text().splitlines():
        words = line.split()
        if len(words) > 2 and words[0] == "K" and words[2] == "denoise":
            denoising.add("K" + words[1])
        if len(words) < 2 or words[0] not in "SHXLPC" or len(words[0]) != 1:
            continue
        now += float(words[1]) * 1e-9
        if words[0] == "P":
            full[words[2]] = words[3] in denoising and int(words[4]) == 2 * painters
        if words[0] == "C":
            if last is not None and full.get(words[2]):
                gaps.append((now, now - last))
            last = now
    return gaps


def cpu_by_niceness(pid):
    """CPU seconds of the threads of a process so far, by niceness."""
    seconds = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            fields = (task / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        niceness = int(fields[16])
        seconds[niceness] = seconds.get(niceness, 0.0) + (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return seconds


def percentile(values, share):
    values = sorted(values)
    return values[min(int(share * len(values)), len(values) - 1)] if values else float("nan")


class Server:
    def __init__(self, args, folder):
        config = folder / "server.yaml"
        config.write_text(f"models:\n  - {{id: painted, path: {args.model.resolve()}}}\n"
                          f"threads: {args.threads}\nlisten: {{port: 0, admin_port: off, metrics_port: 0}}\n"
                          f"port_file: {folder}/ports.json\nrecord_file: {folder}/record\n")
        self.recording = folder / "record"
        self.process = subprocess.Popen([args.build / "stepcast-server", "--config", config],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not (folder / "ports.json").exists():
            time.sleep(0.2)
        self.ports = json.loads((folder / "ports.json").read_text())
        host = f"127.0.0.1:{self.ports['port']}"
        self.client = [args.build / "stepcast", "--host", host]
        while subprocess.run([*self.client, "models"], capture_output=True, check=False).returncode != 0:
            time.sleep(0.5)

    def metric(self, name):
        url = f"http://127.0.0.1:{self.ports['metrics_port']}/metrics"
        with urllib.request.urlopen(url) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith(name + " "):
                    return float(line.split()[1])
        return float("nan")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=120)


def measure(args, uploads):
    """One round: gaps of ticks in the middle of it, and the uploads."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        picture = folder / "upload.png"
        picture.write_bytes(noise_png(4000))
        server = Server(args, folder)
        begin = time.monotonic()
        paint = ["generate", "a red apple", "--steps", "300", "--seed", "1", "-q", "-o", "/dev/null", "--format", "png"]
        painters = Crowd(args.painters, [*server.client, *paint])
        time.sleep(3)
        send = ["generate", "a", "--image", picture, "--resize", "cover", "--validate-only", "-q"]
        before = cpu_by_niceness(server.process.pid)
        crowd = Crowd(args.clients if uploads else 0, ["chrt", "--idle", "0", *server.client, *send])
        time.sleep(args.seconds)
        after = cpu_by_niceness(server.process.pid)
        read = crowd.ok
        crowd.stop()
        painters.stop()
        reads = server.metric("stepcast_upload_decode_seconds_count")
        spent = server.metric("stepcast_upload_decode_seconds_sum")
        server.stop()
        elapsed = time.monotonic() - begin
        gaps = [gap for at, gap in tick_gaps(server.recording, args.painters) if 4 < at < elapsed - 1]
        spent_by = {niceness: after[niceness] - before.get(niceness, 0.0) for niceness in sorted(after)}
        return {"p50_ms": 1e3 * percentile(gaps, 0.5), "p99_ms": 1e3 * percentile(gaps, 0.99), "ticks": len(gaps),
                "cpu_by_niceness_s": {niceness: round(seconds, 2) for niceness, seconds in spent_by.items()},
                "uploads_read": read, "uploads_refused": crowd.refused,
                "upload_p50_s": percentile(crowd.seconds, 0.5), "decode_mean_s": spent / reads if reads else 0.0}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/bench")
    parser.add_argument("--model", type=pathlib.Path, default=ROOT / "models/emoji")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--painters", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    rounds = {False: [], True: []}
    for _ in range(args.rounds):
        for uploads in (False, True):
            rounds[uploads].append(measure(args, uploads))
            print(json.dumps({"uploads": uploads, **rounds[uploads][-1]}), flush=True)
    median = {key: {uploads: statistics.median(r[key] for r in rounds[uploads]) for uploads in rounds}
              for key in ("p50_ms", "p99_ms")}
    print(json.dumps({"threads": args.threads, "load": os.getloadavg()[0],
                      "p50_ratio": median["p50_ms"][True] / median["p50_ms"][False],
                      "p99_ratio": median["p99_ms"][True] / median["p99_ms"][False]}))


if __name__ == "__main__":
    main()
