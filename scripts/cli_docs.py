#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Man pages and shell completion of all programs, from what each program's own --help says.

The build runs it after the programs are there, so neither can go stale: a new option is in both with the next build.
What --help cannot say (files, environment, examples) is written by hand in docs/man/NAME.SECTION.in, where a line
@OPTIONS@ stands for everything that comes from --help. Writes OUT/man, OUT/bash, OUT/zsh and OUT/fish.
"""
import argparse
import os
import re
import subprocess

PROGRAMS = ("postern", "posternd", "postern-setup", "postern-dns", "postern-observer")
COLUMN = 30  # where CLI11 begins an entry's text

# What the value of an option or a positional is, where its own words and text do not say it.
KINDS = {"--interface": "interfaces", "--policy": "policies", "--sandbox": "sandboxes", "sandbox": "sandboxes"}
SHELL_LISTS = {
    "interfaces": "ls /sys/class/net",
    "sandboxes": "postern sandbox list -o json 2>/dev/null | sed -n 's/^ *\"interface\": \"\\(.*\\)\",*$/\\1/p'",
    "policies": "postern status -o json 2>/dev/null | sed -n 's/^ *\"name\": \"\\(.*\\)\",*$/\\1/p'",
}


class Entry:
    """An option, a positional or a command, as one entry of --help."""

    def __init__(self, head, text):
        found = re.match(r"((?:-\w,\s*)?--[\w-]+(?:,\s*--[\w-]+)*|\S+)\s*(.*)$", head)
        self.names = [name for name in re.split(r"[,\s]+", found.group(1)) if name]
        self.value, self.text = found.group(2).strip(), text
        choices = re.search(r"\{([^}]*)\}", self.value) or re.fullmatch(r"((?:\w+, )+\w+ or \w+)", text)
        self.choices = re.split(r", ?| or ", choices.group(1)) if choices else []

    @property
    def takes_value(self):
        return bool(re.match(r"[A-Z]", self.value))


class Command:
    """A program or a command of one, with everything below it. path: the words that lead to it."""

    def __init__(self, program, path):
        self.path, self.groups, self.commands, self.positionals = path, [], [], []
        out = subprocess.run([program, *path[1:], "--help"], check=True, capture_output=True, text=True).stdout
        head, rest = re.split(r"^Usage: .*\n", out, maxsplit=1, flags=re.M)
        self.about, self.footer = head.strip(), ""
        usage = re.search(r"^Usage: \S+(.*)$", out, re.M).group(1)
        self.usage = path[0] + usage
        for block in re.split(r"\n\n+", rest.strip("\n")):
            self._read_block(block)
        self.below = [Command(program, path + entry.names) for entry in self.commands]

    def _read_block(self, block):
        lines = block.split("\n")
        title = lines[0].rstrip(":")
        known = {"positionals": self.positionals, "subcommands": self.commands}
        if lines[0].endswith(":") and title.lower() in known:
            known[title.lower()].extend(entries_of(lines[1:]))
        elif lines[0].endswith(":") and len(lines) > 1 and lines[1].startswith("  -"):
            self.groups.append((title, entries_of(lines[1:])))
        elif block.strip():
            self.footer += ("\n\n" if self.footer else "") + block

    @property
    def options(self):
        return [entry for _, entries in self.groups for entry in entries]

    def all(self):
        """This one and all below it."""
        return [self] + [each for command in self.below for each in command.all()]


def entries_of(lines):
    """A head and its text share a line, or the text is on the next one, indented."""
    entries = []
    while lines:
        line, lines = lines[0], lines[1:]
        if lines and lines[0].startswith(" " * COLUMN):
            head, text, lines = line, lines[0].strip(), lines[1:]
        else:
            head, text = line[:COLUMN], line[COLUMN:]
        entries.append(Entry(head.strip(), text.strip()))
    return entries


# ---- man pages ----

def roff(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.M)


def roff_footer(text):
    """Lines that are indented stay as they are; the others flow."""
    out = []
    for block in text.split("\n\n"):
        out.append(".PP")
        literal = False
        for line in block.split("\n"):
            if line.startswith("  ") != literal:
                out.append(".fi\n.RE" if literal else ".RS 4\n.nf")
                literal = not literal
            out.append(roff(line.strip()))
        if literal:
            out.append(".fi\n.RE")
    return out


def roff_entries(entries):
    out = []
    for entry in entries:
        names = ", ".join(f"\\fB{roff(name)}\\fR" for name in entry.names)
        out += [".TP", names + (" " + roff(entry.value) if entry.value else ""), roff(entry.text)]
    return out


def man_options(command):
    """The part of a page that comes from --help: the program's own options, then each command."""
    out = [".SH OPTIONS"]
    for title, entries in command.groups:
        out += ([f".SS {roff(title)}"] if title.lower() != "options" else []) + roff_entries(entries)
    leaves = [each for each in command.all()[1:] if not each.below]
    if leaves:
        out.append(".SH COMMANDS")
    for leaf in leaves:
        out += [f".SS {roff(leaf.usage)}", roff(leaf.about)]
        out += roff_entries(leaf.positionals)
        for title, entries in leaf.groups:
            entries = [entry for entry in entries if "--help" not in entry.names]
            out += ([".PP", roff(title) + ":"] if title.lower() != "options" else []) + roff_entries(entries)
        out += roff_footer(leaf.footer) if leaf.footer else []
    return out


