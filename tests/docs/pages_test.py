#!/usr/bin/env python3
"""What the documentation says of files, flags and keys of the configuration is so; ctest's documentation.

    pages_test.py <folder of the binaries> [unittest options]

Links lead somewhere, docs/README.md lists every page, every `--flag` is one of the program that is named before it (or of
any of ours, where none is), and every `section.key` stands in deploy/config.example.yaml.
"""
import functools
import os
import pathlib
import re
import subprocess
import sys
import unittest

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import api_reference
# Not read: what happened, and what others wrote.
LEFT_OUT = {"CHANGELOG.md"}
SKIPPED_FOLDERS = {".deps", ".git", "build", "node_modules", "dist", ".venv"}
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)
FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
FLAG = re.compile(r"(?<![\w-])--([a-z][a-z0-9_-]*)")
KEY = re.compile(r"[a-z_]+(?:\[\])?(?:\.[a-z_]+(?:\[\])?)+")
MEMBER = re.compile(r"\b([A-Z][A-Za-z]+)\.([a-z][a-z_0-9]*[a-z0-9]|[A-Z][A-Za-z_]+)\b(?!\()")
OURS = re.compile(r"(?:[\w.$-]+/)*(stepcast-server|stepcast-simulate|stepcast)(?= )")
# Flags of tools that are not ours, as pages name them.
FOREIGN = {
    "build-arg": "docker", "read-only": "docker", "tmpfs": "docker", "stop-timeout": "docker", "file": "docker compose",
    "cpus": "docker", "init": "docker", "gtest_filter": "GoogleTest", "preset": "cmake", "set": "helm", "set-file": "helm",
    "values": "helm", "from-file": "kubectl", "previous": "kubectl", "short": "git",
}
# Keys of Kubernetes.
FOREIGN_KEYS = {"limits.cpu", "limits.memory"}


@functools.cache
def files():
    """Every file of the source, relative to its root."""
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(name for name in folders if name not in SKIPPED_FOLDERS)
        found += [pathlib.Path(folder, name).relative_to(ROOT) for name in sorted(names)]
    return found


def pages():
    for path in files():
        if path.suffix == ".md" and path.name not in LEFT_OUT:
            yield path, text_of(path)


@functools.cache
def text_of(path):
    return (ROOT / path).read_text()


