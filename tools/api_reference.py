#!/usr/bin/env python3
"""Writes docs/api/*.md, the reference of the wire contract, from the comments of proto/stepcast.

    tools/api_reference.py           writes it
    tools/api_reference.py --check   says what is not as the protos have it; exits with 1 if anything is

Reads the descriptors as buf's JSON (deps/python.txt), exits with 77 where there is no buf. The generators that exist leave
out what is written at a oneof, and make one page of everything.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGES = ROOT / "docs" / "api"
PACKAGE = "stepcast.v1"
HEAD = "<!-- Written by tools/api_reference.py from proto/stepcast; change the comments there. -->\n"
# Numbers of the fields of FileDescriptorProto and its kin, which paths of source locations are made of.
FILE_SYNTAX, FILE_MESSAGE, FILE_ENUM, FILE_SERVICE = 12, 4, 5, 6
MESSAGE_FIELD, MESSAGE_ONEOF, ENUM_VALUE, SERVICE_METHOD = 2, 8, 2, 2
CODE = re.compile(r"(`[^`]*`)")
# Words of comments that name a type: two humps, or a hump and one of its fields.
TYPE_WORD = re.compile(r"\b([A-Z][a-z0-9]+(?:[A-Z][A-Za-z0-9]*)+|[A-Z][a-z0-9]+(?=\.[a-z]))\b")


def read_files():
    """The FileDescriptorProtos of the project, with their comments."""
    buf = ROOT / ".deps" / "python" / "bin" / "buf"
    tool = str(buf) if os.access(buf, os.X_OK) else shutil.which("buf")
    if tool is None:
        print("skipped: no buf; ./dev test installs it (deps/python.txt)")
        sys.exit(77)
    image = subprocess.run([tool, "build", "proto", "-o", "-#format=json", "--exclude-imports"], cwd=ROOT, check=True,
                           stdout=subprocess.PIPE)
    return [file for file in json.loads(image.stdout)["file"] if file.get("package") == PACKAGE]


def page_of(file):
    return pathlib.PurePath(file["name"]).stem + ".md"


class Page:
    """One proto file as Markdown."""

    def __init__(self, file, homes):
        self.file, self.homes, self.lines = file, homes, []
        self.comments = {tuple(where.get("path", [])): where.get("leadingComments", "")
                         for where in file["sourceCodeInfo"]["location"]}

    def comment(self, *path):
        """The paragraphs of a comment. Everything has one: `buf lint` says so, and this does."""
        text = "\n".join(line.removeprefix(" ") for line in self.comments[path].rstrip("\n").split("\n"))
        if not text.strip():
            sys.exit(f"{self.file['name']}: no comment at {path}")
        return [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]

    def link(self, name, text):
        home = self.homes[name]
        return f"[{text}]({'' if home == page_of(self.file) else home}#{name.lower()})"

    def prose(self, paragraph):
        """A paragraph of a comment as Markdown: what looks like markup is not, and types are links."""
        parts = CODE.split(paragraph)
        for i in range(0, len(parts), 2):
            text = parts[i].replace("\\", "\\\\").replace("<", "&lt;")
            text = re.sub(r"([*|\[\]])", r"\\\1", text)
            parts[i] = TYPE_WORD.sub(lambda word: self.link(word[1], word[1]) if word[1] in self.homes else word[1], text)
        return "".join(part.replace("|", "\\|") if part.startswith("`") else part for part in parts)

    def cell(self, *path):
        return "<br>".join(self.prose(paragraph) for paragraph in self.comment(*path))

    def section(self, title, *path):
        self.lines += [f"## {title}", ""]
        for paragraph in self.comment(*path):
            self.lines += [self.prose(paragraph), ""]

    def type_name(self, field):
        name = field.get("typeName", "").lstrip(".")
        if not name:
            return field["type"].removeprefix("TYPE_").lower()
        short = name.removeprefix(PACKAGE + ".")
        return self.link(short, short) if short in self.homes else name

    def method_type(self, method, side, streaming):
        name = method[side].lstrip(".").removeprefix(PACKAGE + ".")
        return ("stream of " if method.get(streaming) else "") + self.link(name, name)

    def service(self, index, service):
        self.section(service["name"], FILE_SERVICE, index)
        for i, method in enumerate(service["method"]):
            self.lines += [f"### {service['name']}.{method['name']}", "",
                           f"{self.method_type(method, 'inputType', 'clientStreaming')} → "
                           f"{self.method_type(method, 'outputType', 'serverStreaming')}", ""]
            for paragraph in self.comment(FILE_SERVICE, index, SERVICE_METHOD, i):
                self.lines += [self.prose(paragraph), ""]

    def field_row(self, message, path, i):
        field = message["field"][i]
        kind = self.type_name(field)
        if field["label"] == "LABEL_REPEATED":
            kind = "repeated " + kind
        elif field.get("proto3Optional"):
            kind = "optional " + kind
        elif "oneofIndex" in field:
            kind += f", one of `{message['oneofDecl'][field['oneofIndex']]['name']}`"
        return f"| {field['number']} | `{field['name']}` | {kind} | {self.cell(*path, MESSAGE_FIELD, i)} |"

    def message(self, index, message):
        if message.get("nestedType") or message.get("enumType"):
            sys.exit(f"{self.file['name']}: {message['name']} has types inside, which this reference has no place for")
        path = (FILE_MESSAGE, index)
        self.section(message["name"], *path)
        optional = {field["oneofIndex"] for field in message.get("field", []) if field.get("proto3Optional")}
        for i, oneof in enumerate(message.get("oneofDecl", [])):
            if i not in optional:
                text = " ".join(self.prose(paragraph) for paragraph in self.comment(*path, MESSAGE_ONEOF, i))
                self.lines += [f"At most one of `{oneof['name']}`: {text}", ""]
        if message.get("field"):
            self.lines += ["| | field | type | |", "|---|---|---|---|"]
            self.lines += [self.field_row(message, path, i) for i in range(len(message["field"]))] + [""]
        else:
            self.lines += ["No fields.", ""]

    def enum(self, index, enum):
        path = (FILE_ENUM, index)
        self.section(enum["name"], *path)
        self.lines += ["| | value | |", "|---|---|---|"]
        self.lines += [f"| {value.get('number', 0)} | `{value['name']}` | {self.cell(*path, ENUM_VALUE, i)} |"
                       for i, value in enumerate(enum["value"])] + [""]

    def text(self):
        self.lines = [HEAD, f"# {self.file['name']}", ""]
        for paragraph in self.comment(FILE_SYNTAX):
            self.lines += [self.prose(paragraph), ""]
        for kind, make in (("service", self.service), ("messageType", self.message), ("enumType", self.enum)):
            for index, declared in enumerate(self.file.get(kind, [])):
                make(index, declared)
        return "\n".join(self.lines).rstrip("\n") + "\n"


def index_text(files, homes):
    lines = [HEAD, "# API reference", "", "The contract, `stepcast.v1`, as the comments of [`proto/stepcast/v1`](../../proto/stepcast/v1) have "
             "it. [errors.md](../errors.md) has a section per error reason, [cookbook.md](../cookbook.md) calls to copy.", "",
             "| call | |", "|---|---|"]
    for file in files:
        page = Page(file, homes)
        for i, service in enumerate(file.get("service", [])):
            for k, method in enumerate(service["method"]):
                first = page.comment(FILE_SERVICE, i, SERVICE_METHOD, k)[0].split(". ")[0].rstrip(".")
                name = f"{service['name']}.{method['name']}"
                lines.append(f"| [{name}]({page_of(file)}#{name.replace('.', '').lower()}) | {first} |")
    lines += ["", "| page | |", "|---|---|"]
    for file in files:
        page = Page(file, homes)
        lines.append(f"| [{page_of(file)}]({page_of(file)}) | {page.comment(FILE_SYNTAX)[0]} |")
    return "\n".join(lines) + "\n"


def pages():
    """{name of the page: its text}"""
    files = sorted(read_files(), key=lambda file: (not file.get("service"), file["name"]))
    homes = {declared["name"]: page_of(file) for file in files for kind in ("messageType", "enumType", "service")
             for declared in file.get(kind, [])}
    return {"README.md": index_text(files, homes)} | {page_of(file): Page(file, homes).text() for file in files}


def main():
    wanted = pages()
    there = {path.name: path.read_text() for path in PAGES.glob("*.md")}
    if sys.argv[1:] == ["--check"]:
        stale = [name for name in sorted(wanted.keys() | there.keys()) if wanted.get(name) != there.get(name)]
        for name in stale:
            print(f"docs/api/{name} is not what proto/stepcast says; tools/api_reference.py writes it")
        return int(bool(stale))
    PAGES.mkdir(exist_ok=True)
    for name in there.keys() - wanted.keys():
        (PAGES / name).unlink()
    for name, text in wanted.items():
        (PAGES / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
