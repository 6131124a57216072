#!/usr/bin/env python3
"""tools/package and deploy/systemd: completions, manual pages, bill of materials, the service and its configuration.

    package_test.py <folder of the binaries>
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

try:
    import yaml
except ImportError:
    print("skipped: needs python3-yaml")
    sys.exit(77)

import manifests
from manifests import ROOT

sys.path.insert(0, str(ROOT / "tools" / "package"))
import command_line  # noqa: E402
import completions  # noqa: E402
import man_page  # noqa: E402
import materials  # noqa: E402

SYSTEMD = ROOT / "deploy" / "systemd"
PROGRAMS = ("stepcast", "stepcast-server", "stepcast-simulate")
CLOSING_SECONDS = 15  # docs/operations.md: how long ports may take to close


def bash_completes(script, words):
    """What Tab offers after these words, of which the last is not yet whole."""
    asked = " ".join(f"'{word}'" for word in words)
    run = f'source {script}; COMP_WORDS=({asked}); COMP_CWORD={len(words) - 1}; compopt() {{ :; }}; _stepcast; printf "%s\\n" "${{COMPREPLY[@]}}"'
    return manifests.run("bash", "-c", run).split()


class CommandLinesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tops = {name: command_line.ask(f"{BINARIES}/{name}", name) for name in PROGRAMS}
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.bash = pathlib.Path(cls.folder.name) / "stepcast.bash"
        cls.bash.write_text(completions.bash(cls.tops["stepcast"]))

    def test_every_flag_of_the_help_is_offered(self):
        for name, top in self.tops.items():
            for command in [top, *top.commands]:
                words = [f"{BINARIES}/{name}", *([command.name] if command is not top else []), "--help"]
                flags = set(re.findall(r"(?m)^  (?:-\w,)?(--[\w-]+)", manifests.run(*words)))
                self.assertEqual({flag for option in command.options for flag in option.names if flag.startswith("--")}, flags, words)
        self.assertGreater(len(self.tops["stepcast"].commands), 5)

    def test_bash_completes(self):
        self.assertEqual(bash_completes(self.bash, ["stepcast", "gen"]), ["generate"])
        self.assertEqual(bash_completes(self.bash, ["stepcast", "generate", "--sampler", "euler"]), ["euler", "euler_ancestral"])
        self.assertEqual(bash_completes(self.bash, ["stepcast", "generate", "--sampler", "=", "hen"]), [])
        self.assertEqual(bash_completes(self.bash, ["stepcast", "--host", "a:1", "unload", "--re"]), ["--reload"])
        self.assertEqual(bash_completes(self.bash, ["stepcast", "generate", "--steps", ""]), [])
        picture = pathlib.Path(self.folder.name) / "apple.png"
        picture.touch()
        self.assertEqual(bash_completes(self.bash, ["stepcast", "generate", "--image", str(picture)[:-3]]), [str(picture)])

    def test_shells_read_them(self):
        for name, top in self.tops.items():
            for shell, make in (("bash", completions.bash), ("zsh", completions.zsh), ("fish", completions.fish)):
                with self.subTest(program=name, shell=shell):
                    if shutil.which(shell) is None:
                        self.skipTest(f"no {shell}")
                    path = pathlib.Path(self.folder.name) / f"{name}.{shell}"
                    path.write_text(make(top))
                    manifests.run(shell, "-n", path)

    @unittest.skipUnless(shutil.which("fish"), "no fish")
    def test_fish_completes(self):
        path = pathlib.Path(self.folder.name) / "stepcast.fish"
        path.write_text(completions.fish(self.tops["stepcast"]))
        offered = manifests.run("fish", "--no-config", "-c", f"source {path}; complete -C 'stepcast generate --sampler eu'").splitlines()
        self.assertEqual([line.split("\t")[0] for line in offered], ["euler", "euler_ancestral"])

    def test_manual_pages_have_every_option_and_no_warning(self):
        for name, top in self.tops.items():
            page = man_page.page(top, "1.2.3")
            for command in [top, *top.commands]:
                for option in command.options:
                    self.assertIn(man_page.escape(option.names[0]), page)
            if shutil.which("groff"):
                done = subprocess.run(["groff", "-man", "-Tascii", "-ww", "-z"], input=page, text=True, capture_output=True, check=False)
                self.assertEqual((done.returncode, done.stderr), (0, ""), name)


class ServiceTest(unittest.TestCase):
    def setUp(self):
        self.unit = (SYSTEMD / "stepcast.service").read_text()
        self.config = yaml.safe_load((SYSTEMD / "config.yaml").read_text())

    def test_the_server_takes_the_configuration(self):
        with tempfile.TemporaryDirectory() as here:
            path = pathlib.Path(here) / "config.yaml"
            text = (SYSTEMD / "config.yaml").read_text().replace("/usr/share/stepcast", str(ROOT)).replace("/var/cache/stepcast", here)
            path.write_text(text)
            manifests.run(f"{BINARIES}/stepcast-server", "--config", path, "--check_config")

    def test_it_has_time_to_drain(self):
        drain = sum(manifests.seconds(value) for value in self.config["drain"].values())
        self.assertIn(f"TimeoutStopSec={drain + CLOSING_SECONDS:.0f}s\n", self.unit)

    def test_it_serves_what_the_image_serves(self):
        container = yaml.safe_load((ROOT / "deploy" / "config.container.yaml").read_text())
        for kind in ("models", "control_nets"):
            self.assertEqual([each["id"] for each in self.config[kind]], [each["id"] for each in container[kind]])
        self.assertEqual("loras_dir" in self.config, "loras_dir" in container)

    def test_the_cache_is_the_units(self):
        self.assertIn("CacheDirectory=stepcast\n", self.unit)
        self.assertEqual(self.config["scheduler"]["profile"]["cache_file"], "/var/cache/stepcast/costs")

    @unittest.skipUnless(shutil.which("systemd-analyze"), "no systemd-analyze")
    def test_systemd_reads_it(self):
        with tempfile.TemporaryDirectory() as here:
            path = pathlib.Path(here) / "stepcast.service"
            path.write_text(self.unit.replace("/usr/bin/stepcast-server", "/bin/true"))
            done = subprocess.run(["systemd-analyze", "verify", "--man=no", path], text=True, capture_output=True, check=False)
            self.assertNotIn("stepcast.service", done.stderr)


class VersionTest(unittest.TestCase):
    def test_all_parts_have_one_version_and_it_has_notes(self):
        version = re.search(r"project\(stepcast VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())[1]
        for folder in ("node", "gateway"):
            self.assertEqual(json.loads((ROOT / "clients" / folder / "package.json").read_text())["version"], version, folder)
        self.assertIn(f'version = "{version}"\n', (ROOT / "clients" / "python" / "pyproject.toml").read_text())
        chart = yaml.safe_load((ROOT / "deploy" / "helm" / "stepcast" / "Chart.yaml").read_text())
        self.assertEqual((chart["version"], chart["appVersion"]), (version, version))
        notes = (ROOT / "docs" / "release_notes" / f"{version}.md").read_text()
        self.assertTrue(notes.startswith(f"Stepcast {version}\n"))


@unittest.skipUnless(shutil.which("dpkg-query"), "no Debian packages")
class MaterialsTest(unittest.TestCase):
    def components(self):
        with tempfile.TemporaryDirectory() as here:
            site, installed = pathlib.Path(here) / "site", pathlib.Path(here) / "installed"
            for name, library in (("torch", "libtorch_cpu.so"), ("unused", "libunused.so")):
                info = site / f"{name}-1.0.dist-info"
                (info / "licenses").mkdir(parents=True)
                (info / "licenses" / "LICENSE").write_text(f"the licence of {name}")
                (info / "METADATA").write_text(f"Name: {name}\nVersion: 1.0\nLicense: BSD-3-Clause\n")
                (info / "RECORD").write_text(f"{name}/lib/{library},sha256=x,1\n")
            (installed / "lib").mkdir(parents=True)
            (installed / "lib" / "libtorch_cpu.so").touch()
            found = materials.collect(ROOT, site, installed, ["zlib1g"])
            return found, materials.licence_list(found)

    def test_what_ships_is_listed_with_its_licence(self):
        components, texts = self.components()
        bill = json.loads(materials.cyclonedx("1.2.3", "abc", components, "2026-01-01T00:00:00Z"))
        self.assertEqual((bill["bomFormat"], bill["specVersion"], bill["metadata"]["component"]["version"]), ("CycloneDX", "1.5", "1.2.3"))
        by_name = {each["name"]: each for each in bill["components"]}
        self.assertEqual(by_name["torch"]["licenses"], [{"license": {"id": "BSD-3-Clause"}}])
        self.assertNotIn("unused", by_name)
        self.assertRegex(by_name["zlib1g"]["purl"], r"^pkg:deb/debian/zlib1g@\S+distro=debian-12$")
        self.assertEqual(by_name["stepcast-model-digits"]["licenses"], [{"license": {"id": "CC-BY-SA-3.0"}}])
        references = [each["bom-ref"] for each in bill["components"]]
        self.assertEqual(len(references), len(set(references)))
        self.assertEqual(bill["dependencies"][0]["dependsOn"], references)
        self.assertTrue(all(each["licenses"] for each in bill["components"]))
        # The texts of what is inside; what Debian brings has its own.
        self.assertIn("the licence of torch", texts)

    def test_every_shipped_model_is_listed(self):
        names = {each.name for each in self.components()[0]}
        for folder in (ROOT / "models").iterdir():
            if folder.is_dir():
                self.assertIn(f"stepcast-model-{folder.name}", names)


if __name__ == "__main__":
    BINARIES = sys.argv.pop(1)
    unittest.main()
