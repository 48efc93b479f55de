#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Names: what resolves, what does not, what the answers look like, and what can be reached after them."""
import sys

from harness import case, equal, main, true
from lab import ask, ask_tcp

ZONE = """
www.allowed.example. 60 A 93.184.216.34
www.allowed.example. 60 AAAA 2606:2800:220::34
v4.allowed.example. 60 A 93.184.216.40
alias.allowed.example. 120 CNAME edge.elsewhere.example.
edge.elsewhere.example. 60 CNAME pool.elsewhere.example.
pool.elsewhere.example. 45 A 93.184.216.50
pool.elsewhere.example. 45 AAAA 2606:2800:220::50
long.allowed.example. 7200 A 93.184.216.60
private.allowed.example. 60 A 10.1.2.3
private.allowed.example. 60 A 93.184.216.61
metadata.allowed.example. 60 A 169.254.169.254
lookup.allowed.example. 60 A 93.184.216.62
ports.allowed.example. 60 A 93.184.216.63
other.example.org. 60 A 93.184.217.1
other.example.org. 60 AAAA 2606:2800:221::1
"""
POLICY = """
allow:
- names: [www.allowed.example, v4.allowed.example, alias.allowed.example, long.allowed.example,
          private.allowed.example, metadata.allowed.example, missing.allowed.example]
- names: [ports.allowed.example]
  ports: [80, 8000-8010]
- cidrs: [203.0.113.0/24, "2606:4700::/32"]
  except: [203.0.113.9/32]
  ports: [443]
deny:
- cidrs: [203.0.113.10/32]
dns:
  allow: [lookup.allowed.example]
  text: ask the platform team
"""
RESOLVER4, RESOLVER6 = "8.8.8.8", "2001:4860:4860::8888"
BOTH = (RESOLVER4, RESOLVER6)


def prepare(lab):
    # The controls: without the gate all of this is reachable, so that what follows proves something.
    for address in ("93.184.216.34", "2606:2800:220::34", "93.184.217.1", "2606:2800:221::1", "203.0.113.9"):
        equal(lab.sandbox.connect(address), "ok", f"without the gate, {address}")
    true(ask(lab.sandbox.ns, RESOLVER4, "other.example.org").addresses, "without the gate every name resolves")
    gate = lab.gate({"agent": POLICY}).start()
    gate.attach(lab.sandbox, "agent", search=["ns.svc.cluster.local", "svc.cluster.local"])
    return gate


@case("nothing is reachable before a lookup, in either family")
def before_lookup(lab, _gate):
    for address in ("93.184.216.34", "2606:2800:220::34"):
        equal(lab.sandbox.connect(address, timeout=0.3), "ETIMEDOUT", address)


@case("an allowed name resolves over UDP from any resolver address, both families, and connects")
def allowed(lab, _gate):
    for server in BOTH:
        equal(ask(lab.sandbox.ns, server, "www.allowed.example").addresses, ["93.184.216.34"], f"A from {server}")
        equal(ask(lab.sandbox.ns, server, "WWW.Allowed.EXAMPLE", "AAAA").addresses, ["2606:2800:220::34"], "AAAA")
    equal(lab.sandbox.connect("93.184.216.34"), "ok", "IPv4")
    equal(lab.sandbox.connect("2606:2800:220::34"), "ok", "IPv6")


@case("HTTPS to an allowed name works end to end")
def https(lab, _gate):
    for family in ("-4", "-6"):
        page = lab.sandbox.run(["curl", family, "-sS", "-m", "5", "--cacert", lab.internet.ca,
                                "https://www.allowed.example/"]).out
        true(page.startswith("www.allowed.example at"), page)


