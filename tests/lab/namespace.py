# SPDX-License-Identifier: Apache-2.0
"""A network namespace, and sockets in it without a process in it."""
import contextlib
import ctypes
import errno
import os
import socket

from .cleanup import NETNS, remove_namespace
from .commands import Daemon, run

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _enter(fd):
    if _libc.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Namespace:
    """Made at once; removed by the undo stack it was given."""

    def __init__(self, name, undo, log_dir):
        self.name, self.log_dir = name, log_dir
        run(["ip", "netns", "add", name])
        undo.add(remove_namespace, name)
        self.ip("link", "set", "lo", "up")
        # No router advertisements, no waiting for duplicate addresses, no surprises from the host's defaults.
        for key in ("accept_dad", "accept_ra"):
            for scope in ("all", "default"):
                self.sysctl(f"net/ipv6/conf/{scope}/{key}", "0")

    @property
    def path(self):
        return os.path.join(NETNS, self.name)

    def wrap(self, argv):
        """A command line that runs argv here. /sys stays the machine's, unlike with `ip netns exec`."""
        return ["nsenter", "--net=" + self.path, *argv]

    def run(self, argv, **options):
        return run(self.wrap(argv), **options)

    def daemon(self, name, argv, **options):
        return Daemon(name, self.wrap(argv), self.log_dir, **options)

    def ip(self, *words):
        return run(["ip", "-n", self.name, *words])

    def mac_of(self, device):
        return self.run(["ip", "-o", "link", "show", "dev", device]).out.split("link/ether ")[1].split()[0]

    def index_of(self, device):
        return int(self.run(["ip", "-o", "link", "show", "dev", device]).out.split(":")[0])

    def link_local(self, device):
        """The device's fe80:: address."""
        return self.run(["ip", "-6", "-o", "addr", "show", "dev", device, "scope", "link"]).out.split("inet6 ")[1].split("/")[0]

    def nft(self, rules):
        """Loads nftables rules (the text of a file) into this namespace."""
        return self.run(["nft", "-f", "-"], stdin=rules)

    def sysctl(self, key, value):
        with self.inside(), open("/proc/sys/" + key, "w", encoding="ascii") as file:
            file.write(value)

    @contextlib.contextmanager
    def inside(self):
        """What this thread opens in the block, it opens here: sockets, /proc/sys/net."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(self.path, os.O_RDONLY)
        try:
            _enter(there)
            yield
        finally:
            _enter(home)
            os.close(there)
            os.close(home)

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM, protocol=0):
        with self.inside():
            return socket.socket(family, kind, protocol)

    def connect(self, address, port, timeout=1.0, source=None):
        """One TCP connection. Returns "ok", or the errno's name (ETIMEDOUT, ECONNREFUSED, EHOSTUNREACH, ...)."""
        outcome = self.open_connection(address, port, timeout, source)
        if isinstance(outcome, str):
            return outcome
        outcome.close()
        return "ok"

    def open_connection(self, address, port, timeout=1.0, source=None):
        """A connected socket, or the errno's name."""
        peer = self.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        peer.settimeout(timeout)
        try:
            if source:
                peer.bind((source, 0))
            peer.connect((address, port))
            return peer
        except TimeoutError:
            outcome = "ETIMEDOUT"
        except OSError as error:
            outcome = errno.errorcode.get(error.errno, str(error))
        peer.close()
        return outcome


def veth(left, left_name, right, right_name):
    """A cable between two namespaces. It ends with either of them."""
    run(["ip", "link", "add", left_name, "netns", left.name, "type", "veth", "peer", "name", right_name, "netns",
         right.name])
    for namespace, name in ((left, left_name), (right, right_name)):
        namespace.ip("link", "set", name, "up")
