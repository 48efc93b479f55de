#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Time: what ends when a grant does, and what does not. Grants here last 2 s after the TTL runs out."""
import ssl
import sys
import time

from harness import case, equal, main, true, wait_until
from lab import ask

ZONE = """
short.allowed.example. 1 A 93.184.216.34
shared.allowed.example. 1 A 93.184.216.70
also.allowed.example. 300 A 93.184.216.70
first.allowed.example. 300 A 93.184.216.71
second.allowed.example. 300 A 93.184.216.71
again.allowed.example. 1 A 93.184.216.72
"""
POLICY = """
allow:
- names: [short.allowed.example, shared.allowed.example, also.allowed.example, again.allowed.example]
- names: [first.allowed.example]
- names: [second.allowed.example]
dns: {grace_s: 1}
"""
GRANT_S = 2  # grant_s_min 1 and grace_s 1


def prepare(lab):
    gate = lab.gate({"agent": POLICY}, config={"dns": {"grant_s_min": 1}}).start()
    gate.attach(lab.sandbox, "agent")
    return gate


def exchange(connection):
    """One request and its reply on a connection that stays open."""
    connection.settimeout(2)
    connection.sendall(b"GET / HTTP/1.1\r\nHost: short.allowed.example\r\n\r\n")
    return connection.recv(4096).startswith(b"HTTP/1.1 200")


@case("after a grant ends no new connection opens, and the live one goes on")
def live_connection(lab, _gate):
    ask(lab.sandbox.ns, "8.8.8.8", "short.allowed.example")
    raw = lab.sandbox.ns.open_connection("93.184.216.34", 443)
    true(not isinstance(raw, str), f"connect: {raw}")
    context = ssl.create_default_context(cafile=lab.internet.ca)
    with context.wrap_socket(raw, server_hostname="short.allowed.example") as connection:
        true(exchange(connection), "first request")
        closed = wait_until(lambda: lab.sandbox.connect("93.184.216.34", timeout=0.3) == "ETIMEDOUT", "the grant to end", 6)
        true(closed, "closed")
        for _ in range(3):
            true(exchange(connection), "a request on the live connection after the grant ended")
            time.sleep(0.1)


@case("asking again opens it again")
def again(lab, _gate):
    for _ in range(2):
        ask(lab.sandbox.ns, "8.8.8.8", "again.allowed.example")
        equal(lab.sandbox.connect("93.184.216.72"), "ok", "after the lookup")
        wait_until(lambda: lab.sandbox.connect("93.184.216.72", timeout=0.3) == "ETIMEDOUT", "the grant to end", 6)


@case("a grant lasts at least grant_s_min plus grace after the last lookup, answers from the cache included")
def minimum(lab, _gate):
    wait_until(lambda: lab.sandbox.connect("93.184.216.72", timeout=0.2) == "ETIMEDOUT", "no grant", 6)
    ask(lab.sandbox.ns, "8.8.8.8", "again.allowed.example")
    time.sleep(0.5)
    ask(lab.sandbox.ns, "8.8.8.8", "again.allowed.example")  # from the cache, with the rest of its TTL
    asked = time.monotonic()
    while time.monotonic() < asked + GRANT_S - 0.2:
        equal(lab.sandbox.connect("93.184.216.72"), "ok", f"{time.monotonic() - asked:.1f} s after the lookup")
        time.sleep(0.1)


@case("two names on one address: the short one's end leaves the other's connections possible")
def two_names(lab, _gate):
    for name in ("shared.allowed.example", "also.allowed.example"):
        ask(lab.sandbox.ns, "8.8.8.8", name)
    ended = time.monotonic() + GRANT_S + 1.5
    while time.monotonic() < ended:
        equal(lab.sandbox.connect("93.184.216.70"), "ok", "connect")
        time.sleep(0.2)


@case("two names on one address: removing one's rule leaves the other reachable, removing both does not")
def two_rules(lab, gate):
    for name in ("first.allowed.example", "second.allowed.example"):
        ask(lab.sandbox.ns, "8.8.8.8", name)
    equal(lab.sandbox.connect("93.184.216.71"), "ok", "with both")
    gate.write_policy("agent", POLICY.replace("- names: [first.allowed.example]\n", ""))
    gate.reload()
    equal(ask(lab.sandbox.ns, "8.8.8.8", "first.allowed.example").addresses, [], "the removed name")
    equal(lab.sandbox.connect("93.184.216.71"), "ok", "with the second alone")
    gate.write_policy("agent", "allow: []")
    gate.reload()
    equal(lab.sandbox.connect("93.184.216.71", timeout=0.3), "ETIMEDOUT", "with neither")


if __name__ == "__main__":
    sys.exit(main(prepare, zone=ZONE))
