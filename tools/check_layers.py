#!/usr/bin/env python3
"""Checks the laws of the house that a compiler does not: dependencies, time, environment, sizes, lost tests.

Run from anywhere; prints one line per breach (path:line: what) and exits with 1 if there is any.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MAX_LINES = {".h": 150, ".cc": 400, ".py": 400}
MAX_FUNCTION = 60

# Room -> rooms whose headers it may include. A path ending in .h allows that header only.
LAW = {
    "core": [],
    "sampling": ["core"],
    "text": ["core"],
    "scheduler": ["core", "sampling"],
    "codec": ["core"],
    "model": ["core", "text"],
    "engine": ["core", "sampling", "scheduler", "model"],
    "server": ["core", "sampling", "text", "scheduler", "codec", "engine/start/engine_factory.h", "engine/start/engine_environment.h"],
    "clients": [],
}
# Inner rooms of a room, top first: each may include the rooms below it (and itself).
INNER = {
    "server": ["process", "operators", "call", "identity", "request", "catalog", "telemetry", "config", "wire"],
    "scheduler": ["dispatch", "loop", "recording", "decide", "costs", "words"],
    "engine": ["start", "executor", "trial", "step", "codecs", "shelves", "job", "device"],
    "sampling": ["recipe", "compile", "samplers", "program", "schedule"],
    "text": ["prompt", "tokenizer", "vocabulary", "unicode"],
}
TORCH_ROOMS = {"model", "engine"}
GRPC_ROOMS = {"server", "clients"}
INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]')
FORBIDDEN = [
    (re.compile(r"\babsl::Now\b|\bsystem_clock\b|\bsleep_for\b|\bSleepFor\b|\busleep\s*\(|\bnanosleep\b"),
     {"core/clock.cc"}, "time may be read and spent in core/clock.cc only; take a Clock&"),
    (re.compile(r"\bsteady_clock\b|\bhigh_resolution_clock\b|\bGetCurrentTimeNanos\b"),
     {"core/clock.cc"}, "time may be read in core/clock.cc only; take a Clock&"),
    (re.compile(r"\bgetenv\b"), {"server/config/*", "server/process/main.cc", "clients/*", "clients/*/*", "clients/*/*/*"},
     "the environment may be read in server/config, server/process/main.cc and clients/ only"),
    (re.compile(r"<torch/torch\.h>|<torch/extension\.h>|<torch/all\.h>"), set(), "the torch umbrella header is forbidden"),
]
TODO = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b(?!\(#\d+\))")


def sources():
    """All C++ files of the rooms and all our Python, relative to the root."""
    for room in LAW:
        yield from sorted(p for p in (ROOT / room).rglob("*") if p.suffix in (".h", ".cc"))
    for folder in ("tests", "bench", "tools"):
        yield from sorted(p for p in (ROOT / folder).rglob("*") if p.suffix in (".h", ".cc", ".py"))


def allowed(relative, patterns):
    return any(pathlib.PurePath(relative).match(pattern) for pattern in patterns)


def check_includes(relative, lines):
    """Yields (line number, message) for every include that the dependency law forbids."""
    room = relative.split("/")[0]
    law = LAW.get(room)
    for number, line in enumerate(lines, 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        header = match.group(1)
        top = header.split("/")[0]
        is_torch = top in ("torch", "ATen", "c10")
        if is_torch and room not in TORCH_ROOMS and not relative.startswith(("tests/model", "tests/engine", "tests/parity", "bench/")):
            yield number, f"torch belongs in model/ and engine/, not here: {header}"
        if law is None:
            continue
        if top in ("grpcpp", "grpc") and room not in GRPC_ROOMS:
            yield number, f"gRPC belongs in server/ and clients/, not here: {header}"
        if top in LAW and top != room and top not in law and header not in law:
            yield number, f"{room}/ may not include {header}"
        if room == "clients" and top in LAW and top != "clients":
            yield number, f"clients know nothing of ours but the wire contract: {header}"


def check_inner_rooms(relative, lines):
    """Yields (number, message) for sources that lie in no inner room, and includes that run against the arrows."""
    room, *rest = relative.split("/")
    order = INNER.get(room)
    if order is None:
        return
    if len(rest) < 2 or rest[0] not in order:
        yield 1, f"a source of {room}/ lies in one of its rooms: {', '.join(order)}"
        return
    for number, line in enumerate(lines, 1):
        match = INCLUDE.match(line)
        parts = match.group(1).split("/") if match else []
        if parts[:1] == [room] and (parts[1] not in order or order.index(parts[1]) < order.index(rest[0])):
            yield number, f"{room}/{rest[0]}/ may not include {match.group(1)}: arrows go {' -> '.join(order)}"


def check_text(relative, lines):
    """Yields breaches of the rules about time, environment and unowned to-dos."""
    in_tests = relative.startswith(("tests/", "bench/", "tools/"))
    for number, line in enumerate(lines, 1):
        code = line.split("//")[0] if relative.endswith((".h", ".cc")) else ""
        for pattern, exempt, message in FORBIDDEN:
            if pattern.search(code) and not allowed(relative, exempt) and not (in_tests and "environment" in message):
                if not (relative.startswith("bench/") and "time" in message):
                    yield number, message
        if TODO.search(line) and not relative.endswith("check_layers.py"):
            yield number, "an unowned to-do; name the issue, as in TODO(#12), or do it"


def check_functions(lines):
    """Yields functions longer than the law, found by their closing brace in column 0."""
    start = None
    for number, line in enumerate(lines, 1):
        if re.match(r"^[A-Za-z].*[^;]\s*\{\s*$|^\S.*\)( const)?( noexcept)?( override)? \{$", line):
            if not re.match(r"^(namespace|class|struct|enum|union|extern)\b", line) and "= {" not in line:
                start = number
        elif re.match(r"^\}", line) and start is not None:
            if number - start + 1 > MAX_FUNCTION and not lines[start - 1].startswith("TEST"):
                yield start, f"a function of {number - start + 1} lines; the law is {MAX_FUNCTION}"
            start = None


def check_tests():
    """Yields test files that no target builds."""
    cmake = (ROOT / "tests/CMakeLists.txt").read_text()
    built = set(re.findall(r"stepcast_tests\((\w+)", cmake))
    for path in sorted((ROOT / "tests").rglob("*_test.cc")):
        relative = path.relative_to(ROOT / "tests")
        if relative.parts[0] not in built:
            yield f"tests/{relative}", 1, "no target builds this test; add stepcast_tests(...) in tests/CMakeLists.txt"


def main():
    breaches = list(check_tests())
    for path in sources():
        relative = str(path.relative_to(ROOT))
        lines = path.read_text(encoding="utf-8").splitlines()
        limit = MAX_LINES[path.suffix]
        if len(lines) > limit and not relative.startswith("tests/"):
            breaches.append((relative, limit + 1, f"{len(lines)} lines; the law is {limit}"))
        found = list(check_includes(relative, lines)) + list(check_inner_rooms(relative, lines)) + list(check_text(relative, lines))
        if path.suffix == ".cc" and not relative.startswith("tests/"):
            found += check_functions(lines)
        breaches += [(relative, number, message) for number, message in found]
    for relative, number, message in breaches:
        print(f"{relative}:{number}: {message}")
    if breaches:
        return 1
    print("layers, time, environment, sizes and tests: as the house wants them")
    return 0


if __name__ == "__main__":
    sys.exit(main())
