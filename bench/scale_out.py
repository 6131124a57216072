#!/usr/bin/env python3
"""Pictures per second of two replicas behind Envoy over those of one, each with one thread, with as many people for each.

    scale_out.py <folder of the binaries> <envoy> [--rounds 3] [--seconds 10] [--json FILE]

Needs the Python client's packages on PYTHONPATH, and two cores that nobody else uses: what else runs is told beside the result.
"""
import argparse
import contextlib
import json
import os
import pathlib
import statistics
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "deploy"))

import replicas  # noqa: E402
import stepcast  # noqa: E402

PEOPLE = 8  # for each replica: ticks of sixteen rows


def pictures_per_second(envoy, people, seconds):
    with stepcast.Client(envoy.address, timeout=replicas.PATIENCE) as client:
        crowd = replicas.Crowd(people, lambda seed: client.paint("a red apple", seed=seed, steps=10))
        crowd.wait_for(people)
        first, begun = crowd.count(), time.monotonic()
        time.sleep(seconds)
        made, lasted = crowd.count() - first, time.monotonic() - begun
        if crowd.finish().failures:
            raise crowd.failures[0]
    return made / lasted


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binaries", type=pathlib.Path)
    parser.add_argument("envoy", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    config = f"models:\n  - {{id: emoji, path: {ROOT}/models/emoji}}\n"
    rounds, load = [], os.getloadavg()[0]
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        servers = [replicas.Replica(options.binaries.resolve(), folder, name, config) for name in ("one", "two")]
        for server in servers:
            stack.callback(server.stop)
            server.start()
        proxies = [replicas.Envoy(options.envoy.resolve(), folder, ROOT / "deploy" / "envoy" / "envoy.yaml", {"stepcast": behind})
                   for behind in (servers[:1], servers)]
        for proxy in proxies:
            stack.callback(proxy.stop)
        for number in range(options.rounds):
            one, two = (pictures_per_second(proxy, PEOPLE * count, options.seconds) for count, proxy in enumerate(proxies, 1))
            rounds.append({"one": round(one, 2), "two": round(two, 2), "ratio": round(two / one, 3)})
            print(f"round {number + 1}: {rounds[-1]}", flush=True)
    result = {"cores": os.cpu_count(), "load_before": round(load, 2), "load_after": round(os.getloadavg()[0], 2),
              "people_for_each_replica": PEOPLE, "rounds": rounds,
              "ratio": round(statistics.median(each["ratio"] for each in rounds), 3)}
    print(f"result: two replicas paint {result['ratio']} times what one does")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