@functools.cache
def anchors(text):
    """The anchors that GitHub gives the headings of a page."""
    found = set()
    for heading in HEADING.findall(FENCE.sub("", text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").strip().lower()
        name = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        while name in found:
            name += "-1"
        found.add(name)
    return found


@functools.cache
def flags_of(program, *command):
    """The flags that a program tells of, those of its commands too."""
    told = subprocess.run([f"{BINARIES}/{program}", *command, "--help"], check=True, capture_output=True, text=True).stdout
    flags = set(FLAG.findall(told))
    if not command and "Subcommands:" in told:
        for name in re.findall(r"^  (\w+) ", told.split("Subcommands:")[1], re.MULTILINE):
            flags |= flags_of(program, name)
    return flags


@functools.cache
def flags_of_scripts():
    """Flags of everything else in the source that has some."""
    text = "\n".join(text_of(path) for path in files() if path.suffix in (".py", ".sh") or path.name == "dev" or
                     path.suffix == ".cc" and path.parts[0] in ("bench", "tools"))
    return set(re.findall(r"""["' ]--([a-z][a-z0-9_-]*)""", text)) | set(re.findall(r'ABSL_FLAG\(\w+, (\w+),', text))


def commands(text):
    """Code of a page, with lines that go on put together."""
    blocks = [block.replace("\\\n", " ") for block in FENCE.findall(text)]
    yield from (line for block in blocks for line in block.split("\n"))
    yield from SPAN.findall(FENCE.sub("", text))


def entry_keys(example, section):
    """Keys of an entry of a list, which the comment above it shows."""
    comment = example[:example.index(f"\n{section}:")].rsplit("\n\n", 1)[1]
    return set(re.findall(r"\b([a-z][a-z_0-9]+)\b", comment))


class PagesTest(unittest.TestCase):
    def test_links_lead_somewhere(self):
        for page, text in pages():
            for target in (a or b for a, b in LINK.findall(FENCE.sub("", text))):
                if re.match(r"[a-z]+:", target):
                    continue
                name, _, anchor = target.partition("#")
                path = (ROOT / page.parent / name).resolve() if name else ROOT / page
                with self.subTest(page=str(page), link=target):
                    self.assertTrue(path.exists(), "there is no such file")
                    if anchor and path.suffix == ".md":
                        self.assertIn(anchor, anchors(text_of(path)))

    def test_the_index_lists_every_page(self):
        index = (ROOT / "docs" / "README.md").read_text()
        linked = {target for target, _ in LINK.findall(index)}
        for path in sorted((ROOT / "docs").glob("*.md")):
            if path.name != "README.md":
                self.assertIn(path.name, linked)
        for path in sorted((ROOT / "clients").glob("*/README.md")):
            self.assertIn(f"../{path.relative_to(ROOT)}", linked)

    def test_flags_exist(self):
        known = flags_of("stepcast") | flags_of("stepcast-server") | flags_of("stepcast-simulate") | flags_of_scripts()
        for page, text in pages():
            for code in commands(text):
                program = OURS.match(code.strip().removeprefix("$ "))
                allowed = flags_of(program[1]) if program else known | FOREIGN.keys()
                for flag in FLAG.findall(re.split(r" #|[|;&]", code)[0]):
                    with self.subTest(page=str(page), code=code):
                        self.assertTrue(flag in allowed, f"{program[1] if program else 'nothing here'} has no --{flag}")

    def test_keys_of_the_configuration_exist(self):
        example = (ROOT / "deploy" / "config.example.yaml").read_text()
        configuration = yaml.safe_load(example)
        for page, text in pages():
            if page.parts[0] == "clients":
                continue  # The gateway has a configuration of its own.
            for span in SPAN.findall(FENCE.sub("", text)):
                first, *rest = span.replace("[]", "").split(".")
                if not KEY.fullmatch(span) or first not in configuration or span in FOREIGN_KEYS or span.endswith(".proto"):
                    continue
                with self.subTest(page=str(page), key=span):
                    self.check_key(example, configuration, first, rest)

    def check_key(self, example, configuration, first, rest):
        value = configuration[first]
        if isinstance(value, list):
            self.assertIn(rest[0], entry_keys(example, first))
            return
        for part in rest:
            if isinstance(value, list):
                self.assertIn(part, entry_keys(example, first))
                return
            self.assertIsInstance(value, dict)
            self.assertTrue(part in value, "deploy/config.example.yaml has no such key")
            value = value[part]

    def test_fields_exist(self):
        """`Message.field`, `Enum.VALUE` and `Service.Method` of the contract, in pages and in its own comments."""
        try:
            contract = api_reference.read_files()
        except SystemExit as no_buf:
            self.skipTest(f"no buf ({no_buf})")
        members = {declared["name"]: {part["name"] for part in declared.get("field", []) + declared.get("oneofDecl", []) +
                                      declared.get("value", []) + declared.get("method", [])}
                   for file in contract for kind in ("messageType", "enumType", "service") for declared in file.get(kind, [])}
        for path in files():
            if path.parts[0] == "clients":
                continue  # They call things as their languages do.
            if path.suffix == ".proto" or path.suffix == ".md" and path.name not in LEFT_OUT:
                for owner, member in set(MEMBER.findall(text_of(path))):
                    with self.subTest(page=str(path)):
                        self.assertTrue(owner not in members or member in members[owner], f"{owner} has no {member}")


if __name__ == "__main__":
    BINARIES = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()
