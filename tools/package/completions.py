"""Completions of a command line for bash, zsh and fish."""
import shlex


def bash(top):
    """A function that knows the subcommand, the option before the cursor, and what that takes."""
    names = " ".join(command.name for command in top.commands)
    words, values = [], []
    for command in [top, *top.commands]:
        label = "''" if command is top else command.name
        flags = " ".join(name for option in command.options for name in option.names)
        words.append(f"    {label}) words={shlex.quote((names + ' ' if command is top else '') + flags)} ;;")
        for option in command.options:
            if option.takes:
                pattern = "|".join(f"{'' if command is top else command.name}:{name}" for name in option.names)
                values.append(f"    {pattern}) {_bash_value(option)}; return ;;")
    lines = [f"# bash completion of {top.name}", f"_{top.name.replace('-', '_')}() {{",
             "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command='' words='' i",
             "  if [[ $prev == '=' ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi",
             "  if [[ $cur == '=' ]]; then cur=''; fi"]
    if names:
        lines += ["  for ((i = 1; i < COMP_CWORD; i++)); do",
                  f"    case ${{COMP_WORDS[i]}} in {names.replace(' ', '|')}) command=${{COMP_WORDS[i]}}; break ;; esac", "  done"]
    lines += ['  case "$command:$prev" in', *values, "  esac", '  case "$command" in', *words, "  esac",
              '  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")', "}",
              f"complete -o bashdefault -o default -F _{top.name.replace('-', '_')} {top.name}"]
    return "\n".join(lines) + "\n"


def _bash_value(option):
    if option.choices:
        return f"mapfile -t COMPREPLY < <(compgen -W {shlex.quote(' '.join(option.choices))} -- \"$cur\")"
    kind = {"file": "-f", "folder": "-d"}.get(option.takes)
    return f'compopt -o filenames; mapfile -t COMPREPLY < <(compgen {kind} -- "$cur")' if kind else "COMPREPLY=()"


def zsh(top):
    lines = [f"#compdef {top.name}", "local curcontext=$curcontext state line", "typeset -A opt_args"]
    if not top.commands:
        return "\n".join([*lines, " \\\n".join(["_arguments -s", *_zsh_arguments(top, "  ")])]) + "\n"
    described = " ".join(shlex.quote(f"{command.name}:{command.help}") for command in top.commands)
    lines += [f"local -a commands=({described})", "_arguments -C -s \\",
              *(line + " \\" for line in _zsh_arguments(top, "  ")), "  '1: :->command' '*:: :->argument' && return 0",
              "case $state in", "  command) _describe -t commands command commands ;;", "  argument)", "    case $words[1] in"]
    for command in top.commands:
        arguments = _zsh_arguments(command, "          ")
        lines += [f"      {command.name})", "        _arguments -s \\", *(line + " \\" for line in arguments[:-1]), arguments[-1], "        ;;"]
    return "\n".join([*lines, "    esac", "    ;;", "esac"]) + "\n"


def _zsh_arguments(command, indent):
    made = []
    for option in command.options:
        text = option.help.replace("\\", "\\\\").replace("[", r"\[").replace("]", r"\]").replace(":", r"\:").replace("'", "’")
        if option.choices:
            value = f":{option.value}:({' '.join(option.choices)})"
        else:
            value = {"": "", "file": ":file:_files", "folder": ":folder:_files -/", "text": ": : "}[option.takes]
        names = option.names[0] if len(option.names) == 1 else "{" + ",".join(option.names) + "}"
        group = f"'({' '.join(option.names)})'" if len(option.names) > 1 else ""
        made.append(f"{indent}{group}{names}'[{text}]{value}'")
    return made


def fish(top):
    lines = [f"# fish completion of {top.name}"]
    for command in top.commands:
        lines.append(f"complete -c {top.name} -f -n __fish_use_subcommand -a {command.name} -d {_fish_quote(command.help)}")
    for command in [top, *top.commands]:
        if command is not top:
            condition = f" -n '__fish_seen_subcommand_from {command.name}'"
        else:
            condition = " -n __fish_use_subcommand" if top.commands else ""
        for option in command.options:
            names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
            value = {"": "", "file": " -r -F", "folder": " -x -a '(__fish_complete_directories)'", "text": " -x"}[option.takes]
            if option.choices:
                value = f" -x -a {_fish_quote(' '.join(option.choices))}"
            lines.append(f"complete -c {top.name}{condition} {names}{value} -d {_fish_quote(option.help)}")
    return "\n".join(lines) + "\n"


def _fish_quote(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