def man_page(source, command, version):
    section = source.rsplit(".", 2)[1]
    out = [f'.TH {command.path[0].upper()} {section} "" "Postern {version}" "Postern"', ".SH NAME"]
    with open(source, encoding="utf-8") as file:
        lines = [line for line in file.read().splitlines() if not line.startswith('.\\"')]
    name, lines = lines[0], lines[1:]
    out += [f"{roff(command.path[0])} \\- {name}", ".SH SYNOPSIS", f".B {roff(command.usage)}", ".SH DESCRIPTION",
            roff(command.about)]
    for line in lines:
        out += man_options(command) if line == "@OPTIONS@" else [line]
    if command.footer and not command.below:
        out += [".SH NOTES"] + roff_footer(command.footer)[1:]
    return "\n".join(out) + "\n"


# ---- completion ----

def words(entries):
    return " ".join(name for entry in entries for name in entry.names)


def value_of(entry):
    """How a shell finds the values of an option: "kind:sandboxes", "words:text json", "files", "none"."""
    kind = next((KINDS[name] for name in entry.names if name in KINDS), None)
    if kind or entry.choices:
        return f"kind:{kind}" if kind else f"words:{' '.join(entry.choices)}"
    return "files" if "=/" in entry.value or re.search(r"\b(files?|folder|socket)\b", entry.text, re.I) else "none"


def positional_of(command):
    """Of its first positional; commands have no files."""
    if command.commands:
        return "none"
    return value_of(command.positionals[0]) if command.positionals else "none"


def function_name(command):
    return "_" + command.path[0].replace("-", "_")


def descend(command, indent):
    """Shell lines of a case that follows the words of a command line down to its command."""
    paths = [" ".join(each.path) for each in command.all()[1:]]
    return [f'{indent}{"|".join(chr(34) + path + chr(34) for path in paths)}) path="$path $word" ;;'] if paths else []


# Names from elsewhere are not for compgen -W, which expands what it is given; an odd one is left out.
BASH_LINES = """_postern_lines() {
  local line
  while read -r line; do
    [[ $line == "$current"* && $line =~ ^[A-Za-z0-9._:@-]+$ ]] && COMPREPLY+=("$line")
  done
}"""


def bash_reply(value):
    if value.startswith("kind:"):
        return f"_postern_lines < <({SHELL_LISTS[value[5:]]})"
    if value.startswith("words:"):
        return f'COMPREPLY=($(compgen -W "{value[6:]}" -- "$current"))'
    return 'COMPREPLY=($(compgen -f -- "$current"))' if value == "files" else ":"


def bash(command):
    name = function_name(command)
    out = [f"# bash completion of {command.path[0]}, made from its --help", BASH_LINES, f"{name}() {{",
           '  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}',
           f'  local path="{command.path[0]}" word', "  COMPREPLY=()",
           '  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do', '    case "$path $word" in',
           *descend(command, "      "), "    esac", "  done", '  case "$path $previous" in']
    for each in command.all():
        for entry in each.options:
            if entry.takes_value:
                keys = "|".join(f'"{" ".join(each.path)} {option}"' for option in entry.names)
                out.append(f"    {keys}) {bash_reply(value_of(entry))}; return ;;")
    out += ["  esac", '  case "$path" in']
    for each in command.all():
        out += [f'    "{" ".join(each.path)}")', '      if [[ $current == -* ]]; then',
                f'        COMPREPLY=($(compgen -W "{words(each.options)}" -- "$current"))', "      else",
                f"        {bash_reply('words:' + words(each.commands) if each.commands else positional_of(each))}",
                "      fi ;;"]
    return "\n".join([*out, "  esac", "}", f"complete -o filenames -F {name} {command.path[0]}", ""])


