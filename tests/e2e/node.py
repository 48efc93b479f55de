# SPDX-License-Identifier: Apache-2.0
"""Node: a machine inside the machine. Namespaces for its network (the lab's node), mounts, processes and cgroups.

Everything that runs on the node ends when its first process is killed, and that happens also when we are
killed. Its mounts go with its last process; its cgroups carry the lab's name and are removed here, or by the
next lab if we were killed.
"""
import json
import os
import signal
import sys

from lab import cleanup
from lab.commands import Daemon, run, wait_until

INIT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "node_init.py")


def hierarchies():
    """The machine's cgroup mounts: [{"mount", "type", "options"}], outermost first."""
    found = []
    for mount, kind, options in cleanup.cgroup_mounts():
        kept = [o for o in options.split(",") if kind == "cgroup" and o not in ("rw", "ro", "relatime", "xattr")]
        found.append({"mount": mount, "type": kind, "options": ",".join(["none", *kept] if "name=" in options else kept)})
    return found


class NodeDaemon(Daemon):
    """A program on the node. nsenter stays in front of it, so signals go to the whole group."""

    def _signal(self, number):
        if self.alive():
            os.killpg(self.process.pid, number)

    def kill(self):
        self._signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, timeout=10.0):
        self._signal(signal.SIGTERM)
        try:
            self.process.wait(timeout)
        except Exception:
            self.kill()
        return self.process.returncode


class Node:
    """
    lab: its `node` namespace becomes this node's network. resolver: the name server in the node's /etc/resolv.conf.
    """

    def __init__(self, lab, resolver):
        self.ns, self.log_dir = lab.node, lab.folder
        self.folder = os.path.join(lab.folder, "node")
        os.makedirs(self.folder)
        with open(os.path.join(self.folder, "resolv.conf"), "w", encoding="ascii") as file:
            file.write(f"nameserver {resolver}\n")
        self.hierarchies = hierarchies()
        self.cgroups = []
        for hierarchy in self.hierarchies:
            self._make_cgroup(os.path.join(hierarchy["mount"], f"{cleanup.PREFIX}{os.getpid()}"), lab.undo)
        self._start_init(lab.undo)

    def _make_cgroup(self, path, undo):
        os.mkdir(path)
        undo.add(cleanup.remove_cgroup, path)
        self.cgroups.append(path)
        clone = os.path.join(path, "cgroup.clone_children")
        if os.path.exists(os.path.join(path, "cpuset.cpus")) and os.path.exists(clone):
            # A cpuset takes no process before it has processors and memory; from here on they are inherited.
            parent = os.path.dirname(path)
            for key in ("cpuset.cpus", "cpuset.mems"):
                with open(os.path.join(parent, key), encoding="ascii") as source:
                    value = source.read()
                with open(os.path.join(path, key), "w", encoding="ascii") as file:
                    file.write(value)
            with open(clone, "w", encoding="ascii") as file:
                file.write("1")

    def _in_cgroups(self, argv, below=""):
        script = 'for g in $CGROUPS; do echo $$ > "$g/cgroup.procs" || exit 125; done; unset CGROUPS; exec "$@"'
        groups = " ".join(os.path.join(path, below) for path in self.cgroups)
        return ["env", "CGROUPS=" + groups, "sh", "-c", script, "sh", *argv]

    def _start_init(self, undo):
        argv = ["unshare", "--mount", "--propagation", "private", "--cgroup", "--pid", "--fork", "--kill-child",
                sys.executable, "-I", INIT, self.folder, json.dumps(self.hierarchies)]
        self.init = Daemon("node-init", self._in_cgroups(self.ns.wrap(argv)), self.log_dir)
        undo.add(self.end)
        pid_file = os.path.join(self.folder, "pid")

        def started():
            self.init.require_alive()
            return os.path.exists(pid_file)
        wait_until(started, "the node's first process", 10)
        with open(pid_file, encoding="ascii") as file:
            self.pid = int(file.read())

    def end(self):
        """Kills everything on the node at once, as a power cut would."""
        self.init.kill()
        wait_until(lambda: not os.path.exists(f"/proc/{getattr(self, 'pid', 0)}"), "the node's processes to end", 10)

    def wrap(self, argv):
        """A command line that runs argv on the node."""
        return ["nsenter", "-t", str(self.pid), "--mount", "--net", "--pid", "--cgroup", "--", *argv]

    def run(self, argv, **options):
        return run(self.wrap(argv), **options)

    def daemon(self, name, argv, **options):
        return NodeDaemon(name, self._in_cgroups(self.wrap(argv), "system"), self.log_dir, **options)

    def path(self, path):
        """A path of the node as this process can open it."""
        return f"/proc/{self.pid}/root{path}"

    def write(self, path, text, mode=0o644):
        """A file on the node, in place of an older one in one step."""
        target = self.path(path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(target + ".new", mode)
        os.rename(target + ".new", target)
        return path

    def exists(self, path):
        return os.path.lexists(self.path(path))

    def pids(self):
        """Processes on the node: {pid on this machine: command line}."""
        space = os.readlink(f"/proc/{self.pid}/ns/pid")
        found = {}
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink(f"/proc/{name}/ns/pid_for_children") == space:
                    with open(f"/proc/{name}/cmdline", encoding="utf-8", errors="replace") as file:
                        found[int(name)] = file.read().replace("\0", " ").strip()
            except OSError:  # it has just ended
                continue
        return found

    def network_namespaces(self):
        """Network namespaces that no pod's: of the node's processes and of its mounts, as the kernel numbers them."""
        pods = {os.stat(self.path("/run/netns/" + name)).st_ino for name in os.listdir(self.path("/run/netns")) if name.startswith("cni-")}
        found = set()
        for pid in self.pids():
            try:
                found.add(os.stat(f"/proc/{pid}/ns/net").st_ino)
            except OSError:  # it has just ended
                continue
        return {f"net:[{number}]" for number in found - pods}
