#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Daemons die: what a sandbox notices is nothing, or stricter, never looser; live connections go on."""
import os
import sys
import time

from harness import case, equal, main, true, wait_until
from lab import ask

ZONE = """
www.allowed.example. 600 A 93.184.216.34
new.allowed.example. 600 A 93.184.216.35
newer.allowed.example. 600 A 93.184.216.36
after.allowed.example. 600 A 93.184.216.37
denied.example.org. 60 A 93.184.217.1
"""
POLICY = "allow: [{names: [www.allowed.example, new.allowed.example, newer.allowed.example, after.allowed.example], ports: [80]}]"
GRANTED, DENIED = "93.184.216.34", "93.184.217.1"


class Live:
    """A connection that must live through the deaths."""
    connection = None


def prepare(lab):
    gate = lab.gate({"agent": POLICY}).start()
    gate.attach(lab.sandbox, "agent", search=["corp.example"])
    equal(ask(lab.sandbox.ns, "8.8.8.8", "www.allowed.example").addresses, [GRANTED], "lookup")
    Live.connection = lab.sandbox.ns.open_connection(GRANTED, 80)
    lab.undo.add(Live.connection.close)
    return gate


def still_denies(lab):
    for address, port in ((DENIED, 80), ("8.8.8.8", 443), (GRANTED, 443)):
        equal(lab.sandbox.connect(address, port, timeout=0.2), "ETIMEDOUT", f"{address} port {port}")


def live_goes_on():
    Live.connection.settimeout(2)
    Live.connection.sendall(b"GET / HTTP/1.1\r\nHost: www.allowed.example\r\n\r\n")
    true(Live.connection.recv(4096).startswith(b"HTTP/1.1 200"), "the live connection")


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(child) for child in file.read().split()]


def answers(lab, name, address):
    def ask_once():
        answer = ask(lab.sandbox.ns, "8.8.8.8", name, timeout=0.04)
        return answer and answer.addresses == [address]
    return ask_once


@case("posternd killed: denies, live and new connections, and lookups go on as if nothing were")
def posternd_killed(lab, gate):
    gate.daemons["posternd"].kill()
    still_denies(lab)
    live_goes_on()
    equal(lab.sandbox.connect(GRANTED, 80), "ok", "a granted address")
    equal(ask(lab.sandbox.ns, "8.8.8.8", "new.allowed.example").addresses, ["93.184.216.35"], "a new lookup")
    equal(lab.sandbox.connect("93.184.216.35", 80), "ok", "and its address")
    equal(ask(lab.sandbox.ns, "8.8.8.8", "denied.example.org").addresses, [], "a denied name")


@case("the command line says that posternd is not there and what to do")
def command_line(_lab, gate):
    result = gate.cli("status", check=False)
    equal(result.status, 1, "status")
    true("posternd is not running" in result.err and "\n" not in result.err.strip(), result.err)


@case("posternd started again: the same sandbox under the same policy, nothing was cut, policies change again")
def posternd_back(lab, gate):
    gate.start_posternd()
    live_goes_on()
    equal(gate.status()["sandboxes"], 1, "sandboxes")
    still_denies(lab)
    gate.write_policy("agent", POLICY.replace("newer.allowed.example, ", ""))
    gate.reload()
    equal(ask(lab.sandbox.ns, "8.8.8.8", "newer.allowed.example").addresses, [], "a name that the change removed")
    gate.write_policy("agent", POLICY)
    gate.reload()
    equal(ask(lab.sandbox.ns, "8.8.8.8", "x.corp.example").rcode, "NXDOMAIN", "its search suffix")
    live_goes_on()


@case("a second posternd refuses, says why, and changes nothing")
def second_posternd(lab, gate):
    result = lab.node.run([gate.program("posternd"), "--config", gate.config_path], check=False, timeout=10)
    true(result.status not in (0, None), f"a second posternd: {result}")
    still_denies(lab)
    live_goes_on()
    equal(gate.status()["sandboxes"], 1, "sandboxes")


@case("each DNS worker killed: another one answers within a moment, with the policy and what was granted")
def worker_killed(lab, gate):
    keeper = gate.daemons["postern-dns"].pid
    for worker in children_of(keeper):
        os.kill(worker, 9)
    killed = time.monotonic()
    wait_until(answers(lab, "newer.allowed.example", "93.184.216.36"), "an answer of a new worker", 3)
    took = time.monotonic() - killed
    equal(lab.sandbox.connect("93.184.216.36", 80), "ok", "its address")
    still_denies(lab)
    live_goes_on()
    equal(lab.sandbox.connect(GRANTED, 80), "ok", "an address granted before")
    return f"answered {took * 1000:.0f} ms after the kill"


@case("postern-dns killed whole: lookups get no answer, grants and live connections last, nothing opens")
def keeper_killed(lab, gate):
    keeper = gate.daemons["postern-dns"]
    workers = children_of(keeper.pid)
    keeper.kill()
    for worker in workers:
        wait_until(lambda w=worker: not os.path.exists(f"/proc/{w}"), "the workers to end with their keeper", 3)
    asked = lab.internet.queries()
    equal(ask(lab.sandbox.ns, "8.8.8.8", "www.allowed.example", timeout=0.5), None, "a lookup")
    equal(asked.packets, 0, "queries that got through to the internet")
    live_goes_on()
    equal(lab.sandbox.connect(GRANTED, 80), "ok", "a granted address")
    still_denies(lab)


@case("postern-dns started again: posternd gives it sockets and policies, lookups work without postern-setup")
def keeper_back(lab, gate):
    gate.start_dns()
    wait_until(answers(lab, "after.allowed.example", "93.184.216.37"), "an answer of the new postern-dns", 10)
    equal(lab.sandbox.connect("93.184.216.37", 80), "ok", "its address")
    equal(ask(lab.sandbox.ns, "8.8.8.8", "denied.example.org").addresses, [], "a denied name")
    live_goes_on()


@case("everything killed: nothing opens, live connections go on")
def all_killed(lab, gate):
    for name in ("posternd", "postern-dns"):
        gate.daemons[name].kill()
    still_denies(lab)
    live_goes_on()
    equal(ask(lab.sandbox.ns, "8.8.8.8", "www.allowed.example", timeout=0.3), None, "a lookup")


@case("everything started again: as it was")
def all_back(lab, gate):
    gate.start()
    still_denies(lab)
    live_goes_on()
    wait_until(answers(lab, "www.allowed.example", GRANTED), "an answer", 10)
    equal(gate.status()["sandboxes"], 1, "sandboxes")


if __name__ == "__main__":
    sys.exit(main(prepare, zone=ZONE))
