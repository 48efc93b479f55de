#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sandboxes as ports of one bridge, as the bridge CNI plugin and container engines make them."""
import sys

from harness import case, equal, main
from lab import ask, ask_tcp

ZONE = """
www.allowed.example. 60 A 93.184.216.34
www.allowed.example. 60 AAAA 2606:2800:220::34
other.example.org. 60 A 93.184.217.1
"""
POLICY = "allow: [{names: [www.allowed.example]}]"


def prepare(lab):
    for sandbox in lab.sandboxes:
        for address in ("93.184.216.34", "2606:2800:220::34", "93.184.217.1"):
            equal(sandbox.connect(address), "ok", f"without the gate, {address}")
    equal(lab.sandboxes[0].connect(lab.sandboxes[1].v4, 80), "ECONNREFUSED", "without the gate they reach each other")
    gate = lab.gate({"agent": POLICY}).start()
    for sandbox in lab.sandboxes:
        gate.attach(sandbox, "agent")
    return gate


@case("names resolve by UDP and TCP from any address, and what they gave is reachable, both families")
def allowed(lab, _gate):
    for sandbox in lab.sandboxes:
        for server in ("8.8.8.8", sandbox.gateway4, sandbox.gateway6, "2001:4860:4860::8888"):
            answer = ask(sandbox.ns, server, "www.allowed.example")
            equal(answer and answer.addresses, ["93.184.216.34"], f"UDP to {server}")
            answers = ask_tcp(sandbox.ns, server, [("www.allowed.example", "AAAA"), ("other.example.org", "A")])
            equal([a.addresses for a in answers], [["2606:2800:220::34"], []], f"TCP to {server}")
        equal(sandbox.connect("93.184.216.34"), "ok", "IPv4")
        equal(sandbox.connect("2606:2800:220::34"), "ok", "IPv6")


@case("a neighbour on the bridge is no resolver: a query to its address is answered by the proxy")
def neighbour_resolver(lab, _gate):
    first, second = lab.sandboxes
    equal(ask(first.ns, second.v4, "www.allowed.example").addresses, ["93.184.216.34"], "the proxy's answer")
    equal(ask(first.ns, second.v4, "other.example.org").addresses, [], "a denied name")


@case("denied: other addresses, and the neighbour on the bridge, which needs no router to be reached")
def denied(lab, _gate):
    first, second = lab.sandboxes
    for target in ("93.184.217.1", second.v4, second.v6):
        equal(first.connect(target, 80, timeout=0.3), "ETIMEDOUT", target)


if __name__ == "__main__":
    sys.exit(main(prepare, zone=ZONE, sandboxes=2, bridge=True))
