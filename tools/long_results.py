#!/usr/bin/env python3
"""Prints what `./dev test long` did as a section of tests/long_results.md.

Usage: long_results.py <JUnit file written by ctest>

Of each entry: passed, failed or skipped, its seconds, and what it said of itself: lines that begin with "result: ", and the
counts of GoogleTest.
"""
import pathlib
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

SHOWN_ISA = ["avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile"]


def cpu():
    """The processor's name, its cores and the instruction sets that decide which kernels run."""
    text = pathlib.Path("/proc/cpuinfo").read_text()
    name = re.search(r"^model name\s*:\s*(.*)$", text, re.M)
    flags = re.search(r"^flags\s*:\s*(.*)$", text, re.M)
    known = flags.group(1).split() if flags else []
    cores = len(re.findall("^processor", text, re.M))
    isa = " ".join(word for word in SHOWN_ISA if word in known)
    return f"{name.group(1) if name else 'unknown CPU'}, {cores} cores, {isa or 'no AVX2'}"


def commit():
    run = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return run.stdout.strip() or "no git"


def word(case):
    """What the table says of one <testcase>."""
    outcome = {"run": "passed", "fail": "FAILED", "notrun": "skipped", "disabled": "skipped"}
    return outcome.get(case.get("status"), case.get("status"))


def remarks(output):
    """The command's own results, and how many of GoogleTest's tests passed and were skipped."""
    said = re.findall(r"^result: (.*)$", output, re.M)
    for label in ("PASSED", "SKIPPED", "FAILED"):
        count = re.search(rf"^\[  ?{label}  ?\] (\d+) tests?\b", output, re.M)
        if count:
            said.append(f"{count.group(1)} tests {label.lower()}")
    return "; ".join(said).replace("|", "\\|")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.splitlines()[2])
    print(f"## {time.strftime('%Y-%m-%d')}, {commit()}\n\n{cpu()}\n\n| entry | | seconds | result |\n|---|---|---|---|")
    for case in ElementTree.parse(sys.argv[1]).getroot().iter("testcase"):
        output = case.findtext("system-out") or ""
        print(f"| {case.get('name')} | {word(case)} | {float(case.get('time', 0)):.0f} | {remarks(output)} |")


if __name__ == "__main__":
    main()
