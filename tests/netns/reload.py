#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Policy changes while packets fly: what opens, what closes and when, and what never notices.

The main case edits a policy 10,000 times under load. Each edit allows or removes one name; between the
acknowledgement of a removal and the next edit no connect to that name may succeed, and a download of a
kept name runs through all of it.
"""
import os
import select
import signal
import socket
import subprocess
import sys
import time

from harness import case, equal, main, true, wait_until
from lab import CommandFailed, ask, clients

EDITS = int(os.environ.get("POSTERN_EDITS", "10000"))
ZONE = """
kept.allowed.example. 600 A 93.184.216.34
moving.allowed.example. 600 A 93.184.216.40
late.allowed.example. 600 A 93.184.216.41
"""
KEPT = "allow: [{names: [kept.allowed.example], ports: [80, 443]}]"
BOTH = "allow: [{names: [kept.allowed.example, moving.allowed.example], ports: [80, 443]}]"
MOVING = "93.184.216.40"


def prepare(lab):
    gate = lab.gate({"agent": KEPT}, log_level="warn").start()
    gate.attach(lab.sandbox, "agent")
    return gate


@case("an edit that opens: the name resolves and connects once reload returns; the generation rises")
def opens(lab, gate):
    ns = lab.sandbox.ns
    equal(ask(ns, "8.8.8.8", "moving.allowed.example").addresses, [], "before")
    before = gate.status()["generation"]
    gate.write_policy("agent", BOTH)
    gate.reload()
    equal(gate.status()["generation"], before + 1, "generation")
    equal(ask(ns, "8.8.8.8", "moving.allowed.example").addresses, [MOVING], "after")
    equal(lab.sandbox.connect(MOVING, 80), "ok", "connect")


@case("an edit that closes: no lookup, no new connection, and the live one is cut; the kept name's lives on")
def closes(lab, gate):
    ns = lab.sandbox.ns
    ask(ns, "8.8.8.8", "kept.allowed.example")
    removed, kept = (ns.open_connection(address, 80) for address in (MOVING, "93.184.216.34"))
    with removed, kept:
        gate.write_policy("agent", KEPT)
        gate.reload()
        equal(ask(ns, "8.8.8.8", "moving.allowed.example").addresses, [], "the removed name")
        equal(lab.sandbox.connect(MOVING, 80, timeout=0.3), "ETIMEDOUT", "a new connection")
        arrived = lab.internet.count(f"ip daddr {MOVING}")
        for connection, answers in ((removed, False), (kept, True)):
            connection.settimeout(0.5)
            connection.sendall(b"GET / HTTP/1.1\r\nHost: kept.allowed.example\r\n\r\n")
            try:
                answered = connection.recv(100).startswith(b"HTTP/1.1 200")
            except TimeoutError:
                answered = False
            equal(answered, answers, "the kept name's connection" if answers else "the removed name's connection")
        equal(arrived.packets, 0, "packets to the removed name's address")


@case("a removed port: new connections to it end, the rule's other port stays")
def removed_port(lab, gate):
    gate.write_policy("agent", "allow: [{names: [kept.allowed.example], ports: [443]}]")
    gate.reload()
    equal(lab.sandbox.connect("93.184.216.34", 80, timeout=0.3), "ETIMEDOUT", "the removed port")
    equal(lab.sandbox.connect("93.184.216.34", 443), "ok", "the other")
    gate.write_policy("agent", KEPT)
    gate.reload()
    equal(lab.sandbox.connect("93.184.216.34", 80), "ok", "given back, without another lookup")


@case("a new CIDR deny cuts a live flow")
def cidr_deny(lab, gate):
    connection = lab.sandbox.ns.open_connection("93.184.216.34", 80)
    with connection:
        gate.write_policy("agent", KEPT + "\ndeny: [{cidrs: [93.184.216.34/32]}]")
        gate.reload()
        arrived = lab.internet.count("ip daddr 93.184.216.34")
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.3)
        equal(arrived.packets, 0, "packets of the live flow after the deny")
    gate.write_policy("agent", KEPT)
    gate.reload()


@case("a file change is loaded without a command; SIGHUP too")
def by_itself(lab, gate):
    generation = gate.status()["generation"]
    gate.write_policy("agent", BOTH)
    wait_until(lambda: gate.status()["generation"] > generation, "posternd to notice the file")
    equal(ask(lab.sandbox.ns, "8.8.8.8", "moving.allowed.example").addresses, [MOVING], "after the edit")
    gate.write_policy("agent", KEPT)
    gate.daemons["posternd"].process.send_signal(signal.SIGHUP)
    wait_until(lambda: not ask(lab.sandbox.ns, "8.8.8.8", "moving.allowed.example").addresses, "SIGHUP to be done")


@case("a bad file changes nothing: reload fails with file, line and field, the generation stays, names stay as they were")
def bad_file(lab, gate):
    generation = gate.status()["generation"]
    path = gate.write_policy("agent", "allow:\n- names: [kept.allowed.example]\n  ports: [99999]")
    result = gate.reload(check=False)
    true(result.status != 0, "reload must fail")
    true(f"{path}:7" in result.err and "ports" in result.err, f"file, line and field: {result.err}")
    status = gate.status()
    equal(status["generation"], generation, "generation")
    true(any(path in problem for problem in status["problems"]), f"status must go on saying so: {status['problems']}")
    equal(ask(lab.sandbox.ns, "8.8.8.8", "kept.allowed.example").addresses, ["93.184.216.34"], "a name of the old policy")
    gate.write_policy("agent", KEPT)
    gate.reload()
    equal(gate.status()["problems"], [], "problems after the mend")


@case("a policy that disappears: its sandbox is denied everything")
def policy_gone(lab, gate):
    gate.remove_policy("agent")
    gate.reload()
    equal(lab.sandbox.connect("93.184.216.34", 80, timeout=0.3), "ETIMEDOUT", "connect")
    equal(ask(lab.sandbox.ns, "8.8.8.8", "kept.allowed.example").addresses, [], "lookup")
    gate.write_policy("agent", KEPT)
    gate.reload()
    equal(ask(lab.sandbox.ns, "8.8.8.8", "kept.allowed.example").addresses, ["93.184.216.34"], "lookup, once it is back")


class Load:
    """What goes on in the sandbox during the edits: a download of a kept name, connects to the moving one."""

    def __init__(self, lab):
        self.lab, self.outputs = lab, []
        ask(lab.sandbox.ns, "8.8.8.8", "kept.allowed.example")
        self.download = self.start("download", ["curl", "-sS", "--resolve", "kept.allowed.example:80:93.184.216.34", "-o",
                                                "/dev/null", "http://kept.allowed.example/slow"])
        self.knocks = [self.start(f"knock{n}", [clients.build(lab, "knock"), MOVING, "80", "3"]) for n in range(2)]

    def start(self, name, argv):
        self.outputs.append(os.path.join(self.lab.folder, name + ".out"))
        with open(self.outputs[-1], "w", encoding="ascii") as output:  # a pipe that nobody reads would stop it
            program = subprocess.Popen(self.lab.sandbox.wrap(argv), stdin=subprocess.PIPE, stdout=output,
                                       start_new_session=True)
        self.lab.undo.add(program.kill)
        return program

    def stop(self):
        """Returns the starts (CLOCK_MONOTONIC ns) of all connects that succeeded."""
        self.download.kill()
        moments = []
        for knock, output in zip(self.knocks, self.outputs[1:]):
            knock.stdin.close()
            equal(knock.wait(10), 0, "knock's status")
            with open(output, encoding="ascii") as file:
                moments += [int(line) for line in file]
        return sorted(moments)


def edit(gate, control, spec):
    gate.write_policy("agent", spec)
    control.reload()


@case(f"{EDITS} edits under load: no connect to a removed name after its acknowledgement, a kept download never cut")
def edits_under_load(lab, gate):
    load = Load(lab)
    control = gate.control_connection()
    windows = []  # from an acknowledgement of a removal to the beginning of the next edit
    slowest = 0
    began = time.monotonic()
    for number in range(EDITS // 2):
        edit(gate, control, BOTH)
        if number % 16 == 0:  # so that there is a grant to judge again
            equal(ask(lab.sandbox.ns, "8.8.8.8", "moving.allowed.example").addresses, [MOVING], "while it is allowed")
            true(knock_once(lab.sandbox.ns, MOVING, 1000), f"edit {number}: a connect while it is allowed failed")
        started = time.monotonic()
        edit(gate, control, KEPT)
        acknowledged = time.monotonic_ns()
        slowest = max(slowest, time.monotonic() - started)
        true(not knock_once(lab.sandbox.ns, MOVING), f"edit {number}: a connect right after the acknowledgement succeeded")
        if number % 16 == 0:  # a lookup after the acknowledgement must be denied as well
            equal(ask(lab.sandbox.ns, "8.8.8.8", "moving.allowed.example").addresses, [], f"edit {number}")
        windows.append((acknowledged, time.monotonic_ns()))
    took = time.monotonic() - began
    true(load.download.poll() is None, f"the download ended: {load.download.poll()}")
    successes = load.stop()
    true(len(successes) > EDITS / 100, f"only {len(successes)} connects succeeded: nothing was proven")
    late = count_inside(successes, windows)
    equal(late, 0, "connects to the removed name that began after its acknowledgement and succeeded")
    return f"{took / EDITS * 1000:.1f} ms an edit, slowest {slowest * 1000:.0f} ms, {len(successes)} connects while allowed"


def knock_once(namespace, address, wait_ms=2):
    """Begins a connect now. Returns whether it is established within wait_ms."""
    with namespace.socket() as knock:
        knock.setblocking(False)
        knock.connect_ex((address, 80))
        writable = select.poll()
        writable.register(knock, select.POLLOUT)
        return bool(writable.poll(wait_ms)) and knock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


def count_inside(moments, windows):
    inside, at = 0, 0
    for moment in moments:
        while at < len(windows) and windows[at][1] < moment:
            at += 1
        inside += at < len(windows) and windows[at][0] <= moment
    return inside


@case("after all that a bad file is still refused, and the sandbox still works")
def afterwards(lab, gate):
    control = gate.control_connection()
    gate.write_policy("agent", "allow: {}")
    try:
        control.reload()
        raise AssertionError("a bad file was accepted")
    except CommandFailed as error:
        true("agent.yaml" in str(error), str(error))
    edit(gate, control, KEPT)
    equal(lab.sandbox.connect("93.184.216.34", 80), "ok", "the kept name")


if __name__ == "__main__":
    sys.exit(main(prepare, zone=ZONE))
