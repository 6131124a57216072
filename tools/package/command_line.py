"""What a program's --help says of its command line: subcommands, options, values. CLI11's layout."""
import dataclasses
import re
import subprocess

COLUMN = 30  # where descriptions begin
FILES = {"FILE", "PATH", "FILE[:NET[:SCALE]]"}
FILE_OPTIONS = {"--output", "--from", "--config", "--port_file", "--record_file", "--recording", "--costs"}
FOLDER_OPTIONS = {"--models_dir", "--control_nets_dir", "--validate_model", "--plots"}


@dataclasses.dataclass
class Option:
    names: list
    value: str  # "" for a switch
    choices: list
    help: str

    @property
    def takes(self):
        """What its value is: "", "file", "folder" or "text"."""
        if not self.value:
            return ""
        if self.value in FILES or FILE_OPTIONS & set(self.names):
            return "file"
        return "folder" if FOLDER_OPTIONS & set(self.names) else "text"


@dataclasses.dataclass
class Command:
    name: str
    help: str
    positionals: list = dataclasses.field(default_factory=list)  # (name, help)
    options: list = dataclasses.field(default_factory=list)
    commands: list = dataclasses.field(default_factory=list)


def ask(program, name):
    """The whole command line of a program, called `name`."""
    def told(*words):
        return subprocess.run([program, *words, "--help"], check=True, text=True, capture_output=True).stdout
    top = parse(name, told())
    top.commands = [parse(each.name, told(each.name)) for each in top.commands]
    return top


def parse(name, text):
    lines = text.splitlines()
    made = Command(name, next(line for line in lines if line))
    section = ""
    for number, line in enumerate(lines):
        if re.fullmatch(r"\S.*:", line) and not line.startswith("Usage"):
            section = line.rstrip(":")
        elif line.startswith("  ") and line[2:3].strip():
            following = lines[number + 1] if number + 1 < len(lines) else ""
            add(made, section, *split(line, following))
    return made


def split(line, following):
    """(what is described, description). A long one has its description on the next line."""
    if following.startswith(" " * COLUMN):
        return line.strip(), following.strip()
    return line[:COLUMN].strip(), line[COLUMN:].strip()


def add(command, section, told, description):
    if section == "Subcommands":
        command.commands.append(Command(told, description))
    elif section == "Positionals":
        command.positionals.append((told.split()[0], description))
    elif told.startswith("-"):
        names, _, rest = told.partition(" ")
        rest = re.sub(r"(Excludes|Needs): .*", "", re.sub(r"\(Env:\w+\)", "", rest)).replace("REQUIRED", "").strip()
        choices = re.search(r":\{(.*)\}", rest)
        value = re.split(r"[=:]", rest.removesuffix("...").strip())[0] if not rest.startswith("FILE[") else rest.removesuffix("...").strip()
        command.options.append(Option(names.split(","), value.strip(), choices[1].split(",") if choices else [], description))