@case("several questions on one TCP connection are answered")
def tcp(lab, _gate):
    for server in BOTH:
        first, second, third = ask_tcp(lab.sandbox.ns, server, [("v4.allowed.example", "A"), ("other.example.org", "A"),
                                                                ("www.allowed.example", "AAAA")])
        equal(first.addresses, ["93.184.216.40"], "A")
        equal((second.rcode, second.addresses), ("NOERROR", []), "a denied name")
        equal(third.addresses, ["2606:2800:220::34"], "AAAA")
    equal(lab.sandbox.connect("93.184.216.40"), "ok", "what TCP resolved")


@case("a denied name is NODATA with a root SOA of 5 s, EDE 15 and the policy's text with EDNS, over UDP and TCP")
def denied(lab, _gate):
    sandbox = lab.sandbox.ns
    upstream = lab.internet.queries()
    answers = [ask(sandbox, server, "other.example.org", kind) for server in BOTH for kind in ("A", "AAAA", "MX")]
    answers += ask_tcp(sandbox, RESOLVER4, [("other.example.org", "A")])
    for answer in answers:
        equal((answer.rcode, answer.answers, answer.ede), ("NOERROR", [], None), "without EDNS")
        equal([(record.name, record.kind, record.ttl) for record in answer.authority], [(".", "SOA", 5)], "authority")
        equal(answer.flags & 0x8680, 0x8080, "QR 1, AA 0, TC 0, RA 1")
    equal(ask(sandbox, RESOLVER4, "other.example.org", edns=1232).ede, (15, "ask the platform team"), "with EDNS")
    equal(ask(sandbox, RESOLVER4, "OtHeR.example.org").questions[0][0], "OtHeR.example.org", "the question's case")
    equal(upstream.packets, 0, "packets to upstreams for denied names")


@case("a denied name's address stays closed after asking")
def denied_connect(lab, _gate):
    for kind, address in (("A", "93.184.217.1"), ("AAAA", "2606:2800:221::1")):
        ask(lab.sandbox.ns, RESOLVER4, "other.example.org", kind)
        equal(lab.sandbox.connect(address, timeout=0.3), "ETIMEDOUT", address)


@case("a suffix of its own: NXDOMAIN; a single label: NXDOMAIN; the suffix and an allowed name's ancestor: NODATA")
def search_suffixes(lab, _gate):
    wanted = {"www.allowed.example.ns.svc.cluster.local": "NXDOMAIN", "x.svc.cluster.local": "NXDOMAIN",
              "localhost-not": "NXDOMAIN", "svc.cluster.local": "NOERROR", "ns.svc.cluster.local": "NOERROR",
              "allowed.example": "NOERROR", "x.cluster.local": "NOERROR"}
    for name, rcode in wanted.items():
        answer = ask(lab.sandbox.ns, RESOLVER4, name)
        equal((answer.rcode, answer.answers), (rcode, []), name)


@case("an allowed name without such a record, or that does not exist: the upstream's answer, no grant")
def no_record(lab, _gate):
    answer = ask(lab.sandbox.ns, RESOLVER4, "v4.allowed.example", "AAAA")
    equal((answer.rcode, answer.addresses), ("NOERROR", []), "no AAAA")
    equal(ask(lab.sandbox.ns, RESOLVER4, "missing.allowed.example").rcode, "NXDOMAIN", "no such name")


@case("a CNAME chain through names that are not allowed: whole in the answer, its addresses granted, its links not askable")
def cname(lab, _gate):
    answer = ask(lab.sandbox.ns, RESOLVER4, "alias.allowed.example")
    equal([record.kind for record in answer.answers], ["CNAME", "CNAME", "A"], "chain")
    equal(answer.addresses, ["93.184.216.50"], "address")
    equal(lab.sandbox.connect("93.184.216.50"), "ok", "connect")
    equal(ask(lab.sandbox.ns, RESOLVER4, "alias.allowed.example", "AAAA").addresses, ["2606:2800:220::50"], "AAAA")
    equal(lab.sandbox.connect("2606:2800:220::50"), "ok", "connect by IPv6")
    equal(ask(lab.sandbox.ns, RESOLVER4, "pool.elsewhere.example").addresses, [], "the chain's end by itself")


