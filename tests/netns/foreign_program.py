#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Another agent's program gets before the gate and accepts everything: the gate is in front again within a second."""
import glob
import os
import signal
import sys
import time

from harness import case, equal, main, true, wait_until
from lab import ask, clients, run

ZONE = """
www.allowed.example. 600 A 93.184.216.34
denied.example.org. 60 A 93.184.217.1
"""
POLICY = "allow: [{names: [www.allowed.example], ports: [80]}]"
GRANTED, DENIED = "93.184.216.34", "93.184.217.1"
INTERVAL_S = 1.0  # GateWatch::kEveryMs
SLACK_S = 1.5     # for a machine that does other things too


class Shared:
    program = None     # the path of the foreign program
    connection = None  # an allowed one, that lives through it all
    foreign = []


def prepare(lab):
    equal(lab.sandbox.connect(DENIED, 80), "ok", "without the gate")
    Shared.program = clients.build(lab, "foreign_program", libs=["bpf"])
    gate = lab.gate({"agent": POLICY}).start()
    gate.attach(lab.sandbox, "agent")
    equal(ask(lab.sandbox.ns, "8.8.8.8", "www.allowed.example").addresses, [GRANTED], "lookup")
    Shared.connection = lab.sandbox.ns.open_connection(GRANTED, 80)
    lab.undo.add(Shared.connection.close)
    return gate


def attach_foreign(lab):
    """Returns the id of its program. Stays until the lab ends, or end_foreign()."""
    foreign = lab.node.daemon(f"foreign{len(Shared.foreign)}", [Shared.program, lab.sandbox.host_if])
    Shared.foreign.append(foreign)
    lab.undo.add(foreign.stop)

    def attached():
        foreign.require_alive()
        return "attached" in foreign.log()
    wait_until(attached, "the foreign program")
    return int(foreign.log().split()[1])


def end_foreign():
    while Shared.foreign:
        Shared.foreign.pop().stop()


def denied(lab, timeout=0.1):
    return lab.sandbox.connect(DENIED, 80, timeout=timeout) == "ETIMEDOUT"


def await_shut(lab):
    """Seconds until the denied address cannot be reached any more."""
    began = time.monotonic()
    wait_until(lambda: denied(lab), "the gate to be in front again", INTERVAL_S + SLACK_S)
    return time.monotonic() - began


def live_goes_on():
    Shared.connection.settimeout(2)
    Shared.connection.sendall(b"GET / HTTP/1.1\r\nHost: www.allowed.example\r\n\r\n")
    true(Shared.connection.recv(4096).startswith(b"HTTP/1.1 200"), "the live connection")


def problem(gate):
    return next((line for line in gate.status()["problems"] if "before the gate" in line or "taken off" in line), "")


@case("while posternd cannot look, such a program lets the sandbox past the gate (so the test proves something)")
def without_the_watch(lab, gate):
    if gate.status()["gate"] != "tcx":
        return "not run: this kernel has no tcx"
    equal(problem(gate), "", "problems before")
    os.kill(gate.daemons["posternd"].pid, signal.SIGSTOP)
    lab.undo.add(gate.daemons["posternd"].process.send_signal, signal.SIGCONT)  # nothing, once it has ended
    attach_foreign(lab)
    for _ in range(3):
        equal(lab.sandbox.connect(DENIED, 80), "ok", "the denied address")
        time.sleep(INTERVAL_S / 2)
    return None


@case("posternd looks: blocked again, counted, and said by number; a live connection is not cut")
def with_the_watch(lab, gate):
    if not Shared.foreign:
        return "not run"
    os.kill(gate.daemons["posternd"].pid, signal.SIGCONT)
    took = await_shut(lab)
    number = int(Shared.foreign[0].log().split()[1])
    live_goes_on()
    line = problem(gate)
    true(f"id {number}" in line and lab.sandbox.host_if in line and "1 time(s)" in line, f"status: {line!r}")
    equal(gate.cli("status", check=False).status, 3, "the exit status of postern status")
    true(f"prog show id {number}" in gate.daemons["posternd"].log(), "posternd's log")
    return f"after {took * 1000:.0f} ms"


@case("again and again, and more than one of them: in front within the interval each time, then it stays")
def again(lab, gate):
    if not Shared.foreign:
        return "not run"
    slowest = 0.0
    for times in (2, 3, 4):
        attach_foreign(lab)
        slowest = max(slowest, await_shut(lab))
        true(f"{times} time(s)" in problem(gate), f"counted {times} times: {problem(gate)!r}")
    until = time.monotonic() + 2 * INTERVAL_S
    while time.monotonic() < until:
        true(denied(lab), "the denied address")
    live_goes_on()
    equal(ask(lab.sandbox.ns, "8.8.8.8", "www.allowed.example").addresses, [GRANTED], "lookup")
    equal(lab.sandbox.connect(GRANTED, 80), "ok", "the granted address")
    return f"{slowest * 1000:.0f} ms at most"


@case("a gate that somebody took off is put there again")
def taken_off(lab, gate):
    if not Shared.foreign:
        return "not run"
    for pin in glob.glob(f"{lab.pin_dir}/v*/links/{lab.node.index_of(lab.sandbox.host_if)}-*"):
        run(["bpftool", "link", "detach", "pinned", pin])
    await_shut(lab)
    true("5 time(s)" in problem(gate), f"counted: {problem(gate)!r}")
    return None


@case("a posternd that starts again is in front at once; detached, nothing of the gate is left on the interface")
def restarted(lab, gate):
    if not Shared.foreign:
        return "not run"
    gate.daemons["posternd"].kill()
    attach_foreign(lab)
    equal(lab.sandbox.connect(DENIED, 80), "ok", "without posternd")
    gate.start_posternd()
    true(denied(lab), "the denied address")
    live_goes_on()
    gate.detach(lab.sandbox)
    end_foreign()
    equal(lab.sandbox.connect(DENIED, 80), "ok", "detached")
    equal(problem(gate), "", "problems")
    return None


if __name__ == "__main__":
    sys.exit(main(prepare, zone=ZONE))
