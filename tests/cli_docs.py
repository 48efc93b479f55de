#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every option and command that --help shows is in its program's man page and in completion, by real shells.

zsh and fish are asked only where they are installed; bash always. Usage: cli_docs.py BIN DOCS
"""
import os
import re
import shutil
import subprocess
import sys

PROGRAMS = ("postern", "posternd", "postern-setup", "postern-dns", "postern-observer")
failures = []


def check(held, what):
    if not held:
        failures.append(what)


def output(argv, **options):
    return subprocess.run(argv, check=True, capture_output=True, text=True, **options).stdout


def shown(program, path):
    """(options, commands) of one command, as --help shows them: read another way than the generator does."""
    text = output([program, *path, "--help"])
    heads = [re.split(r" [A-Z]|   ", line.strip())[0] for line in text.splitlines() if re.match(r" +-", line)]
    options = {name for head in heads for name in re.findall(r"(?:^| |,)(--[a-z][a-z-]*|-[a-z])(?=[ ,]|$)", head)}
    below = re.search(r"^subcommands:\n((?:  .*\n)+)", text, re.M | re.I)
    return options, re.findall(r"^  (\S+)", below.group(1), re.M) if below else []


def bash_completes(script, words):
    """What bash would offer for the last of the words."""
    line = f'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); ' \
           f'_{words[0].replace("-", "_")}; printf "%s\\n" "${{COMPREPLY[@]}}"'
    return set(output(["bash", "--norc", "-uc", line, "bash", script, *words]).split())


def fish_completes(script, words):
    quoted = " ".join(words)
    said = output(["fish", "--no-config", "-c", f"source {script}; complete -C '{quoted}'"])
    return {line.split("\t")[0] for line in said.splitlines()}


def zsh_completes(script, words):
    """compadd and _describe, replaced, tell what would be offered; the rest of the system needs a terminal."""
    code = '''compadd() { shift; print -l -- "$@" }
_describe() { print -l -- "${(@P)2%%:*}" }
_files() { : }
words=("${@[2,-1]}"); CURRENT=${#words}; PREFIX=${words[-1]}
source "$1"'''
    return set(output(["zsh", "-fc", code, "zsh", script, *words]).split())


def man_file(docs, program):
    section = 1 if program == "postern" else 8
    return f"{docs}/man/man{section}/{program}.{section}"


def man_section(page, path):
    """The part of a page about one command: its own .SS, or for a program all of it."""
    text = page.replace("\\-", "-")
    if len(path) == 1:
        return text
    found = re.search(rf"^\.SS {re.escape(' '.join(path))} .*?(?=^\.SS postern|^\.SH|\Z)", text, re.M | re.S)
    return found.group(0) if found else ""


def check_command(program, docs, shells, path):
    options, commands = shown(program, path[1:])
    check("--help" in options, f"{path}: no options were found in --help")
    name = " ".join(path)
    with open(man_file(docs, path[0]), encoding="utf-8") as file:
        page = man_section(file.read(), path)
    for option in options - ({"-h", "--help"} if len(path) > 1 else set()):
        check(bool(commands) and len(path) > 1 or f"\\fB{option}\\fR" in page, f"man page: {name} {option}")
    for shell, completes in shells.items():
        offered = completes(shells_file(docs, shell, path[0]), [*path, "-"])
        long_options = {option for option in options if option.startswith("--")}
        check(long_options <= offered, f"{shell}: {name} lacks {sorted(long_options - offered)}")
        if commands:
            offered = completes(shells_file(docs, shell, path[0]), [*path, ""])
            check(set(commands) <= offered, f"{shell}: {name} offers {sorted(offered)}, not {commands}")
    for command in commands:
        check_command(program, docs, shells, [*path, command])


def shells_file(docs, shell, program):
    return f"{docs}/{shell}/" + {"bash": program, "zsh": "_" + program, "fish": program + ".fish"}[shell]


def check_values(docs, shells):
    """Values that an option names itself, and no more options after them."""
    for shell, completes in shells.items():
        script = shells_file(docs, shell, "postern")
        check(completes(script, ["postern", "status", "-o", ""]) == {"text", "json"}, f"{shell}: values of --output")
        check("DROPPED" in completes(script, ["postern", "observe", "--verdict", ""]), f"{shell}: values of --verdict")
        check("lo" in completes(script, ["postern", "sandbox", "attach", "--interface", ""]), f"{shell}: interfaces")


def main():
    binaries, docs = sys.argv[1:]
    known = {"bash": bash_completes, "zsh": zsh_completes, "fish": fish_completes}
    shells = {shell: function for shell, function in known.items() if shutil.which(shell)}
    for program in PROGRAMS:
        check_command(os.path.join(binaries, program), docs, shells, [program])
        if shutil.which("groff"):
            said = subprocess.run(["groff", "-man", "-ww", "-Tutf8", man_file(docs, program)], capture_output=True, text=True)
            check(said.returncode == 0 and not said.stderr, f"groff: {said.stderr}")
    check_values(docs, shells)
    for failure in failures:
        print(failure)
    print(f"cli_docs: {len(PROGRAMS)} programs, {', '.join(shells)}: {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
