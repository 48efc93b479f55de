#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The wildcard table: which names each form of pattern opens, and which it does not.

Every name of the table exists in the lab's DNS, with an address of its own; a name that must not open is
asked for and then its address is tried.
"""
import socket
import struct
import sys

from harness import case, equal, main
from lab import ask, parse_answer

# (name, does it open): under the patterns of POLICY.
TABLE = [
    # exact: itself, nothing around it
    ("exact.one.example", True),
    ("below.exact.one.example", False),
    ("one.example", False),
    ("xexact.one.example", False),
    ("exact.one.example.evil.example", False),
    # "*.": one or more labels below, not the apex
    ("a.star.example", True),
    ("a.b.star.example", True),
    ("a.b.c.d.e.star.example", True),
    ("star.example", False),
    ("xstar.example", False),
    ("star.example.evil.example", False),
    # an inner "*" label: exactly one label
    ("sts.us-west-2.inner.example", True),
    ("sts.eu.inner.example", True),
    ("sts.inner.example", False),
    ("sts.a.b.inner.example", False),
    ("x.us-west-2.inner.example", False),
    ("a.sts.us-west-2.inner.example", False),
    # both: "*." in front and an inner one
    ("x.cell.one.both.example", True),
    ("x.y.cell.one.both.example", True),
    ("cell.one.both.example", False),
    ("x.cell.both.example", False),
    ("x.cell.one.two.both.example", False),
    # punycode is a name like any other
    ("xn--bcher-kva.idn.example", True),
    ("xn--bcher-kvb.idn.example", False),
]
POLICY = """
allow:
- names: [exact.one.example, "*.star.example", "sts.*.inner.example", "*.cell.*.both.example", xn--bcher-kva.idn.example]
"""


def address(number):
    return f"93.184.220.{number + 1}"


ZONE = "\n".join(f"{name}. 60 A {address(number)}" for number, (name, _) in enumerate(TABLE))


def prepare(lab):
    for number, (name, _) in enumerate(TABLE):
        equal(ask(lab.sandbox.ns, "8.8.8.8", name).addresses, [address(number)], f"without the gate, {name}")
    gate = lab.gate({"agent": POLICY}).start()
    gate.attach(lab.sandbox, "agent")
    return gate


@case(f"{sum(opens for _, opens in TABLE)} names open and {sum(not opens for _, opens in TABLE)} do not, as the table says")
def table(lab, _gate):
    for number, (name, opens) in enumerate(TABLE):
        for asked in (name, name.upper()):
            equal(ask(lab.sandbox.ns, "8.8.8.8", asked).addresses, [address(number)] if opens else [], asked)
    for number, (name, opens) in enumerate(TABLE):
        equal(lab.sandbox.connect(address(number), timeout=0.2), "ok" if opens else "ETIMEDOUT", f"connect for {name}")


@case("a label may not smuggle a dot, a zero or a wildcard past the matcher")
def odd_labels(lab, _gate):
    def ask_wire(wire):
        with lab.sandbox.ns.socket(kind=socket.SOCK_DGRAM) as client:
            client.settimeout(2)
            client.connect(("8.8.8.8", 53))
            client.send(struct.pack("!6H", 7, 0x0100, 1, 0, 0, 0) + wire + struct.pack("!2H", 1, 1))
            return parse_answer(client.recv(65535))
    upstream = lab.internet.queries()
    for wire in (b"\x11exact.one.example\0",                       # one label with dots in it
                 b"\x05exact\x0bone.example\0", b"\x05exact\x03one\x07example\x04\0com\0",
                 b"\x06exact\0\x03one\x07example\0"):
        equal(ask_wire(wire).addresses, [], repr(wire))
    equal(upstream.packets, 0, "packets to upstreams")


if __name__ == "__main__":
    sys.exit(main(prepare, zone=ZONE))
