# SPDX-License-Identifier: Apache-2.0
"""bench policy: what policies cost before a packet is seen, and how soon an edit holds.

compile and match are processor time of the library alone (policy_cost.cpp). apply is the real thing: posternd,
postern-dns and SANDBOXES attached sandboxes; a file is replaced as an editor does it, and the time runs until
posternd says the generation that every sandbox is then under.
"""
import json
import os
import subprocess
import sys
import time

from lab import Lab, ask
from lab.commands import CommandFailed
from tools import Table

SANDBOXES, POLICIES, NAMES = 250, 250, 1000
KEPT, EDITED = "kept.allowed.example", "edited.allowed.example"
KEPT_ADDRESS, EDITED_ADDRESS = "93.184.216.34", "93.184.216.35"
ZONE = f"{KEPT}. 600 A {KEPT_ADDRESS}\n{EDITED}. 600 A {EDITED_ADDRESS}\n"
WAIT_S = 10


def spec(number, *names):
    listed = [f"host-{i}.zone-{number}.example.com" for i in range(NAMES)] + list(names)
    return "allow:\n- names:\n" + "".join(f"  - {name}\n" for name in listed) + "  ports: [80]\n"


def library_cost(options, table):
    program = os.path.join(options.bin, "policy_cost")
    if not os.path.exists(program):
        sys.exit(f"bench: there is no {program}: run ./dev build")
    report = json.loads(subprocess.run([program, str(options.runs)], check=True, capture_output=True, text=True).stdout)
    runs = report["runs"]
    table.add("compile", "ms", [report["compile_ms"]], "ms", runs=runs)
    table.add("compile", "read_ms", [report["read_ms"]], "ms", runs=runs)
    table.add("match", "ns", [report["match_ns"]], "ns", runs=runs)
    table.add("match", "allocations", [report["match_allocations"]], "", runs=runs)
    table.add("shared", "kib", [report["shared_kib"]], "KiB")
    table.add("shared", "alone_kib", [report["alone_kib"]], "KiB")
    table.add("shared", "ms", [report["shared_ms"]], "ms")


def attach_all(lab, gate):
    for sandbox in lab.sandboxes:
        gate.attach(sandbox, "edited")


def time_edit(gate, control, names):
    """Milliseconds from the file's change to the generation in which it holds for every sandbox."""
    before = control.generation()
    began = time.monotonic()
    gate.write_policy("edited", spec(0, *names))
    while control.generation() == before:
        if time.monotonic() - began > WAIT_S:
            raise CommandFailed(f"the edit is not in force after {WAIT_S} s")
    return (time.monotonic() - began) * 1000


def check_enforced(lab, opens):
    """The first sandbox and the last one: what is measured is a change of what they reach."""
    for sandbox in (lab.sandboxes[0], lab.sandboxes[-1]):
        assert ask(sandbox.ns, "8.8.8.8", KEPT).addresses == [KEPT_ADDRESS]
        answer = ask(sandbox.ns, "8.8.8.8", EDITED).addresses
        assert answer == ([EDITED_ADDRESS] if opens else []), answer
        connected = sandbox.connect(EDITED_ADDRESS, 80, 1.0 if opens else 0.1)
        assert connected == ("ok" if opens else "ETIMEDOUT"), connected


def apply_cost(options, table):
    policies = {f"other-{i}": spec(i) for i in range(1, POLICIES)}
    policies["edited"] = spec(0, KEPT)
    with Lab(zone=ZONE, sandboxes=SANDBOXES, bin=options.bin) as lab:
        gate = lab.gate(policies, log_level="warn").start()
        attach_all(lab, gate)
        control = gate.control_connection()
        values = []
        for number in range(options.runs):
            opens = number % 2 == 0
            values.append(time_edit(gate, control, [KEPT, EDITED] if opens else [KEPT]))
            check_enforced(lab, opens)
            print(f"edit {number + 1} of {options.runs}: {values[-1]:.0f} ms for {SANDBOXES} sandboxes", flush=True)
        control.close()
    table.add("apply", "ms", values, "ms")


def run(options):
    table = Table("policy")
    library_cost(options, table)
    apply_cost(options, table)
    table.show()
    return table, 0
