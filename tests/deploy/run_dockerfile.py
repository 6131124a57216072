#!/usr/bin/env python3
"""Executes the steps of the Dockerfile without Docker: FROM is a debootstrap, RUN a chroot, COPY a copy. Then runs the result.

    run_dockerfile.py <work folder> [--base <debootstrapped root>] [--built <folder>] [--arg CUDA=ON]...

Root, a network for Debian's packages, and for the first stage an hour of two cores and 15 GiB. `--built` leaves the first stage
out: <folder> is what it would have installed as /opt/stepcast. The last part has a network and mounts of its own, a read-only root and
the image's user: the entry point starts, the health check passes, a picture is painted, and SIGTERM ends it with 0.
"""
import argparse
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

from dockerfile import instructions

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
# Shell of the last part; $1 is the root, the rest is what the image runs.
CONTAINER = r"""
set -eu
root=$1; user=$2; volume=$3; start=$4; health=$5
ip link set lo up
echo "127.0.0.1 localhost" > "$root/etc/hosts"  # as Docker does
mount --bind "$root" "$root"
mount -t tmpfs tmpfs "$root/tmp"
mount -t tmpfs -o mode=1777 tmpfs "$root$volume"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -o remount,bind,ro "$root"
inside() { chroot --userspec="$user" "$root" env -i PATH="$IMAGE_PATH" sh -c "$1"; }
(exec chroot --userspec="$user" "$root" env -i PATH="$IMAGE_PATH" sh -c "exec $start") > "$LOG" 2>&1 &
server=$!
for try in $(seq 300); do
  kill -0 $server || { cat "$LOG"; exit 1; }
  if inside "$health" > /dev/null 2>&1; then break; fi
  sleep 1
done
inside "$health"
echo "result: healthy after $try tries"
inside "stepcast generate 'a red apple' --seed 7 -o /tmp/apple.png"
test -s "$root/tmp/apple.png"
inside "touch /opt/stepcast/written 2> /dev/null" && { echo "the root can be written to"; exit 1; }
kill -TERM $server
wait $server
test -s "$root$volume/costs"
echo "result: painted, drained with 0, costs kept"
"""


class Build:
    def __init__(self, work, base, built, arguments):
        self.work, self.base, self.built = work, base, built
        self.given = arguments
        self.roots, self.environment, self.folder, self.last = {}, {}, "/", {}
        self.skipping = False

    def root(self):
        return list(self.roots.values())[-1]

    def expand(self, text):
        return re.sub(r"\$\{?(\w+)\}?", lambda m: self.environment.get(m[1], ""), text)

    def step(self, word, rest):
        if word == "FROM":
            self.begin(rest.split()[-1])
        elif self.skipping:
            return
        elif word == "ARG":
            name, _, value = rest.partition("=")
            self.environment[name] = self.given.get(name, value)
        elif word == "ENV":
            for pair in shlex.split(self.expand(rest)):
                name, _, value = pair.partition("=")
                self.environment[name] = value
        elif word == "WORKDIR":
            self.folder = rest
            (self.root() / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif word == "COPY":
            self.copy(shlex.split(rest))
        elif word == "RUN":
            print(f"RUN {rest[:110]}", flush=True)
            self.inside(rest)
        elif word in ("USER", "VOLUME", "ENTRYPOINT", "CMD", "HEALTHCHECK", "LABEL", "EXPOSE", "STOPSIGNAL"):
            self.last[word] = rest
        else:
            raise SystemExit(f"no step is known for {word}")

    def begin(self, stage):
        # The gateway's stages begin with Node's image, which is not to be had from Debian.
        self.skipping = stage.startswith("gateway") or (stage == "build" and self.built is not None)
        self.roots[stage] = self.work / stage
        self.folder = "/"
        self.environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        if not self.skipping:
            print(f"FROM {stage}", flush=True)
            if self.base is not None:
                subprocess.run(["cp", "-a", self.base, self.root()], check=True)
            else:
                subprocess.run(["debootstrap", "--variant=minbase", "bookworm", self.root()], check=True, stdout=subprocess.DEVNULL)

    def copy(self, words):
        target = self.root() / words[-1].lstrip("/") if words[-1].startswith("/") else \
            self.root() / self.folder.lstrip("/") / words[-1]
        if words[0].startswith("--from="):
            stage = words[0].partition("=")[2]
            source = self.built if self.built is not None and stage == "build" else self.roots[stage] / words[1].lstrip("/")
            shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
            return
        for source in words[:-1]:
            if source == ".":
                tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
                subprocess.run(["cp", "--parents", "--no-dereference", "--target-directory", target, *tracked.decode().split("\0")[:-1]],
                               cwd=ROOT, check=True)
            elif (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, target, dirs_exist_ok=True)
            else:
                into = target / source.rsplit("/", 1)[-1] if words[-1].endswith("/") else target
                into.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / source, into)

    def inside(self, command):
        shutil.copy("/etc/resolv.conf", self.root() / "etc" / "resolv.conf")
        pairs = [f"{name}={value}" for name, value in self.environment.items()]
        subprocess.run(["unshare", "--mount", "--pid", "--fork", "sh", "-ec", 'mount -t proc proc "$1/proc"; shift; exec "$@"', "sh",
                        self.root(), "chroot", self.root(), "env", "-i", *pairs, "sh", "-ec", f"cd {self.folder}; {command}"], check=True)

    def run(self):
        """The image as a container."""
        start = shlex.join([*json_words(self.last["ENTRYPOINT"]), *json_words(self.last["CMD"])])
        health = shlex.join(json_words(self.last["HEALTHCHECK"].partition("CMD ")[2]))
        subprocess.run(["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "bash", "-c", CONTAINER, "bash", self.root(),
                        self.last["USER"], self.last["VOLUME"], start, health], check=True,
                       env={"IMAGE_PATH": self.environment["PATH"], "LOG": str(self.work / "server.log"),
                            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})


def json_words(text):
    return re.findall(r'"([^"]*)"', text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--base", type=pathlib.Path)
    parser.add_argument("--built", type=pathlib.Path)
    parser.add_argument("--arg", action="append", default=[])
    options = parser.parse_args()
    if options.work.exists():
        parser.error(f"{options.work} exists: give a new folder")
    options.work.mkdir(parents=True)
    build = Build(options.work.resolve(), options.base, options.built, dict(each.split("=", 1) for each in options.arg))
    for word, rest in instructions((ROOT / "Dockerfile").read_text()):
        build.step(word, rest)
    kilobytes = int(subprocess.run(["du", "-sk", build.root()], capture_output=True, check=True).stdout.split()[0])
    print(f"result: image of {kilobytes / 1024:.0f} MiB", flush=True)
    build.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
