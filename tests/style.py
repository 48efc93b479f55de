#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The house's rules that a machine can check. Prints every breach; exit status 1 if there is one.

Include direction, lengths of files and functions, names the kernel would cut, licence lines, headers
that compile alone, layout.h as C, C++ and BPF, and that each source belongs to a target.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 100
LINE_LENGTH_MAX = 140
KERNEL_NAME_MAX = 15

# Who may include whom; a folder may always include itself. bpf/ here means layout.h and reasons.h
# (tests and the datapath may include all of it).
MAY_INCLUDE = {
    "base": set(),
    "api": {"base"},
    "bpf": set(),
    "policies": {"base"},
    "dnsproxy": {"policies", "base", "api", "bpf"},
    "agent": {"dnsproxy", "policies", "base", "api", "bpf"},
    "cli": {"policies", "base", "api"},
    "tests": {"agent", "cli", "dnsproxy", "policies", "base", "api", "bpf"},
}
BPF_FOR_ALL = {"bpf/layout.h", "bpf/reasons.h"}
breaches = []


def breach(path, line, text):
    breaches.append(f"{path}:{line}: {text}" if line else f"{path}: {text}")


def tracked():
    out = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True,
                         capture_output=True, text=True).stdout.split("\n")
    return [p for p in out if p and os.path.isfile(os.path.join(ROOT, p))]


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8", errors="replace") as file:
        return file.read()


def check_includes(path, text):
    folder = path.split("/")[0]
    if folder not in MAY_INCLUDE:
        return
    for number, line in enumerate(text.split("\n"), 1):
        found = re.match(r'#include "([^"]+)"', line)
        if not found:
            continue
        target = found.group(1)
        to = target.split("/")[0]
        if to not in MAY_INCLUDE:
            continue  # generated, or of the same folder in bpf/
        if to != folder and to not in MAY_INCLUDE[folder]:
            breach(path, number, f"{folder}/ may not include {to}/")
        if to == "bpf" and folder in ("dnsproxy", "agent") and target not in BPF_FOR_ALL and not path.startswith("agent/datapath/"):
            breach(path, number, "only bpf/layout.h and bpf/reasons.h are for user space")


def check_lengths(path, text):
    lines = text.split("\n")
    if len(lines) > FILE_LINES_MAX:
        breach(path, None, f"{len(lines)} lines; split it by topic (limit {FILE_LINES_MAX})")
    for number, line in enumerate(lines, 1):
        if len(line) > LINE_LENGTH_MAX:
            breach(path, number, f"{len(line)} columns (limit {LINE_LENGTH_MAX})")
    start = None
    for number, line in enumerate(lines, 1):
        if re.match(r"^[A-Za-z].*\) (const )?(noexcept )?\{$", line) or (line == "{" and path.startswith("bpf/")):
            start = number
        elif line == "}" and start:
            if number - start > FUNCTION_LINES_MAX:
                breach(path, start, f"a function of {number - start} lines (limit {FUNCTION_LINES_MAX})")
            start = None


def check_kernel_names(path, text):
    if not path.startswith("bpf/"):
        return
    names = re.findall(r'^\} (\w+) SEC\("\.maps"\)', text, re.M) + re.findall(r'SEC\("tc"\)\nint (\w+)\(', text)
    for name in names:
        if len(name) > KERNEL_NAME_MAX:
            breach(path, None, f"the kernel cuts the name {name} after {KERNEL_NAME_MAX} characters")


def check_licence(path, text):
    if path.endswith((".h", ".c", ".cpp", ".proto", ".py", ".sh", ".cmake", ".yaml", "CMakeLists.txt")) or path == "dev":
        head = text[:400]
        want = "GPL-2.0-only OR BSD-2-Clause" if path.startswith("bpf/") and not path.endswith("CMakeLists.txt") else "Apache-2.0"
        if f"SPDX-License-Identifier: {want}" not in head:
            breach(path, 1, f"no line SPDX-License-Identifier: {want}")


def check_in_build(paths):
    """A source that no CMakeLists.txt names is dead."""
    lists = "\n".join(read(p) for p in paths if p.endswith(("CMakeLists.txt", ".cmake")))
    for path in paths:
        if path.endswith(".cpp") and not path.startswith("tests/lab") and os.path.basename(path) not in lists:
            breach(path, None, "is in no CMakeLists.txt")


def compiles(command, source, suffix):
    with tempfile.NamedTemporaryFile("w", suffix=suffix) as file:
        file.write(source)
        file.flush()
        return subprocess.run(command + [file.name], cwd=ROOT, capture_output=True, text=True)


def check_layout():
    arch = subprocess.run(["gcc", "-print-multiarch"], capture_output=True, text=True).stdout.strip()
    for header in sorted(BPF_FOR_ALL):
        for name, command, suffix in (
                ("C", ["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I."], ".c"),
                ("C++", ["g++", "-std=c++20", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I."], ".cpp"),
                ("BPF", ["clang", "-target", "bpf", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I.", f"-I/usr/include/{arch}"], ".c")):
            result = compiles(command, f'#include "{header}"\n', suffix)
            if result.returncode:
                breach(header, None, f"does not compile alone as {name}: {result.stderr.splitlines()[0]}")


def check_headers_alone(paths):
    generated = next((d for d in ("build/release/generated", "build/dev/generated") if os.path.isdir(os.path.join(ROOT, d))), None)
    for path in paths:
        if not path.endswith(".h") or path.split("/")[0] not in ("base", "api", "policies", "dnsproxy", "agent", "cli"):
            continue
        text = read(path)
        if ".pb.h" in text or ".skel.h" in text or "datapath/gate" in text:
            continue  # needs the build folder; the build compiles it
        command = ["g++", "-std=c++20", "-fsyntax-only", "-I."] + ([f"-isystem{generated}"] if generated else [])
        result = compiles(command, f'#include "{path}"\n', ".cpp")
        if result.returncode:
            errors = [line for line in result.stderr.splitlines() if "error" in line] or ["?"]
            breach(path, None, f"does not compile alone: {errors[0]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--headers", action="store_true", help="also compile every header alone (a minute)")
    arguments = parser.parse_args()
    paths = tracked()
    for path in paths:
        if not path.endswith((".h", ".c", ".cpp", ".proto", ".py", ".sh", ".cmake", ".yaml", "CMakeLists.txt")) and path != "dev":
            continue
        text = read(path)
        check_licence(path, text)
        if path.endswith((".h", ".c", ".cpp")):
            check_includes(path, text)
            check_lengths(path, text)
            check_kernel_names(path, text)
    check_in_build(paths)
    check_layout()
    if arguments.headers:
        check_headers_alone(paths)
    for text in breaches:
        print(text)
    print(f"style: {len(paths)} files, {len(breaches)} breaches")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
