#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""getaddrinfo of glibc and musl, as programs use it: search suffixes with ndots 5, denials, names with 60 addresses.

What is measured here is why the gate answers as it does: NODATA for everything would end musl's search
and break allowed names; NXDOMAIN for everything would deny what lies below an ancestor.
"""
import sys

from harness import case, equal, main, true
from lab import ask, clients

SEARCH = ["ns.svc.cluster.local", "svc.cluster.local", "cluster.local"]
MANY = 60
ZONE = """
www.allowed.example. 60 A 93.184.216.34
www.allowed.example. 60 AAAA 2606:2800:220::34
four.allowed.example. 60 A 93.184.216.35
service.ns.svc.cluster.local. 60 A 93.184.216.36
plain.ns.svc.cluster.local. 60 A 93.184.216.37
denied.example.org. 60 A 93.184.217.1
""" + "\n".join(f"many.allowed.example. 60 A 93.184.230.{n + 1}\n"
                f"many6.allowed.example. 60 AAAA 2606:2800:230::{n + 1:x}" for n in range(MANY))
POLICY = """
allow:
- names: [www.allowed.example, four.allowed.example, many.allowed.example, many6.allowed.example,
          service.ns.svc.cluster.local]
"""
LIBCS = ("glibc", "musl")
NO_NAME, NO_DATA = -2, -5


def prepare(lab):
    gate = lab.gate({"agent": POLICY}).start()
    gate.attach(lab.sandbox, "agent", search=SEARCH)
    lab.sandbox.set_resolver("8.8.8.8", search=SEARCH, options="ndots:5 timeout:2 attempts:2")
    return gate


def lookup(lab, libc, name, port=None):
    """Returns (error or None, lines after the first)."""
    words = [clients.build(lab, "lookup", libc), name] + ([port] if port else [])
    result = lab.sandbox.run(words, check=False)
    first, *rest = result.out.splitlines()
    return (None if first == "ok" else int(first.split()[1])), rest


@case("an allowed name, ndots 5 and three suffixes: glibc and musl find both families and connect")
def allowed(lab, _gate):
    for libc in LIBCS:
        error, lines = lookup(lab, libc, "www.allowed.example", "443")
        equal((error, sorted(lines)), (None, ["2606:2800:220::34 connected", "93.184.216.34 connected"]), libc)


@case("an allowed name with IPv4 alone")
def one_family(lab, _gate):
    for libc in LIBCS:
        equal(lookup(lab, libc, "four.allowed.example", "443"), (None, ["93.184.216.35 connected"]), libc)


@case("an allowed name under a suffix is found by its short form")
def under_suffix(lab, _gate):
    for libc in LIBCS:
        equal(lookup(lab, libc, "service", "443"), (None, ["93.184.216.36 connected"]), libc)


@case("a denied name: an error at once, of the kind that says there is no such address")
def denied(lab, _gate):
    for libc, codes in (("glibc", (NO_DATA, NO_NAME)), ("musl", (NO_NAME, NO_DATA))):
        for name in ("denied.example.org", "plain", "nothing.example"):
            result = lab.sandbox.run([clients.build(lab, "lookup", libc), name], check=False)
            true(result.out.startswith("error ") and int(result.out.split()[1]) in codes, f"{libc} {name}: {result.out}")
            true(result.seconds < 1, f"{libc} {name}: took {result.seconds:.1f} s: it must not be retried")


@case("60 addresses: glibc gets them all, musl as many as fit a datagram, and every one it got can be reached")
def many(lab, _gate):
    for name, least in (("many.allowed.example", 25), ("many6.allowed.example", 14)):
        for libc in LIBCS:
            error, lines = lookup(lab, libc, name, "443")
            equal(error, None, f"{libc} {name}")
            wanted = MANY if libc == "glibc" else least
            true(len(lines) >= wanted, f"{libc} {name}: {len(lines)} addresses, wanted at least {wanted}")
            equal([line for line in lines if not line.endswith(" connected")], [], f"{libc} {name}: not reachable")


@case("60 addresses by UDP without EDNS: as many whole records as fit 512 bytes, TC set; with EDNS 1232 more, never over")
def truncation(lab, _gate):
    for edns, size, least in ((None, 512, 25), (1232, 1232, 55), (4096, 1232, 55)):
        answer = ask(lab.sandbox.ns, "8.8.8.8", "many.allowed.example", edns=edns)
        true(answer.size <= size, f"EDNS {edns}: {answer.size} bytes")
        true(least <= len(answer.addresses) <= MANY, f"EDNS {edns}: {len(answer.addresses)} addresses")
        equal(answer.truncated, len(answer.addresses) < MANY, f"EDNS {edns}: TC")


if __name__ == "__main__":
    sys.exit(main(prepare, zone=ZONE))
