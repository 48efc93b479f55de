# SPDX-License-Identifier: Apache-2.0
"""Leaving nothing behind: an undo stack, signals, and what a killed earlier run left.

Everything a lab makes outside its processes carries the name PREFIX + pid: namespaces in /run/netns,
a folder in the temporary directory, a folder below /sys/fs/bpf, cgroups. So anyone can tell what is whose.
"""
import glob
import os
import re
import shutil
import signal
import sys
import tempfile

from .commands import run, wait_until

PREFIX = "postern-lab-"
NETNS = "/run/netns"
BPFFS = "/sys/fs/bpf"


class Undo:
    """Functions to call at the end, last one first, each whatever the others did."""

    def __init__(self):
        self.steps = []

    def add(self, step, *args):
        self.steps.append((step, args))

    def run(self):
        errors = []
        while self.steps:
            step, args = self.steps.pop()
            try:
                step(*args)
            except Exception as error:  # the rest must be cleaned up all the same
                errors.append(f"{getattr(step, '__qualname__', step)}: {error}")
        for error in errors:
            print(f"lab: cleaning up: {error}", file=sys.stderr)
        return errors


def end_on_signals():
    """SIGINT and SIGTERM become SystemExit, so that `with` blocks clean up; further ones change nothing."""
    def end(number, _frame):
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN)
        sys.exit(128 + number)
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, end)


def end_processes_in(namespace):
    """Ends whatever still runs in one of our namespaces."""
    pids = run(["ip", "netns", "pids", namespace], check=False).out.split()
    for pid in pids:
        try:
            os.kill(int(pid), signal.SIGKILL)
        except ProcessLookupError:
            pass
    return pids


def remove_namespace(namespace):
    end_processes_in(namespace)
    run(["ip", "netns", "del", namespace])


def remove_pins(path):
    if os.path.isdir(path):
        shutil.rmtree(path)


def cgroup_mounts():
    """The machine's cgroup hierarchies: (mount point, file system, its options), outermost first."""
    found = []
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        for line in file:
            left, right = line.split(" - ")
            kind, _source, options = right.split()
            if kind in ("cgroup", "cgroup2"):
                found.append((left.split()[4], kind, options))
    return found


def remove_cgroup(path):
    """Removes a cgroup and those below it, once their processes have ended."""
    def gone():
        for folder, _folders, _files in os.walk(path, topdown=False):
            try:
                os.rmdir(folder)
            except OSError:  # EBUSY: the kernel is still taking its processes away
                return False
        return True
    wait_until(gone, f"the processes in {path} to end", 10)


def traces(pid=None):
    """Paths of namespaces, folders, pins and cgroups of one lab process; of all lab processes if pid is None."""
    pattern = f"{PREFIX}{'*' if pid is None else pid}"
    found = []
    for folder in (NETNS, BPFFS, tempfile.gettempdir(), *(mount for mount, _, _ in cgroup_mounts())):
        found += glob.glob(os.path.join(folder, pattern)) + glob.glob(os.path.join(folder, pattern + "-*"))
    return sorted(set(found))


def what_is_left(pid):
    """All that a lab process left, as texts: paths, mounts, and processes other than itself that still run."""
    name = re.compile(rf"{PREFIX}{pid}\b")
    left = traces(pid)
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        left += ["mount " + line.split()[4] for line in file if name.search(line)]
    for process in glob.glob("/proc/[0-9]*"):
        try:
            with open(process + "/cmdline", encoding="utf-8", errors="replace") as file:
                command = file.read().replace("\0", " ")
        except OSError:  # it has just ended
            continue
        if name.search(command) and int(process[6:]) != os.getpid():
            left.append(f"process {process[6:]} ({command.strip()})")
    return left


def _pid_of(path):
    digits = os.path.basename(path)[len(PREFIX):].split("-")[0]
    return int(digits) if digits.isdigit() else None


def _is_lab(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return b"python" in file.read()
    except OSError:
        return False


def remove_leftovers():
    """Removes what a lab process that no longer lives left behind; returns the paths."""
    removed = []
    for path in traces():
        pid = _pid_of(path)
        if pid is None or pid == os.getpid() or _is_lab(pid):
            continue
        if path.startswith(NETNS):
            remove_namespace(os.path.basename(path))
        elif any(path.startswith(mount + "/") for mount, _, _ in cgroup_mounts()):
            remove_cgroup(path)
        else:
            shutil.rmtree(path, ignore_errors=True)
        removed.append(path)
    return removed
