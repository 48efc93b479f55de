#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two sandboxes with different policies: neither profits from the other's lookups, cache or connections."""
import sys

from harness import case, equal, main, true
from lab import ask

ZONE = """
first.example. 60 A 93.184.216.34
second.example. 60 A 93.184.216.35
common.example. 60 A 93.184.216.36
"""
FIRST = "allow: [{names: [first.example, common.example]}]"
SECOND = "allow: [{names: [second.example, common.example], ports: [80]}]\ndns: {text: second says no}"


def prepare(lab):
    gate = lab.gate({"first": FIRST, "second": SECOND}).start()
    gate.attach(lab.sandboxes[0], "first")
    gate.attach(lab.sandboxes[1], "second", search=["corp.example"])
    return gate


@case("each resolves and reaches its own name; the other's is denied though it is cached and granted next door")
def separate(lab, _gate):
    first, second = lab.sandboxes
    for sandbox, own, other, own_ip, other_ip, port in ((first, "first.example", "second.example", "93.184.216.34", "93.184.216.35", 443),
                                                        (second, "second.example", "first.example", "93.184.216.35", "93.184.216.34", 80)):
        equal(ask(sandbox.ns, "8.8.8.8", own).addresses, [own_ip], f"{own} for {sandbox.host_if}")
        equal(sandbox.connect(own_ip, port), "ok", f"{sandbox.host_if} to its own")
    for sandbox, other, other_ip, port in ((first, "second.example", "93.184.216.35", 80), (second, "first.example", "93.184.216.34", 443)):
        equal(ask(sandbox.ns, "8.8.8.8", other).addresses, [], f"{other} for {sandbox.host_if}")
        equal(sandbox.connect(other_ip, port, timeout=0.3), "ETIMEDOUT", f"{sandbox.host_if} to the other's")


@case("a lookup by one opens the address for that one alone, on its own rule's ports")
def common_name(lab, _gate):
    first, second = lab.sandboxes
    ask(first.ns, "8.8.8.8", "common.example")
    equal(first.connect("93.184.216.36", 443), "ok", "the one that asked")
    for port in (80, 443):
        equal(second.connect("93.184.216.36", port, timeout=0.3), "ETIMEDOUT", f"the one that did not, port {port}")
    ask(second.ns, "8.8.8.8", "common.example")
    equal(second.connect("93.184.216.36", 80), "ok", "after its own lookup")
    equal(second.connect("93.184.216.36", 443, timeout=0.3), "ETIMEDOUT", "a port of the other's rule")


@case("the denial is each one's own: text and search suffixes")
def own_denial(lab, _gate):
    first, second = lab.sandboxes
    equal(ask(first.ns, "8.8.8.8", "denied.example", edns=1232).ede, (15, ""), "first's text")
    equal(ask(second.ns, "8.8.8.8", "denied.example", edns=1232).ede, (15, "second says no"), "second's text")
    equal(ask(first.ns, "8.8.8.8", "x.corp.example").rcode, "NOERROR", "not a suffix of the first")
    equal(ask(second.ns, "8.8.8.8", "x.corp.example").rcode, "NXDOMAIN", "a suffix of the second")


@case("one cannot reach the other, nor take its address")
def no_crossing(lab, _gate):
    first, second = lab.sandboxes
    equal(first.connect(second.v4, 80, timeout=0.3), "ETIMEDOUT", "to the other sandbox")
    ask(first.ns, "8.8.8.8", "first.example")
    first.ns.ip("addr", "add", second.v4 + "/32", "dev", "eth0")
    arrived = lab.internet.count(f"ip saddr {second.v4} ip daddr 93.184.216.34")
    equal(first.ns.connect("93.184.216.34", 443, 0.3, source=second.v4), "ETIMEDOUT", "with the other's source address")
    equal(ask(first.ns, "8.8.8.8", "first.example", source=second.v4, timeout=0.3), None, "a query with it")
    equal(arrived.packets, 0, "spoofed packets outside")
    first.ns.ip("addr", "del", second.v4 + "/32", "dev", "eth0")


@case("a change of one policy leaves the other sandbox's connections and generation of answers alone")
def change_one(lab, gate):
    first, second = lab.sandboxes
    ask(second.ns, "8.8.8.8", "second.example")
    connection = second.ns.open_connection("93.184.216.35", 80)
    true(not isinstance(connection, str), f"connect: {connection}")
    with connection:
        gate.write_policy("first", "allow: []")
        gate.reload()
        equal(first.connect("93.184.216.34", timeout=0.3), "ETIMEDOUT", "the first one's name")
        connection.settimeout(2)
        connection.sendall(b"GET / HTTP/1.0\r\nHost: second.example\r\n\r\n")
        true(connection.recv(100).startswith(b"HTTP/1.1 200"), "the second one's connection")


@case("after detach the first is unrestricted, and the second still under its policy")
def detach(lab, gate):
    first, second = lab.sandboxes
    gate.detach(first)
    equal(first.connect("8.8.8.8", 443), "ok", "the detached one")
    true(ask(first.ns, "8.8.8.8", "second.example").addresses, "it asks whom it likes")
    equal(second.connect("8.8.8.8", 443, timeout=0.3), "ETIMEDOUT", "the other")


if __name__ == "__main__":
    sys.exit(main(prepare, zone=ZONE, sandboxes=2))
