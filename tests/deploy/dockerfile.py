"""Reads a Dockerfile: what the steps of ours need of its syntax."""


def instructions(text):
    """(word, rest) of each instruction, continued lines joined, comments left out."""
    found, pending = [], ""
    for line in text.splitlines():
        if line.lstrip().startswith("#") or (not line.strip() and not pending):
            continue
        pending += line.rstrip()
        if pending.endswith("\\"):
            pending = pending[:-1]
            continue
        word, _, rest = pending.strip().partition(" ")
        found.append((word.upper(), " ".join(rest.split())))
        pending = ""
    return found
