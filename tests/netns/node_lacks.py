#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a node or a container may lack: a new enough kernel, its type information (BTF), the BPF file system, a seccomp
profile that lets bpf(2) through.

Each daemon refuses to start, in one line that says what is missing and what to do, and leaves nothing. The real
cluster's words for the same are in tests/e2e/lacking_node.py; capabilities in bad_input.py.
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


def lacking(*folders):
    """The start of a command line: these folders are empty, and what a program leaves in /run is listed after its words."""
    hide = "".join(f"mount -t tmpfs none {folder} && " for folder in (*folders, "/run"))
    return ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c",
            hide + "{ \"$@\"; status=$?; ls -A /run; exit $status; }", "sh"]


def prepare_node(gate, bpf_dir):
    """What a pod runs first."""
    return [gate.program("postern-setup"), "prepare", "--bpf-dir", bpf_dir, "--dns-user", "65053", "--observer-user", "65054"]


def refuse(lab, gate, before, commands, words):
    """Each command, started so, says one line with these words, and leaves nothing."""
    for argv in commands:
        line = said(lab.node.run([*before, *argv], check=False, timeout=10), argv)
        for word in words:
            true(word in line, f"{argv}: {word!r} is not in {line!r}")
    true(not os.path.exists(os.path.join(lab.pin_dir, "other")), "pins of the other posternd were left")
    equal(os.listdir(os.path.join(lab.folder, "other")), [], "files of the other posternd")
    equal(gate.status()["sandboxes"], 1, "sandboxes of the posternd that runs")


def all_of(lab, gate):
    """posternd, and postern-setup on a machine, in a pod before the others, and in a pod beside them."""
    setup = gate.program("postern-setup")
    return [[gate.program("posternd"), "--config", config(lab, gate, os.path.join(lab.pin_dir, "other"))], [setup],
            prepare_node(gate, "/sys/fs/bpf"), [setup, "--stay", "--wait", "0"]]


@case("no BTF: posternd and postern-setup name the file, and the option that the kernel is to be built with")
def type_information(lab, gate):
    refuse(lab, gate, lacking("/sys/kernel/btf"), all_of(lab, gate),
           ["/sys/kernel/btf/vmlinux cannot be read", f"kernel {os.uname().release} has no type information", "CONFIG_DEBUG_INFO_BTF=y"])


@case("a kernel too old: its version and the one to boot, also where it has no BTF either")
def old_kernel(lab, gate):
    for folders in ((), ("/sys/kernel/btf",)):
        refuse(lab, gate, [*lacking(*folders), "setarch", "--uname-2.6"], all_of(lab, gate),
               ["kernel 2.6.", "too old", "boot 6.1 or newer", "CONFIG_DEBUG_INFO_BTF=y"])


@case("no BPF file system: posternd, and a postern-setup that may not mount one, say how to mount it, and which hostPath a pod takes")
def file_system(lab, gate):
    remedy = ["run mount -t bpf bpf /sys/fs/bpf as root of the machine", "hostPath: {path: /sys/fs/bpf}"]
    here = ["and /sys/fs/bpf is none", "mount the node's at /sys/fs/bpf", *remedy]
    posternd = [gate.program("posternd"), "--config", config(lab, gate, "/sys/fs/bpf/other")]
    refuse(lab, gate, lacking("/sys/fs/bpf"), [posternd], ["pin_dir /sys/fs/bpf/other: ", *here])
    refuse(lab, gate, lacking("/sys/fs/bpf"), [prepare_node(gate, "/sys/fs/bpf")], here)
    refuse(lab, gate, [*lacking("/sys/fs/bpf"), "setpriv", "--bounding-set", "-sys_admin"], [[gate.program("postern-setup")]],
           ["mounting one here failed (Operation not permitted)", *here])


@case("a volume with another hostPath, or none, where the configuration has the pins: the path in the container is named")
def other_volume(lab, gate):
    for folder, why in ((lab.folder, ""), (lab.folder + "/none", " (No such file or directory)")):
        words = [f"and {folder} is none{why}: ", f"mount the node's at {folder}: volume hostPath: {{path: /sys/fs/bpf}}"]
        posternd = [gate.program("posternd"), "--config", config(lab, gate, folder + "/pins")]
        refuse(lab, gate, lacking(), [posternd], [f"pin_dir {folder}/pins: ", *words])
        refuse(lab, gate, lacking(), [prepare_node(gate, folder)], words)


# The controls come last: what they start makes its pins.
@case("the control: with all of it, in such a mount namespace, the node is found ready and posternd starts")
def nothing_lacks(lab, gate):
    result = lab.node.run([*lacking(), *prepare_node(gate, "/sys/fs/bpf")], check=False, timeout=10)
    true(result.status == 0 and "this node is ready" in result.err and result.out.split() == ["postern"], result)
    pins = os.path.join(lab.pin_dir, "other")
    result = lab.node.run([*lacking(), gate.program("posternd"), "--config", config(lab, gate, pins)], check=False, timeout=2)
    true(result.status is None and os.path.exists(pins), result)


@case("the control: under a filter that forbids something else each of them starts")
def control(lab, gate):
    for argv, made, _ in daemons(lab, gate):
        result = lab.node.run([sys.executable, FORBID, "kexec_load", "EPERM", *argv], check=False, timeout=2)
        true(result.status is None and os.path.exists(made), f"{argv[0]}: {result}")


if __name__ == "__main__":
    sys.exit(main(prepare, zone=ZONE))
