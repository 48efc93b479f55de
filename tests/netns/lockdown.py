#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A sandbox is locked down: nothing of it passes from then on, whatever it had; another one does not notice."""
import json
import sys

from harness import case, equal, main, true, wait_until
from lab import ask

ADDRESS = "93.184.216.34"
ZONE = f"www.allowed.example. 600 A {ADDRESS}\n"
NAME = "www.allowed.example"


def prepare(lab):
    gate = lab.gate({"agent": "allow: [{names: [www.allowed.example], ports: [80]}]"}, observer=True).start()
    for sandbox in lab.sandboxes:
        gate.attach(sandbox, "agent")
    return gate


def listed(gate, sandbox):
    return next(each for each in json.loads(gate.cli("sandbox", "list", "-o", "json").out) if each["interface"] == sandbox.host_if)


def asks(sandbox):
    answer = ask(sandbox.ns, "8.8.8.8", NAME, timeout=0.5)
    return answer and answer.addresses


def reaches(sandbox, what="the allowed name"):
    equal(asks(sandbox), [ADDRESS], what)
    equal(sandbox.ns.connect(ADDRESS, 80), "ok", what)


def is_locked(sandbox):
    equal(asks(sandbox), None, "a lookup")
    equal(sandbox.ns.connect(ADDRESS, 80, timeout=0.5), "ETIMEDOUT", "an address that a lookup opened before")


@case("lookups and connects end at once; the other sandbox goes on")
def lock(lab, gate):
    first, second = lab.sandboxes
    reaches(first)
    reaches(second)
    out = gate.cli("sandbox", "mode", first.host_if, "lockdown").out
    true("locked down" in out and f"postern sandbox mode {first.host_if} enforce" in out, out)
    is_locked(first)
    reaches(second, "the other sandbox")
    equal(listed(gate, first)["mode"], "lockdown", "mode")
    equal(listed(gate, second)["mode"], "enforce", "mode of the other")
    true("2, 1 in lockdown" in gate.cli("status", check=False).out, "status")
    explained = gate.cli("explain", first.host_if, NAME, check=False).out
    true(explained.startswith("DENIED") and "lockdown" in explained, explained)
    wait_until(lambda: [each for each in gate.flows("--verdict", "DROPPED") if "lockdown" in json.dumps(each).lower()],
               "the flow log to say why", 5)


@case("it outlives posternd, a reload and a change of policy")
def stays(lab, gate):
    first = lab.sandboxes[0]
    gate.daemons["posternd"].stop()
    is_locked(first)
    gate.start_posternd()
    is_locked(first)
    gate.write_policy("agent", "allow: [{names: [www.allowed.example], ports: [80, 81]}]")
    gate.reload()
    is_locked(first)
    equal(listed(gate, first)["mode"], "lockdown", "mode")


@case("it is ended: the policy holds again")
def end(lab, gate):
    first = lab.sandboxes[0]
    true("under policy agent again" in gate.cli("sandbox", "mode", first.host_if, "enforce").out, "its words")
    reaches(first)
    equal(first.ns.connect("93.184.217.1", 80, timeout=0.5), "ETIMEDOUT", "what no policy allows")


@case("a mode and a sandbox that there are not")
def mistakes(lab, gate):
    wrong = gate.cli("sandbox", "mode", lab.sandboxes[0].host_if, "audit", check=False)
    true(wrong.status != 0 and "lockdown" in wrong.err + wrong.out, str(wrong))
    wrong = gate.cli("sandbox", "mode", "veth-none", "lockdown", check=False)
    true(wrong.status != 0 and "postern sandbox list" in wrong.err, str(wrong))


if __name__ == "__main__":
    sys.exit(main(prepare, zone=ZONE, sandboxes=2))
