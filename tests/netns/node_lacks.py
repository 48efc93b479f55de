#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a node or a container may lack: the BPF file system, a seccomp profile that lets bpf(2) through.

Each daemon refuses to start, in one line that says what is missing and what to do, and leaves nothing. The real
cluster's words for the same are in tests/e2e/lacking_node.py; type information and capabilities in bad_input.py.
"""
import json
import os
import sys

from harness import case, equal, main, true
from lab import ask

ZONE = "www.allowed.example. 60 A 93.184.216.34\n"
FORBID = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lab", "forbid.py")


def prepare(lab):
    gate = lab.gate({"agent": "allow: [{names: [www.allowed.example]}]"}).start()
    gate.attach(lab.sandbox, "agent")
    return gate


def config(lab, gate, pin_dir):
    """A second posternd's configuration, beside the one that runs."""
    path, run_dir = os.path.join(lab.folder, "other.yaml"), os.path.join(lab.folder, "other")
    with open(gate.config_path, encoding="utf-8") as base, open(path, "w", encoding="utf-8") as other:
        json.dump({**json.load(base), "run_dir": run_dir, "pin_dir": pin_dir}, other)
    os.makedirs(run_dir, exist_ok=True)
    return path


def said(result, what):
    """The one line of a program that refused to start."""
    true(result.status not in (0, None), f"{what}: exit status {result.status}: {result}")
    lines = (result.err + result.out).strip().splitlines()
    equal(len(lines), 1, f"{what}: lines, {lines}")
    return lines[0]


def daemons(lab, gate):
    """[(command line, its socket, its profile)] of daemons beside those that run."""
    other, pins = os.path.join(lab.folder, "other"), os.path.join(lab.pin_dir, "other")
    return [([gate.program("postern-dns"), "--socket", other + "/dns.sock"], other + "/dns.sock", "postern/dns.json"),
            ([gate.program("postern-observer"), "--listen", other + "/observer.sock"], other + "/observer.sock", "postern/observer.json"),
            ([gate.program("posternd"), "--config", config(lab, gate, pins)], pins, "postern/agent.json")]


@case("bpf(2) is forbidden, as by containerd's default profile: no daemon starts, each names its own profile and the file")
def profile(lab, gate):
    for argv, made, name in daemons(lab, gate):
        for number in ("EPERM", "ENOSYS"):
            line = said(lab.node.run([sys.executable, FORBID, "bpf", number, *argv], check=False, timeout=10), argv[0])
            for word in ("bpf(2) is forbidden", "seccompProfile", f"localhostProfile: {name}", f"/var/lib/kubelet/seccomp/{name}"):
                true(word in line, f"{argv[0]}: {word!r} is not in {line!r}")
        true(not os.path.exists(made), f"{made} was left")
    equal(ask(lab.sandbox.ns, "8.8.8.8", "www.allowed.example").addresses, ["93.184.216.34"], "the sandbox of those that run")


@case("the control: under a filter that forbids something else each of them starts")
def control(lab, gate):
    for argv, made, _ in daemons(lab, gate):
        result = lab.node.run([sys.executable, FORBID, "kexec_load", "EPERM", *argv], check=False, timeout=2)
        true(result.status is None and os.path.exists(made), f"{argv[0]}: {result}")


@case("no BPF file system: posternd, and a postern-setup that may not mount one, say how to mount it")
def file_system(lab, gate):
    # /run is hidden too: postern-setup makes its folder there.
    hide = ["unshare", "--mount", "--propagation", "private", "sh", "-c",
            "mount -t tmpfs none /sys/fs/bpf && mount -t tmpfs none /run && exec \"$@\"", "sh"]
    remedy = "mount -t bpf bpf /sys/fs/bpf"
    argv = [*hide, gate.program("posternd"), "--config", config(lab, gate, "/sys/fs/bpf/other")]
    line = said(lab.node.run(argv, check=False, timeout=10), "posternd")
    true("/sys/fs/bpf is not a BPF file system" in line and remedy in line, line)
    argv = [*hide, "setpriv", "--bounding-set", "-sys_admin", gate.program("postern-setup")]
    line = said(lab.node.run(argv, check=False, timeout=10), "postern-setup")
    true("BPF file system" in line and remedy in line and "Operation not permitted" in line, line)
    equal(gate.status()["sandboxes"], 1, "sandboxes of the posternd that runs")


if __name__ == "__main__":
    sys.exit(main(prepare, zone=ZONE))
