#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a reviewer sees: each attempt as a flow with its reason, and explain with the rule's file and line."""
import sys

from harness import case, equal, main, true, wait_until
from lab import ask

ZONE = """
www.allowed.example. 60 A 93.184.216.34
other.example.org. 60 A 93.184.217.1
"""
POLICY = """
allow:
- names: [www.allowed.example]
- cidrs: [203.0.113.0/24]
  except: [203.0.113.9/32]
  ports: [443]
"""


def prepare(lab):
    gate = lab.gate({"agent": POLICY}, observer=True).start()
    gate.attach(lab.sandbox, "agent")
    return gate


def flow_with(gate, *words, options=()):
    """Waits for a line of `postern observe` that has all the words."""
    def find():
        for line in gate.observe("--last", "100", *options).out.splitlines():
            if all(word in line for word in words):
                return line
        return None
    try:
        return wait_until(find, "a flow")
    except TimeoutError:
        raise AssertionError(f"no flow with {words} in\n{gate.observe('--last', '100').out}") from None


@case("a denied name is a flow with the name; so is the connection to an address nobody looked up")
def denials(lab, gate):
    ask(lab.sandbox.ns, "8.8.8.8", "other.example.org")
    lab.sandbox.connect("8.8.8.8", 443, timeout=0.2)
    flow_with(gate, "other.example.org", "name not allowed")
    flow_with(gate, "8.8.8.8:443", "no allowed lookup gave this address")


@case("an allowed connection is a flow, with the name that opened it")
def allowed(lab, gate):
    ask(lab.sandbox.ns, "8.8.8.8", "www.allowed.example")
    equal(lab.sandbox.connect("93.184.216.34"), "ok", "connect")
    flow_with(gate, "www.allowed.example:443", "93.184.216.34", "FORWARDED")


@case("--blocked shows denials alone, --last the newest, -o json one object a line")
def options(_lab, gate):
    blocked = gate.observe("--blocked", "--last", "100").out
    true("other.example.org" in blocked and "8.8.8.8:443" in blocked, blocked)
    true("www.allowed.example:443" not in blocked, f"an allowed flow among the blocked: {blocked}")
    equal(len(gate.observe("--last", "1").out.strip().splitlines()), 1, "lines of --last 1")
    flows = gate.flows("--last", "100")
    names = {name for flow in flows for name in flow.get("destination_names", [])}
    true("other.example.org" in names, f"names of the flows: {names}")
    true({"FORWARDED", "DROPPED"} <= {flow["verdict"] for flow in flows}, "verdicts")


@case("hostile text in a name is escaped in the flow log")
def hostile(lab, gate):
    ask(lab.sandbox.ns, "8.8.8.8", "\x1b[31mred.example.org")
    line = flow_with(gate, "red.example.org")
    true("\x1b" not in line, repr(line))


@case("explain: allowed and denied names and addresses, by which rule of which file and line")
def explain(lab, gate):
    path = gate.policy_dir + "/agent.yaml"
    for target, allowed_, origin in (("www.allowed.example", True, path + ":6"), ("www.allowed.example:443", True, path + ":6"),
                                     ("www.allowed.example:80", False, path), ("other.example.org", False, None),
                                     ("203.0.113.1:443", True, path + ":7"), ("203.0.113.9:443", False, None),
                                     ("169.254.169.254:80", False, None), ("8.8.8.8", False, None)):
        result = gate.cli("explain", lab.sandbox.host_if, target, check=False)
        word = result.out.split()[0].lower() if result.out else ""
        true(("denied" in result.out.lower().splitlines()[0]) != allowed_, f"{target}: {result}")
        true(origin is None or origin in result.out, f"{target}: no {origin} in {result.out} ({word})")


@case("status is well: exit status 0, everything connected")
def status(_lab, gate):
    result = gate.cli("status", check=False)
    equal((result.status, "problem" in result.out), (0, False), result.out)
    equal(gate.cli("sandbox", "list").out.count("agent"), 1, "sandboxes in the list")


@case("the observer killed and started again: enforcement goes on meanwhile, flows come again")
def observer_death(lab, gate):
    gate.daemons["postern-observer"].kill()
    equal(lab.sandbox.connect("93.184.216.34"), "ok", "an allowed connection")
    equal(lab.sandbox.connect("8.8.8.8", 443, timeout=0.2), "ETIMEDOUT", "a denied one")
    result = gate.observe("--last", "1", check=False)
    true(result.status not in (0, None) and len(result.err.strip().splitlines()) == 1, f"observe without observer: {result}")
    wait_until(lambda: not gate.status()["observer"]["connected"], "posternd to see it go")
    gate.start_observer()
    lab.sandbox.connect("1.1.1.1", 443, timeout=0.2)
    flow_with(gate, "1.1.1.1:443")


if __name__ == "__main__":
    sys.exit(main(prepare, zone=ZONE))
