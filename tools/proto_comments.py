#!/usr/bin/env python3
"""Holds the lines of the wire contract to 120 columns.

    tools/proto_comments.py          prints one line per longer line (path:line: what); exits with 1 if there is any
    tools/proto_comments.py --fix    wraps the comment paragraphs that have one; touches nothing else
"""
import pathlib
import re
import sys
import textwrap

ROOT = pathlib.Path(__file__).resolve().parent.parent
COLUMNS = 120
COMMENT = re.compile(r"( *)// (\S.*)")  # A line of a paragraph: further indented text (a list, an example) is none.


def wrapped(paragraph, indent):
    """The lines of a paragraph (a list of texts), filled up to COLUMNS."""
    lead = indent + "// "
    return textwrap.wrap(" ".join(paragraph), COLUMNS, initial_indent=lead, subsequent_indent=lead,
                         break_long_words=False, break_on_hyphens=False)


def fixed(text):
    """`text` with every paragraph wrapped that has a line beyond COLUMNS."""
    lines, result = text.split("\n"), []
    while lines:
        match = COMMENT.fullmatch(lines[0])
        if not match or match[2].startswith("- "):
            result.append(lines.pop(0))
            continue
        indent, count = match[1], 0
        while count < len(lines) and (match := COMMENT.fullmatch(lines[count])) and match[1] == indent \
                and not match[2].startswith("- "):
            count += 1
        paragraph, lines = lines[:count], lines[count:]
        if any(len(line) > COLUMNS for line in paragraph):
            paragraph = wrapped([line.strip()[3:].strip() for line in paragraph], indent)
        result += paragraph
    return "\n".join(result)


def main():
    failed = False
    for path in sorted((ROOT / "proto" / "stepcast").rglob("*.proto")):
        text = path.read_text()
        if sys.argv[1:] == ["--fix"] and fixed(text) != text:
            path.write_text(fixed(text))
            text = path.read_text()
        for number, line in enumerate(text.split("\n"), 1):
            if len(line) > COLUMNS:
                failed = True
                print(f"{path.relative_to(ROOT)}:{number}: {len(line)} columns; tools/proto_comments.py --fix wraps it")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
