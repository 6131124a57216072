"""A manual page of a command line."""


def page(top, version):
    name = top.name.upper()
    lines = [f'.TH {escape(name)} 1 "" "stepcast {version}" "Stepcast"', ".SH NAME", f"{escape(top.name)} \\- {escape(summary(top))}",
             ".SH SYNOPSIS"]
    for command in top.commands or [top]:
        words = top.name if command is top else f"{top.name} {command.name}"
        arguments = "".join(f" [\\fI{escape(argument)}\\fR]" for argument, _ in command.positionals)
        lines += [f"\\fB{escape(words)}\\fR [\\fIoptions\\fR]{arguments}", ".br"]
    lines += [".SH DESCRIPTION", text(top.help)]
    if top.options:
        lines += [".SH OPTIONS", *options(top)]
    for command in top.commands:
        lines += [f".SH {escape(top.name.upper())} {escape(command.name.upper())}", text(command.help)]
        for argument, told in command.positionals:
            lines += [".TP", f"\\fI{escape(argument)}\\fR", text(told)]
        lines += options(command)
    lines += [".SH SEE ALSO", "The pages in /usr/share/doc/stepcast."]
    return "\n".join(lines) + "\n"


def summary(top):
    return top.help.split(". ")[0].rstrip(".")


def options(command):
    lines = []
    for option in command.options:
        value = f" \\fI{escape(option.value)}\\fR" if option.value else ""
        told = option.help + (f" (one of {', '.join(option.choices)})" if option.choices else "")
        lines += [".TP", ", ".join(f"\\fB{escape(name)}\\fR" for name in option.names) + value, text(told)]
    return lines


def escape(word):
    return word.replace("\\", "\\e").replace("-", "\\-")


def text(words):
    """A paragraph; a line that begins with a point would be a request."""
    words = escape(words)
    return "\\&" + words if words.startswith((".", "'")) else words
