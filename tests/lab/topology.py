# SPDX-License-Identifier: Apache-2.0
"""Lab: sandbox(es) <-> node <-> internet, made by `with`, gone after it whatever happened."""
import os
import shutil
import sys
import tempfile

from . import cleanup
from .gate import Gate
from .internet import NODE_V4, NODE_V6, V4, V6, Internet
from .namespace import Namespace, veth
from .sandbox import Sandbox


class Lab:
    """
    zone, web_names, servers, web: see Internet. sandboxes: how many. bridge: their host ends are ports of br0.
    bin: folder of the Postern programs, for lab.gate().

    with Lab(zone="www.example.com. A 93.184.216.34") as lab:
        lab.sandbox.run(["curl", "--cacert", lab.internet.ca, "https://www.example.com/"])
    """

    def __init__(self, *, zone="", sandboxes=1, bridge=False, web=True, web_names=None, servers="", bin=None):
        self.options = {"zone": zone, "web": web, "web_names": web_names, "servers": servers}
        self.sandbox_count, self.bridged, self.bin = sandboxes, bridge, bin
        self.undo = cleanup.Undo()
        self.sandboxes = []
        self.gates = 0

    def __enter__(self):
        if os.geteuid() != 0:
            raise PermissionError("a lab is made of network namespaces: run this as root")
        cleanup.end_on_signals()
        for path in cleanup.remove_leftovers():
            print(f"lab: removed what an earlier run left: {path}", file=sys.stderr)
        try:
            self._make()
        except BaseException:
            self.undo.run()
            raise
        return self

    def __exit__(self, kind, error, _trace):
        if kind and issubclass(kind, Exception):
            self.show_logs()
        self.undo.run()
        left = cleanup.what_is_left(os.getpid())
        if left:
            raise RuntimeError(f"the lab left something behind: {' '.join(left)}")

    def _make(self):
        name = f"{cleanup.PREFIX}{os.getpid()}"
        self.folder = tempfile.mkdtemp(prefix=name + "-")
        os.chmod(self.folder, 0o755)  # daemons drop to other users and look for their sockets
        self.undo.add(shutil.rmtree, self.folder)
        self.pin_dir = os.path.join(cleanup.BPFFS, name)
        self.undo.add(cleanup.remove_pins, self.pin_dir)
        self.node = Namespace(name + "-node", self.undo, self.folder)
        self.internet = Internet(name + "-internet", self.undo, self.folder, **self.options)
        self._connect_node()
        for number in range(1, self.sandbox_count + 1):
            self.sandboxes.append(Sandbox(number, self.node, f"{name}-sandbox{number}", self.undo, self.folder,
                                          "br0" if self.bridged else None))
        self.internet.wait_ready()

    def _connect_node(self):
        node, internet = self.node, self.internet.ns
        for key in ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"):
            node.sysctl(key, "1")
        veth(node, "up0", internet, "net0")
        for namespace, device, own4, own6, peer4, peer6 in ((node, "up0", NODE_V4, NODE_V6, V4, V6),
                                                            (internet, "net0", V4, V6, NODE_V4, NODE_V6)):
            namespace.ip("addr", "add", own4 + "/24", "dev", device)
            namespace.ip("addr", "add", own6 + "/64", "dev", device, "nodad")
            namespace.ip("-4", "route", "add", "default", "via", peer4)
            namespace.ip("-6", "route", "add", "default", "via", peer6)
        if self.bridged:
            node.ip("link", "add", "br0", "type", "bridge")
            node.ip("addr", "add", "10.77.0.1/24", "dev", "br0")
            node.ip("addr", "add", "fd77:0::1/64", "dev", "br0", "nodad")
            node.ip("link", "set", "br0", "up")

    @property
    def sandbox(self):
        return self.sandboxes[0]

    @property
    def node_v4(self):
        return NODE_V4

    @property
    def node_v6(self):
        return NODE_V6

    def gate(self, policies, **options):
        """A Gate on this lab's node, not started yet."""
        self.gates += 1
        return Gate(self, policies, **options)

    def show_logs(self, lines=40):
        """The ends of all logs, on stderr."""
        for name in sorted(os.listdir(self.folder)):
            if name.endswith(".log"):
                with open(os.path.join(self.folder, name), encoding="utf-8", errors="replace") as file:
                    text = file.read().splitlines()[-lines:]
                if text:
                    print(f"--- {name}", *text, sep="\n", file=sys.stderr)
