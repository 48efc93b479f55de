# SPDX-License-Identifier: Apache-2.0
"""What a run may not leave behind, on the machine and on the node: snapshots to compare, in words.

The machine is shared: what carries the name of another lab that still lives is not ours.
"""
import glob
import json
import os
import re

from lab import cleanup
from lab.commands import run

# Where kubelets, runtimes, CNI plugins and Postern write on a node. Here they must not exist but for what was there before.
FOLDERS = ["/var/lib/kubelet", "/var/lib/cni", "/var/lib/containerd", "/var/lib/postern", "/var/log/pods", "/var/log/containers",
           "/etc/cni/net.d", "/etc/postern", "/opt/cni", "/run/postern", "/run/containerd", "/run/netns", cleanup.BPFFS]
SYSCTLS = ["vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys",
           "kernel/keys/root_maxbytes", "net/ipv4/ip_forward"]


def entries(folder):
    return {os.path.join(folder, name) for name in (os.listdir(folder) if os.path.isdir(folder) else [])}


def objects(kind, wrap=lambda argv: argv):
    """BPF objects of a kind as texts; the number is the kernel's and never used again."""
    found = set()
    for item in json.loads(run(wrap(["bpftool", "-j", kind, "show"]), check=False).out or "[]"):
        holders = ",".join(sorted(p["comm"] for p in item.get("pids", [])))
        found.add(f"{kind} {item['id']} {item.get('name') or item.get('type')}" + (f" held by {holders}" if holders else ""))
    return found


def mounts(path="/proc/self/mountinfo"):
    """But for /run/netns: `ip netns` mounts that folder over itself the first time it is used on a machine, and leaves it
    so. The namespaces in it are mounts of their own."""
    with open(path, encoding="utf-8") as file:
        return {f"{line.split()[4]} ({line.split(' - ')[1].split()[0]})" for line in file if line.split()[4] != "/run/netns"}


def links(wrap=lambda argv: argv):
    return {line.split(": ")[1].split("@")[0] for line in run(wrap(["ip", "-o", "link"])).out.splitlines()}


def settings():
    found = set()
    for key in SYSCTLS:
        with open("/proc/sys/" + key, encoding="ascii") as file:
            found.add(f"{key} = {file.read().strip()}")
    return found


class Snapshot:
    """Sets of texts, by what they are."""

    def __init__(self, **seen):
        self.seen = {what.replace("_", " "): texts for what, texts in seen.items()}

    @classmethod
    def of_machine(cls):
        return cls(files=set().union(*map(entries, FOLDERS)), mounts=mounts(), links=links(), kernel_settings=settings(),
                   cgroups={path for mount, _, _ in cleanup.cgroup_mounts() for path in glob.glob(mount + "/*/")},
                   firewall_rules=set(run(["nft", "list", "ruleset"], check=False).out.splitlines()),
                   processes={text for text in map(_process, glob.glob("/proc/[0-9]*")) if text},
                   BPF_programs=objects("prog"), BPF_maps=objects("map"), BPF_links=objects("link"))

    @classmethod
    def of_node(cls, node):
        """What Postern could leave on a node that goes on without it; pods come and go, so their things are not in it."""
        folders = ["/run/postern", "/etc/postern", "/var/lib/postern", "/var/lib/kubelet/seccomp", cleanup.BPFFS, "/run/netns"]
        files = {os.path.join(folder, path[len(node.path(folder)) + 1:]) for folder in folders for path in entries(node.path(folder))}
        routes = run(["ip", "-n", node.ns.name, "rule"]).out + run(["ip", "-n", node.ns.name, "-6", "rule"]).out
        return cls(files={f for f in files if not f.startswith("/run/netns/cni-")}, rules=set(routes.splitlines()),
                   links={link for link in links(node.ns.wrap) if not link.startswith("veth")},
                   network_namespaces=node.network_namespaces(), firewall_tables=set(node.ns.run(["nft", "list", "tables"]).out.splitlines()),
                   attached_programs=set(node.ns.run(["bpftool", "net", "show"], check=False).out.splitlines()),
                   BPF_programs=objects("prog"), BPF_maps=objects("map"), BPF_links=objects("link"))

    def left_since(self, before):
        """What is here and was not before, as texts with what they are."""
        return [f"{what}: {text}" for what, now in self.seen.items() for text in sorted(now - before.seen[what]) if not _others(text)]

    def counts(self):
        return ", ".join(f"{len(texts)} {what}" for what, texts in self.seen.items())


SERVERS = ("etcd", "kube-", "kubelet", "containerd", "postern", "runc", "unbound")


def _process(path):
    """A server of the kind that a cluster runs, as text."""
    try:
        with open(path + "/comm", encoding="utf-8") as file:
            name = file.read().strip()
        with open(path + "/cmdline", encoding="utf-8", errors="replace") as file:
            command = file.read().replace("\0", " ").strip()
        # A container runtime's processes do not name their lab; their cgroup does.
        with open(path + "/cgroup", encoding="utf-8") as file:
            labs = sorted(set(re.findall(cleanup.PREFIX + r"\d+", file.read())))
    except OSError:  # it has just ended
        return None
    return " ".join([path[6:], command, *labs]) if name.startswith(SERVERS) else None


def _others(text):
    """Whether a text names another lab, or an object of the kernel that some process still holds."""
    pids = {int(pid) for pid in re.findall(cleanup.PREFIX + r"(\d+)", text)}
    return (pids and os.getpid() not in pids) or " held by " in text