@case("private and metadata addresses are taken out of answers, and stay closed")
def stripped(lab, _gate):
    equal(ask(lab.sandbox.ns, RESOLVER4, "private.allowed.example").addresses, ["93.184.216.61"], "the public one is left")
    equal(ask(lab.sandbox.ns, RESOLVER4, "metadata.allowed.example").addresses, [], "metadata")
    for address in ("10.1.2.3", "169.254.169.254"):
        equal(lab.sandbox.connect(address, 80, timeout=0.3), "ETIMEDOUT", address)


@case("a long TTL is cut to 3600 s, a short one is never raised")
def ttl(lab, _gate):
    long = ask(lab.sandbox.ns, RESOLVER4, "long.allowed.example").answers[0].ttl
    true(3590 <= long <= 3600, f"a TTL of 7200 came out as {long}")
    short = ask(lab.sandbox.ns, RESOLVER4, "v4.allowed.example").answers[0].ttl
    true(short <= 60, f"a TTL of 60 came out as {short}")


@case("a grant opens the rule's ports and no others")
def ports(lab, _gate):
    ask(lab.sandbox.ns, RESOLVER4, "ports.allowed.example")
    equal(lab.sandbox.connect("93.184.216.63", 80), "ok", "80 is in the rule")
    equal(lab.sandbox.connect("93.184.216.63", 8005), "ECONNREFUSED", "8005 too: nobody listens, but the SYN gets there")
    for port in (443, 7999, 8011):
        equal(lab.sandbox.connect("93.184.216.63", port, timeout=0.3), "ETIMEDOUT", f"port {port}")


@case("dns.allow resolves and grants nothing")
def lookup_only(lab, _gate):
    equal(ask(lab.sandbox.ns, RESOLVER4, "lookup.allowed.example").addresses, ["93.184.216.62"], "the answer")
    equal(lab.sandbox.connect("93.184.216.62", timeout=0.3), "ETIMEDOUT", "connect")


@case("CIDR rules need no lookup; except and deny are holes")
def cidrs(lab, _gate):
    for address, port, wanted in (("203.0.113.1", 443, "ok"), ("2606:4700::1", 443, "ok"), ("203.0.113.1", 80, "ETIMEDOUT"),
                                  ("203.0.113.9", 443, "ETIMEDOUT"), ("203.0.113.10", 443, "ETIMEDOUT")):
        equal(lab.sandbox.connect(address, port, timeout=0.3), wanted, f"{address} port {port}")


@case("record types that no rule passes: NODATA under an allowed name; ANY and odd classes fetch nothing")
def types(lab, _gate):
    upstream = lab.internet.queries()
    for kind in ("HTTPS", "SRV", "TXT", "MX", "ANY"):
        answer = ask(lab.sandbox.ns, RESOLVER4, "www.allowed.example", kind)
        equal((answer.rcode, answer.addresses), ("NOERROR", []), kind)
    equal(upstream.packets, 0, "packets to upstreams")


@case("PTR: a learned address has its name, any other NXDOMAIN")
def ptr(lab, _gate):
    ask(lab.sandbox.ns, RESOLVER4, "v4.allowed.example")
    answer = ask(lab.sandbox.ns, RESOLVER4, "40.216.184.93.in-addr.arpa", "PTR")
    equal([record.data.lower() for record in answer.answers], ["v4.allowed.example"], "learned")
    equal(ask(lab.sandbox.ns, RESOLVER4, "1.217.184.93.in-addr.arpa", "PTR").rcode, "NXDOMAIN", "not learned")


@case("an upstream that does not answer: SERVFAIL, never silence")
def upstream_down(lab, _gate):
    with lab.internet.without_dns():
        answer = ask(lab.sandbox.ns, RESOLVER4, "missing.allowed.example", "AAAA", timeout=6)
    equal(answer and answer.rcode, "SERVFAIL", "answer")


if __name__ == "__main__":
    sys.exit(main(prepare, zone=ZONE))
