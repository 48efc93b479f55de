# SPDX-License-Identifier: Apache-2.0
"""A sandbox: a namespace behind a veth, with a resolv.conf of its own."""
import os
import shlex

from .commands import run
from .namespace import Namespace, veth


class Sandbox:
    """
    ns: its namespace. host_if: the node's end of its link, where the gate goes. v4, v6: its addresses.
    gateway4, gateway6: the node's addresses on the link.
    """

    def __init__(self, number, node, name, undo, folder, bridge=None):
        self.number, self.folder = number, folder
        self.ns = Namespace(name, undo, folder)
        self.host_if = f"sb{number}"
        subnet = 0 if bridge else number  # on a bridge all share one subnet
        self.gateway4, self.gateway6 = f"10.77.{subnet}.1", f"fd77:{subnet:x}::1"
        self.v4, self.v6 = f"10.77.{subnet}.{number + 1}", f"fd77:{subnet:x}::{number + 1:x}"
        self.resolv_conf = os.path.join(folder, f"resolv.conf.{number}")
        veth(node, self.host_if, self.ns, "eth0")
        if bridge:
            node.ip("link", "set", self.host_if, "master", bridge)
        else:
            node.ip("addr", "add", self.gateway4 + "/24", "dev", self.host_if)
            node.ip("addr", "add", self.gateway6 + "/64", "dev", self.host_if, "nodad")
        self.ns.ip("addr", "add", self.v4 + "/24", "dev", "eth0")
        self.ns.ip("addr", "add", self.v6 + "/64", "dev", "eth0", "nodad")
        self.ns.ip("-4", "route", "add", "default", "via", self.gateway4)
        self.ns.ip("-6", "route", "add", "default", "via", self.gateway6)
        self.set_resolver("8.8.8.8")

    @property
    def mac(self):
        return self.ns.mac_of("eth0")

    def set_resolver(self, *servers, search=(), options=""):
        with open(self.resolv_conf, "w", encoding="ascii") as file:
            for server in servers:
                file.write(f"nameserver {server}\n")
            if search:
                file.write(f"search {' '.join(search)}\n")
            if options:
                file.write(f"options {options}\n")

    def wrap(self, argv):
        """A command line that runs argv here, with this sandbox's resolv.conf in a mount namespace of its own."""
        script = f"mount --bind {shlex.quote(self.resolv_conf)} /etc/resolv.conf && exec \"$@\""
        return self.ns.wrap(["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", *argv])

    def run(self, argv, **options):
        return run(self.wrap(argv), **options)

    def connect(self, address, port=443, timeout=1.0):
        return self.ns.connect(address, port, timeout)
