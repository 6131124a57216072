"""A page of documentation as a reader meets it: commands to type, the answers shown for them, pictures promised."""
import dataclasses
import re

FENCE = re.compile(r"^( *)```(\w*)$")
DIRECTIVE = re.compile(r"^<!-- (exit|not run): (.+) -->$")
# "`a.png` and `b.png`, 64 x 64"
NAME = r"`([\w.-]+\.(?:png|jpg|webp))`"
PROMISE = re.compile(rf"{NAME}(?:(?:,| and) {NAME})*, (\d+) x (\d+)")


@dataclasses.dataclass
class Block:
    """A fenced block."""
    line: int
    language: str
    text: str
    # Of a block with commands: the code with which it ends, or why nobody runs it here.
    exit_code: int = 0
    not_run: str = ""
    # What the page shows as its answer, if anything.
    answer: str | None = None
    is_answer: bool = False
    # {file: (width, height)}, as told between the block before and this one.
    pictures: dict = dataclasses.field(default_factory=dict)


def promises(prose):
    found = {}
    for match in PROMISE.finditer(" ".join(prose.split())):
        *_, width, height = match.groups()
        for name in re.findall(NAME, match[0]):
            found[name] = int(width), int(height)
    return found


def read(path):
    """The blocks of a page, answers put to their commands. Every fence must say what it holds."""
    blocks, prose, directives, block = [], "", {}, None
    for number, line in enumerate(path.read_text().split("\n"), 1):
        fence = FENCE.match(line)
        if block is not None:
            if fence:
                block = None
            else:
                block.text += line[indent:] + "\n"
        elif fence:
            indent = len(fence[1])
            block = Block(number, fence[2], "", int(directives.get("exit", 0)), directives.get("not run", ""),
                          pictures=promises(prose))
            blocks.append(block)
            after_commands = len(blocks) > 1 and blocks[-2].language == "sh" and prose == ""
            block.is_answer = after_commands and block.language in ("text", "json")
            prose, directives = "", {}
        elif directive := DIRECTIVE.match(line.strip()):
            directives[directive[1]] = directive[2]
            prose += "\n"
        else:
            prose += line + "\n"
    for before, after in zip(blocks, blocks[1:]):
        if after.is_answer:
            before.answer = after.text
    return blocks


def shows(answer, said):
    """Whether what a program said is what the page shows: "..." stands for anything, white space counts as one blank."""
    wanted = ".*?".join(re.escape(part) for part in re.split(r" ?\.\.\. ?", " ".join(answer.split())))
    return re.fullmatch(wanted, " ".join(said.split()), re.DOTALL) is not None