def zsh_quoted(entries):
    pairs = [f"{name}:{entry.text}" for entry in entries for name in entry.names]
    return " ".join("'" + pair.replace("'", "'\\''") + "'" for pair in pairs)


def zsh_reply(value):
    if value.startswith("kind:"):
        return f'compadd -- ${{(f)"$({SHELL_LISTS[value[5:]]})"}}'
    if value.startswith("words:"):
        return f"compadd -- {value[6:]}"
    return "_files" if value == "files" else ":"


def zsh(command):
    name = function_name(command)
    out = [f"#compdef {command.path[0]}", "# made from its --help", f"{name}() {{",
           f'  local path_="{command.path[0]}" word previous=${{words[CURRENT-1]}}', "  local -a entries",
           "  for word in ${words[2,CURRENT-1]}; do", '    case "$path_ $word" in',
           *[line.replace('path="$path ', 'path_="$path_ ') for line in descend(command, "      ")], "    esac", "  done",
           '  case "$path_ $previous" in']
    for each in command.all():
        for entry in each.options:
            if entry.takes_value:
                keys = "|".join(f'"{" ".join(each.path)} {option}"' for option in entry.names)
                out.append(f"    {keys}) {zsh_reply(value_of(entry))}; return ;;")
    out += ["  esac", '  case "$path_" in']
    for each in command.all():
        out += [f'    "{" ".join(each.path)}")', "      if [[ $PREFIX == -* ]]; then",
                f"        entries=({zsh_quoted(each.options)}); _describe option entries", "      else"]
        if each.commands:
            out.append(f"        entries=({zsh_quoted(each.commands)}); _describe command entries")
        else:
            out.append(f"        {zsh_reply(positional_of(each))}")
        out.append("      fi ;;")
    return "\n".join([*out, "  esac", "}", f'{name} "$@"', ""])


def fish_text(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def fish_values(value):
    if value.startswith("kind:"):
        return f" -f -a {fish_text('(' + SHELL_LISTS[value[5:]] + ')')}"
    if value.startswith("words:"):
        return f" -f -a {fish_text(value[6:])}"
    return " -F" if value == "files" else " -f"


def fish(command):
    program = command.path[0]
    at = f"_{program.replace('-', '_')}_at"
    paths = " ".join(fish_text(" ".join(each.path)) for each in command.all()[1:])
    out = [f"# fish completion of {program}, made from its --help", f"function {at}", f"  set -l path {program}",
           "  for word in (commandline -opc)[2..-1]",
           f'    contains -- "$path $word" {paths}; and set path "$path $word"', "  end", '  test "$path" = "$argv"', "end", f"complete -c {program} -f"]
    for each in command.all():
        where = f"complete -c {program} -n {fish_text(at + ' ' + ' '.join(each.path))}"
        for entry in each.options:
            names = " ".join(f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in entry.names)
            values = f" -r{fish_values(value_of(entry))}" if entry.takes_value else ""
            out.append(f"{where} {names}{values} -d {fish_text(entry.text)}")
        for entry in each.commands:
            out.append(f"{where} -a {entry.names[0]} -d {fish_text(entry.text)}")
        if positional_of(each) != "none":
            out.append(where + fish_values(positional_of(each)))
    return "\n".join([*out, ""])


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, help="folder of the programs")
    parser.add_argument("--source", required=True, help="docs/man")
    parser.add_argument("--out", required=True, help="folder to write into")
    parser.add_argument("--version", required=True, help="of Postern")
    options = parser.parse_args()
    for program in PROGRAMS:
        command = Command(os.path.join(options.bin, program), [program])
        section = "1" if program == "postern" else "8"
        source = os.path.join(options.source, f"{program}.{section}.in")
        write(f"{options.out}/man/man{section}/{program}.{section}", man_page(source, command, options.version))
        write(f"{options.out}/bash/{program}", bash(command))
        write(f"{options.out}/zsh/_{program}", zsh(command))
        write(f"{options.out}/fish/{program}.fish", fish(command))


if __name__ == "__main__":
    main()
